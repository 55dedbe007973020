"""``domwarden watch``: the history of expiries, then each new one as it is recorded."""

from __future__ import annotations

import asyncio
import datetime
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from domwarden.cli import output
from domwarden.cli.options import host_option, json_option

if TYPE_CHECKING:
    from domwarden.client.connection import Service
    from domwarden.warden import Warden

#: How often the journal is asked for new expiries.
INTERVAL_SECONDS = 0.5
#: How often it is seen to, in such intervals, that somebody records them.
SUPERVISED_ROUNDS = 20

#: Called with each expiry as plain data.
Show = Callable[[Mapping[str, Any]], None]


@click.command
@click.argument("domain", required=False)
@click.option("--once", is_flag=True, help="Show the history and end.")
@host_option
@json_option
def command(domain: str | None, once: bool, host_path: Path | None, as_json: bool) -> None:
    """Show watchdog expiries of DOMAIN, or of all, until interrupted.

    What an earlier run left unfinished is settled first, as far as it goes now.
    """
    from domwarden.cli.asking import service
    from domwarden.cli.attention import attention
    from domwarden.cli.status import settled_and_seen

    def show(expiry: Mapping[str, Any]) -> None:
        if as_json:
            click.echo(json.dumps(expiry))
            return
        at = datetime.datetime.fromtimestamp(expiry["at"]).astimezone()
        told = ("domain", "driver", "action", "detail")
        when = at.isoformat(" ", "milliseconds")
        click.echo("  ".join((when, *(str(expiry[name]) for name in told))))

    try:
        found = settled_and_seen(host_path, domain)
        for status in found:
            if attention(status):
                output.say(f"{status['name']}: {attention(status)}")
        names = [status["name"] for status in found]
        if (there := service(host_path)) is None:
            from domwarden.cli.with_warden import run

            run(host_path, lambda warden: _alone(warden, domain, show, once=once))
        elif once:
            _History(there, show).catch_up(names)
        else:
            _asked(there, names, domain, show)
    except KeyboardInterrupt:
        output.say("")


async def _alone(warden: Warden, domain: str | None, show: Show, *, once: bool) -> None:
    seen: dict[str, int] = {}
    for rounds in itertools.count(1):
        for name in [domain] if domain else await warden.names():
            history = await warden.expiries(name)
            for expiry in history[seen.get(name, 0) :]:
                show(expiry.as_json())
            seen[name] = len(history)
        if once:
            return
        await asyncio.sleep(INTERVAL_SECONDS)
        if rounds % SUPERVISED_ROUNDS == 0:
            await warden.keep_supervised(domain)


def _asked(there: Service, names: list[str], domain: str | None, show: Show) -> None:
    """Show the history, then what follows it, which an open stream of events does not miss."""
    from domwarden.client.following import through_restarts

    history = _History(there, show)
    for kind, data in through_restarts(there, "/v1/events"):
        if kind == "open":
            history.catch_up(names)
        elif kind == "expiry" and domain in {None, data["domain"]}:
            history.hear(data)


class _History:
    """The expiries that were shown of each domain."""

    def __init__(self, there: Service, show: Show) -> None:
        self._there = there
        self._show = show
        self._seen: dict[str, list[Mapping[str, Any]]] = {}
        #: What may come once more as an event.
        self._fresh: list[Mapping[str, Any]] = []

    def catch_up(self, names: Iterable[str]) -> None:
        """Show what was recorded meanwhile, of these domains and of all that were heard of."""
        self._fresh = []
        for name in dict.fromkeys((*names, *self._seen)):
            history = self._there.ask("GET", f"/v1/domains/{name}/expiries")
            self._fresh += history[len(self._seen.get(name, ())) :]
            self._seen[name] = history
        for expiry in self._fresh:
            self._show(expiry)

    def hear(self, expiry: Mapping[str, Any]) -> None:
        """Show one that was recorded just now."""
        if expiry in self._fresh:
            self._fresh.remove(expiry)
            return
        self._seen.setdefault(expiry["domain"], []).append(expiry)
        self._show(expiry)
