"""``domwarden watch``: the history of expiries, then each new one as it is recorded."""

from __future__ import annotations

import asyncio
import datetime
import itertools
import json
from pathlib import Path

import click

from domwarden.cli import output
from domwarden.cli.attention import attention, tell_settled
from domwarden.cli.options import host_option, json_option
from domwarden.contract.watchdog import Expiry

#: How often the journal is asked for new expiries.
INTERVAL_SECONDS = 0.5
#: How often it is seen to, in such intervals, that somebody records them.
SUPERVISED_ROUNDS = 20


@click.command
@click.argument("domain", required=False)
@click.option("--once", is_flag=True, help="Show the history and end.")
@host_option
@json_option
def command(domain: str | None, once: bool, host_path: Path | None, as_json: bool) -> None:
    """Show watchdog expiries of DOMAIN, or of all, until interrupted.

    What an earlier run left unfinished is settled first, as far as it goes now.
    """
    from domwarden.cli.with_warden import run
    from domwarden.warden import Warden

    def show(expiry: Expiry) -> None:
        if as_json:
            click.echo(json.dumps(expiry.as_json()))
            return
        at = datetime.datetime.fromtimestamp(expiry.at).astimezone().isoformat(" ", "milliseconds")
        click.echo(f"{at}  {expiry.domain}  {expiry.driver}  {expiry.action}  {expiry.detail}")

    async def follow(warden: Warden) -> None:
        seen: dict[str, int] = {}
        for status in await warden.status(domain, observer=tell_settled):
            if attention(status):
                output.say(f"{status.name}: {attention(status)}")
        for rounds in itertools.count(1):
            for name in [domain] if domain else await warden.names():
                history = await warden.expiries(name)
                for expiry in history[seen.get(name, 0) :]:
                    show(expiry)
                seen[name] = len(history)
            if once:
                return
            await asyncio.sleep(INTERVAL_SECONDS)
            if rounds % SUPERVISED_ROUNDS == 0:
                await warden.keep_supervised(domain)

    try:
        run(host_path, follow)
    except KeyboardInterrupt:
        output.say("")
