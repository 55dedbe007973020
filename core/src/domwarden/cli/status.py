"""``domwarden status``: domains, their watchdogs, unfinished work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from domwarden.cli import output
from domwarden.cli.attention import attention, tell_settled
from domwarden.cli.options import host_option, json_option


def watchdog_words(reading: Mapping[str, Any] | None) -> str:
    """Say what is known of a watchdog's timer."""
    if reading is None:
        return "-"
    if reading["armed"] == "armed" and reading["time_left_seconds"] is not None:
        return f"armed, {reading['time_left_seconds']:.1f} s left"
    return str(reading["armed"])


def state_words(status: Mapping[str, Any]) -> str:
    """Say where a domain is: what is seen of it, or why nothing is to be seen."""
    if status["moved_to"]:
        return f"moved to {status['moved_to']}"
    if status["state"] == "absent" and status["desired"] in {"saved", "stopped"}:
        return str(status["desired"])
    return str(status["state"])


def settled_and_seen(host_path: Path | None, domain: str | None) -> list[Mapping[str, Any]]:
    """Return what is known of a domain, or of all, once what an earlier run left is settled."""
    from domwarden.cli.asking import service

    found: list[Mapping[str, Any]]
    if (there := service(host_path)) is not None:
        found = there.ask("POST", "/v1/status", {"domain": domain} if domain is not None else {})
    else:
        from domwarden.cli.with_warden import run

        seen = run(host_path, lambda warden: warden.status(domain))
        found = [status.as_json() for status in seen]
    for status in found:
        tell_settled(status["settled"])
    return found


@click.command
@click.argument("domain", required=False)
@host_option
@json_option
def command(domain: str | None, host_path: Path | None, as_json: bool) -> None:
    """Show one DOMAIN, or all of this host: state, owner, and what is unfinished.

    What an earlier run left unfinished is settled first, as far as it goes now. While another
    process acts on a domain this only looks, and says so.
    """
    found = settled_and_seen(host_path, domain)
    if as_json:
        output.as_json(found)
        return
    rows = [
        (
            s["name"],
            state_words(s),
            s["engine"],
            s["owner"],
            s["epoch"],
            watchdog_words(s["watchdog"]),
            s["expiries"],
            attention(s),
        )
        for s in found
    ]
    columns = ("domain", "state", "engine", "owner", "epoch", "watchdog", "expiries", "attention")
    output.table(columns, rows)
