"""``domwarden reclaim``: a released domain comes back from a host that is gone for good."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from domwarden.cli import output
from domwarden.cli.options import domain_argument, host_option, json_option

if TYPE_CHECKING:
    from domwarden.migration import Reclaimable
    from domwarden.plan import EpochAnswer


@click.command
@domain_argument
@click.option(
    "--fenced",
    multiple=True,
    required=True,
    metavar="HOST",
    help="This peer is off for good: it runs nothing, and never will without hearing of this.",
)
@click.option(
    "--cold", is_flag=True, help="Destroy the suspended copy; the domain is then to be started."
)
@click.option("--yes", is_flag=True, help="Do it without asking.")
@host_option
@json_option
def command(
    domain: str,
    fenced: tuple[str, ...],
    cold: bool,
    yes: bool,
    host_path: Path | None,
    as_json: bool,
) -> None:
    """Take DOMAIN back, which was released to a host that is gone for good.

    Says what was seen, what it will do and what is at stake, then asks. Refuses wherever a rule
    says no.
    """
    from domwarden.cli.attention import tell_settled
    from domwarden.cli.progress import shown
    from domwarden.cli.with_warden import run
    from domwarden.contract import RefusedError

    found = run(
        host_path,
        lambda warden: warden.reclaimable(domain, cold=cold, observer=tell_settled),
        fenced=fenced,
    )
    if found.done is not None:  # an earlier call was interrupted, and this look finished it
        settled = found.done
    else:
        if found.refusals:
            if as_json:
                output.as_json({"reclaim": found.as_json(), "settled": None})
                sys.exit(1)
            raise RefusedError(found.refusals)
        for line in told(found):
            output.say(line)
        if not yes and not click.confirm("Take it back?", err=True):
            output.say("nothing was changed")
            sys.exit(1)
        with shown() as observer:
            settled = run(
                host_path,
                lambda warden: warden.reclaim(domain, cold=cold, observer=observer),
                fenced=fenced,
            )
    if as_json:
        output.as_json({"reclaim": found.as_json(), "settled": settled.as_json()})
    else:
        click.echo(f"{domain}: {settled.outcome}: {settled.detail}")


def told(found: Reclaimable) -> list[str]:
    """Say in plain words what was seen, what will be done, and what is at stake."""
    there = found.destination
    when = (
        f" {found.released_seconds_ago:.0f} s ago" if found.released_seconds_ago is not None else ""
    )
    seen = [f"{found.host} released {found.domain} to {there}{when}; its copy here: {found.state}"]
    seen += [f"{peer} {_said(answer)}" for peer, answer in found.answers.items()]
    undone = ", ".join(found.recovers)
    will = [f"take epoch {found.epoch}, so that no other host can own it any more"]
    if undone:
        will.append(f"undo what the move began, device by device: {undone}")
    if found.cold:
        will.append("destroy the copy here and close its devices; nothing runs afterwards")
        stake = [
            "all that the guest had in memory is lost; it boots from its disks as after a power cut"
        ]
    else:
        end = "let it run" if found.running else "leave it paused, as it was"
        will.append(f"resume the suspended copy here: {end}")
        stake = [
            f"if {there} ran it even for a moment, its disks have gone on: this copy would write"
            " over them from an older memory and destroy them; then use --cold",
        ]
    stake.append(f"if {there} still runs it, it runs twice: make sure that its power is off")
    return [
        "seen:",
        *(f"  {line}" for line in seen),
        "this will:",
        *(f"  {line}" for line in will),
        "at stake:",
        *(f"  {line}" for line in stake),
    ]


def _said(answer: EpochAnswer | None) -> str:
    if answer is None:
        return "does not answer, and was named fenced"
    if answer.epoch == 0:
        return "never had it"
    return f"had it before, until epoch {answer.epoch}; no copy is there"
