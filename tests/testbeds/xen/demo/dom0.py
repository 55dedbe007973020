"""A host of the story whose verbs are ``domwarden`` in its dom0."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from domwarden.cli.demo.guest import Guest
from domwarden.cli.demo.place import DOMAIN
from domwarden.cli.progress import Lines
from domwarden.contract import Armed, DomwardenError, Expiry, Reading
from domwarden.migration import Moment, Moved, Observer

from .. import guests
from ..wardens import LICENCE, LICENCES, VERB_SECONDS, Warden
from .guest import XenGuest

#: Of the watchdog.  Xen's timer runs on while the guest stands still, and a move that predicts a
#: stand-still as long as that is refused; an emulated host on a busy machine predicts seconds.
TIMEOUT_SECONDS = 30
FOLDER = "/var/test/demo"
DISK = f"{FOLDER}/web1.img"
#: A copied disk is compared while the guest stands still, in two emulated hosts.
DISK_BYTES = 2 << 20
MAC = "00:16:3e:00:00:01"
_WATCH = f"""
domwarden watch {DOMAIN} --json > /run/expiries & watch=$!
until [ -s /run/expiries ] || ! kill -0 $watch; do sleep 0.5; done
kill $watch
cat /run/expiries
"""


@dataclass
class Dom0:
    """A host of the story: its verbs are ``domwarden`` in its dom0."""

    warden: Warden
    screen: Lines

    @property
    def name(self) -> str:
        """The host's name."""
        return self.warden.name

    async def start(self) -> None:
        """Start the domain from a file."""
        await self.warden.start(
            DOMAIN,
            watchdog={"driver": "xen_wdt", "timeout": f"{TIMEOUT_SECONDS}s", "action": "reset"},
            devices={
                "root": {"driver": "blk", "source": DISK, "format": "raw", "placement": "copy"},
                "eth0": {"driver": "net", "bridge": guests.BRIDGE, "mac": MAC},
                "cad": {"driver": "licence", "licence": LICENCE},
            },
        )

    async def stop(self) -> None:
        """End the domain, if it is here."""
        if DOMAIN in await guests.names(self.warden.host):
            (await self.warden.run("stop", DOMAIN)).check()

    @asynccontextmanager
    async def guest(self) -> AsyncIterator[Guest]:
        """Reach the guest on its console."""
        async with AsyncExitStack() as stack:
            yield XenGuest(self.warden.host, stack)

    async def expiry(self) -> Expiry:
        """Hear what ``domwarden watch`` shows first."""
        shown = await self.warden.host.output("sh", "-c", _WATCH, timeout_seconds=VERB_SECONDS)
        return Expiry.from_json(json.loads(shown.splitlines()[0]))

    async def plan(self, peer: str) -> tuple[int, float]:
        """Ask both ends."""
        done = await self.warden.run("plan", DOMAIN, "--to", peer, "--json")
        if not done.stdout:
            done.check()
        found = json.loads(done.stdout)
        return len(found["refusals"]), found["predicted_blackout_seconds"]

    async def migrate(self, peer: str, observer: Observer) -> Moved:
        """Move the domain; its licence must go along."""
        licences = [await self._licences()]
        with self.screen.waiting("the domain moves", VERB_SECONDS):
            moved = await self.warden.json("migrate", DOMAIN, "--to", peer, "--timeline")
        for moment in moved.pop("moments"):
            observer(Moment.from_json(moment))
        licences.append(await self._licences())
        wanted = [f"{LICENCE}.held.{host}.{DOMAIN}" for host in (self.name, peer)]
        if licences != wanted:
            raise DomwardenError(f"the licence did not go along: {licences}, not {wanted}")
        self.screen.say(f"the licence went along: {licences[0]} is {licences[1]}")
        return Moved(**{**moved, "alarms": tuple(moved["alarms"])})

    async def reading(self) -> Reading:
        """Look at the domain."""
        (status,) = await self.warden.json("status", DOMAIN)
        return Reading(**{**status["watchdog"], "armed": Armed(status["watchdog"]["armed"])})

    async def _licences(self) -> str:
        return (await self.warden.host.output("ls", LICENCES)).strip()
