"""``domwarden reclaim``: a released domain comes back from a host that is gone for good."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from domwarden.cli import output
from domwarden.cli.options import domain_argument, host_option, json_option

if TYPE_CHECKING:
    from domwarden.migration import Reclaimable
    from domwarden.warden import Warden


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

    found = _looked(host_path, domain, fenced, cold=cold)
    tell_settled(found["settled"])
    settled = _done(found)
    if settled is None:
        if found["refusals"]:
            if as_json:
                output.as_json({"reclaim": found, "settled": None})
                sys.exit(1)
            from domwarden.contract import Refusal, RefusedError

            raise RefusedError([Refusal.from_json(one) for one in found["refusals"]])
        for line in told(found):
            output.say(line)
        if not yes and not click.confirm("Take it back?", err=True):
            output.say("nothing was changed")
            sys.exit(1)
        settled = _reclaimed(host_path, domain, fenced, cold=cold)
    if as_json:
        output.as_json({"reclaim": found, "settled": settled})
    else:
        click.echo(f"{domain}: {settled['outcome']}: {settled['detail']}")


def _looked(
    host_path: Path | None, domain: str, fenced: tuple[str, ...], *, cold: bool
) -> Mapping[str, Any]:
    from domwarden.cli.asking import named, service

    if (there := service(host_path)) is not None:
        where = f"/v1/domains/{named(domain)}/reclaimable"
        found: Mapping[str, Any] = there.ask("POST", where, {"fenced": fenced, "cold": cold})
        return found
    from domwarden.cli.with_warden import run

    def look(warden: Warden) -> Awaitable[Reclaimable]:
        return warden.reclaimable(domain, fenced=fenced, cold=cold)

    return run(host_path, look).as_json()


def _reclaimed(
    host_path: Path | None, domain: str, fenced: tuple[str, ...], *, cold: bool
) -> Mapping[str, Any]:
    from domwarden.cli.asking import as_data, followed, service
    from domwarden.cli.progress import shown

    with shown() as heard:
        if (there := service(host_path)) is not None:
            body = {"domain": domain, "fenced": fenced, "cold": cold}
            done: Mapping[str, Any] = followed(there, "reclaims", body, heard)
            return done
        from domwarden.cli.with_warden import run

        observer = as_data(heard)
        return run(
            host_path,
            lambda warden: warden.reclaim(domain, fenced=fenced, cold=cold, observer=observer),
        ).as_json()


def _done(found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what an interrupted reclaim came to, where this look brought it to its end."""
    over = {"reclaimed", "stopped", "ended"}
    ended = (one for one in found["settled"] if one["migration"] and one["outcome"] in over)
    return next(ended, None)


def told(found: Mapping[str, Any]) -> list[str]:
    """Say in plain words what was seen, what will be done, and what is at stake."""
    here, there, ago = found["host"], found["destination"], found["released_seconds_ago"]
    when = f" {ago:.0f} s ago" if ago is not None else ""
    copy = found["state"]
    seen = [f"{here} released {found['domain']} to {there}{when}; its copy here: {copy}"]
    seen += [f"{peer} {_said(answer)}" for peer, answer in found["answers"].items()]
    undone = ", ".join(found["recovers"])
    will = [f"take epoch {found['epoch']}, so that no other host can own it any more"]
    if undone:
        will.append(f"undo what the move began, device by device: {undone}")
    if found["cold"]:
        will.append("destroy the copy here and close its devices; nothing runs afterwards")
        stake = [
            "all that the guest had in memory is lost; it boots from its disks as after a power cut"
        ]
    else:
        end = "let it run" if found["running"] else "leave it paused, as it was"
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


def _said(answer: Mapping[str, Any] | None) -> str:
    if answer is None:
        return "does not answer, and was named fenced"
    if answer["epoch"] == 0:
        return "never had it"
    return f"had it before, until epoch {answer['epoch']}; no copy is there"
