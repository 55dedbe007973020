"""What a TPM needs around the life of its hypervisor's process."""

from __future__ import annotations

import asyncio

from domwarden.contract import Domain, End, JobContext, Movement, PermanentError
from domwarden_tpm_migrate import directories, swtpm
from domwarden_tpm_migrate.options import Move, Options
from domwarden_tpm_migrate.places import Carrier, Places, arrives, carrier


def brought_by_tool(domain: Domain, options: Options) -> bool:
    """Say whether the tool, and not the stream, brings the state to this end."""
    return options.move is Move.TOOL and carrier(domain) is not Carrier.SWTPM and arrives(domain)


async def open_tpm(domain: Domain, options: Options, _context: JobContext) -> None:
    """Make the state's directory, and start swtpm where QEMU needs it; raises PermanentError."""
    who = carrier(domain)
    if who is Carrier.UNKNOWN:
        return
    places = Places.of(domain)
    if brought_by_tool(domain, options):
        return
    if arrives(domain):
        if not (domain.ticket or {}).get("tpm"):
            raise PermanentError(f"the source has no TPM {domain.device}, but there is one here")
        if domain.movement is Movement.MIGRATE:
            await asyncio.to_thread(_require_absent, places)
        await swtpm.end(places)
        await asyncio.to_thread(directories.make_empty, places.arriving)
        state = places.arriving
    else:
        await asyncio.to_thread(_require_settled, domain, places)
        await asyncio.to_thread(directories.make, places.state)
        state = places.state
    if who is Carrier.SWTPM:
        await swtpm.start(places, state, options.key_file)


async def close_tpm(domain: Domain, _context: JobContext) -> None:
    """End swtpm; remove what arrived in a move that went back, or what a finished move left."""
    places = Places.of(domain)
    if carrier(domain) is Carrier.SWTPM:
        await swtpm.end(places)
    if arrives(domain):
        await asyncio.to_thread(directories.remove, places.arriving)
    elif domain.movement is Movement.MIGRATE and domain.end is End.SOURCE:
        # ``finish`` gave it this name, and is called only once the destination's SYNC, which makes
        # its own state durable, had succeeded and the domain ran there.
        await asyncio.to_thread(directories.remove, places.departed)


def _require_absent(places: Places) -> None:
    if directories.holds_state(places.state):
        raise PermanentError(f"{places.state} holds a TPM's state, which is never overwritten")


def _require_settled(domain: Domain, places: Places) -> None:
    """Never make a fresh TPM where the domain's own lies under another name."""
    leftovers = places.leftovers()
    if not directories.holds_state(places.state) and leftovers:
        raise PermanentError(
            f"the state of TPM {places.device} is not in {places.state.name}, but there is"
            f" {leftovers[0].name}",
            hint=f"settle that move: domwarden recover {domain.name}",
        )
