"""Words for what an earlier run left of a domain, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from domwarden.cli import output

#: What was tried to be settled and is not, by the values of ``migration.Outcome``.
STUCK = frozenset({"unknown", "waiting", "broken"})


def attention(status: Mapping[str, Any]) -> str:
    """Say what of a domain needs somebody's attention, or nothing."""
    tried = {one["migration"]: one for one in status["settled"] if one["outcome"] in STUCK}
    found = []
    for move in status["operations"]:
        one = tried.pop(move["migration"], None)
        what = f"unfinished migration {move['migration']}"
        if one is not None and (one["busy"] or one["outcome"] != "waiting"):
            what = f"{what}: {one['outcome']}"
        found.append(f"{what}: {move['waits_for']}" if move["waits_for"] else what)
    for migration, one in tried.items():
        what = f"migration {migration}" if migration else "start or stop"
        found.append(f"unfinished {what}: {one['outcome']}: {one['detail']}")
    return "; ".join(found) or str(status["broken"])


def tell_settled(settled: Iterable[Mapping[str, Any]]) -> None:
    """Tell, on stderr, that what an earlier run left is settled now."""
    for one in settled:
        if one["outcome"] not in STUCK:
            output.say(f"{one['domain']}: settled what an earlier run left: {one['outcome']}")
