"""Whether a person may take a released domain back from a host that is gone for good."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

from domwarden.contract import Refusal, RunState
from domwarden.plan.epochs import UNSEEN_EPOCHS, EpochAnswer, claim
from domwarden.plan.views import Decision, Fact, View

#: The released copy is here, whole, and stands still.
_KEPT = frozenset({RunState.SUSPENDED, RunState.DEPARTED})
_GONE = frozenset({RunState.ABSENT, RunState.ENDED})


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Every reason against reclaiming; none, and ``epoch`` may be taken.

    ``cold_only`` says why the suspended copy may not run again; empty where it may.
    """

    epoch: int
    refusals: tuple[Refusal, ...] = ()
    cold_only: str = ""


def reclaim(
    source: View,
    own: int,
    destination: str,
    answers: Mapping[str, EpochAnswer | None],
    *,
    fenced: Collection[str],
    cold: bool = False,
) -> Verdict:
    """Judge a reclaim of the domain of one unfinished move at its source.

    ``own`` is the epoch under which the domain was released, ``answers`` what each peer says, None
    for silence. With ``cold`` the suspended copy is to be destroyed instead of resumed.
    """
    epoch = own + UNSEEN_EPOCHS
    refusals = [*_not_released(source, destination), *_not_fenced(destination, answers, fenced)]
    refusals += claim(own, answers, fenced={*fenced, destination})[1]
    cold_only = _cold_only(source, destination)
    if not refusals and cold_only and not cold:
        refusals.append(
            Refusal(
                code="cold-start-only",
                reason=cold_only,
                remedy="with --cold the move is ended here; then start the domain from its file",
            )
        )
    return Verdict(epoch, tuple(refusals), cold_only)


def _not_released(source: View, destination: str) -> list[Refusal]:
    if source.decision is Decision.UNKNOWN:
        return [
            Refusal(
                code="journal-lost",
                reason="this host's journal does not say whether the domain was released",
                remedy="bring the journal back, or find out by hand which copy is the right one",
            )
        ]
    if source.decision is not Decision.RELEASED:
        return [
            Refusal(
                code="not-released",
                reason=f"the domain was never released to {destination}: it comes back by itself",
                remedy="run `domwarden recover`",
            )
        ]
    if source.done or source.facts & {Fact.RETURNED, Fact.RECLAIMED, Fact.STOPPED}:
        return [
            Refusal(
                code="decided",
                reason="who owns the domain is decided, only the rest of the move is to be done",
                remedy="run `domwarden recover`",
            )
        ]
    if source.state not in _KEPT | _GONE:
        return [
            Refusal(
                code="unclear-copy",
                reason=f"the copy here was released, yet it is {source.state}",
                remedy="look at its hypervisor: only a copy that stands still, or none, is safe",
            )
        ]
    return []


def _not_fenced(
    destination: str, answers: Mapping[str, EpochAnswer | None], fenced: Collection[str]
) -> list[Refusal]:
    found = []
    if destination not in fenced and answers.get(destination) is None:
        found.append(
            Refusal(
                code="not-fenced",
                reason=f"the domain was released to {destination}, which may run it",
                remedy=f"make sure that {destination} is off for good, then name it fenced",
                host=destination,
            )
        )
    for peer in (*answers, *(name for name in fenced if name not in answers)):
        if peer not in answers and peer != destination:
            found.append(
                Refusal(
                    code="unknown-host",
                    reason=f"{peer} is no peer of this host",
                    remedy=f"its peers: {', '.join(sorted(answers)) or 'none'}",
                )
            )
        elif answers.get(peer) is not None and (peer in fenced or peer == destination):
            found.append(
                Refusal(
                    code="answers",
                    reason=f"{peer} answers, so it is not off",
                    remedy="run `domwarden recover`: the two hosts settle the move",
                    host=peer,
                )
            )
    return found


def _cold_only(source: View, destination: str) -> str:
    if source.facts & {Fact.RAN, Fact.FINISHED}:
        return (
            f"the domain was seen running on {destination}: the suspended copy here is older than"
            " its disks, and would destroy what they hold"
        )
    if source.state in _GONE:
        return f"the suspended copy is not here any more ({source.state})"
    return ""
