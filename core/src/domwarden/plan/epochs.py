"""Whether a host may take a domain that runs nowhere, judged by the epochs its peers know."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

from domwarden.contract import Refusal

#: A host that is fenced and silent may know this many epochs more than everybody who was asked.
UNSEEN_EPOCHS = 1_000_000


@dataclasses.dataclass(frozen=True)
class EpochAnswer:
    """What a host says of a domain: the highest epoch it knows (0: none), and of a copy there.

    ``saved`` says whether its journal knows the save that was asked about: whoever makes a save
    writes that down with the release, and never for a save that was given up. ``busy`` says that
    somebody acts on the domain there: what it knows may be old at once.
    """

    epoch: int = 0
    copy: bool = False
    saved: bool = False
    busy: bool = False


def claim(
    own: int,
    answers: Mapping[str, EpochAnswer | None],
    *,
    fenced: Collection[str] = (),
    saved: int | None = None,
    maker: str = "",
) -> tuple[int, tuple[Refusal, ...]]:
    """Return the epoch that the host may take, and every reason why it may not take it.

    ``answers`` maps each peer of the host file to its answer, None for silence: silence counts as
    owner, unless the operator names that host fenced. An equal or higher epoch refuses; for a
    restore only one higher than that of the save (``saved``), whose host (``maker``, if it is
    another one) knows it too. Past a fenced host that said nothing the epoch leaps, so that it
    takes nothing when it comes back.
    """
    refusals: list[Refusal] = []
    highest = own
    if maker and maker not in answers and maker not in fenced:
        refusals.append(
            Refusal(
                code="maker-unknown",
                reason=f"{maker}, which made the save, is no peer: nobody can say if it is whole",
                remedy=f"make {maker} a peer, or name it fenced once it is surely off",
            )
        )
    for peer, answer in answers.items():
        if answer is not None:
            highest = max(highest, answer.epoch)
        if peer in fenced:
            continue
        if answer is None:
            refusals.append(
                Refusal(
                    code="peer-silent",
                    reason=f"{peer} does not answer and may run the domain",
                    remedy=f"bring {peer} back, or name it fenced once it is surely off",
                    host=peer,
                )
            )
        elif answer.busy:
            refusals.append(
                Refusal(
                    code="peer-busy",
                    reason=f"{peer} acts on the domain at this moment",
                    remedy=f"wait until it is done there, and see `domwarden status` on {peer}",
                    host=peer,
                )
            )
        elif answer.copy:
            refusals.append(
                Refusal(
                    code="copy-elsewhere",
                    reason=f"a copy of the domain is on {peer}",
                    remedy="migrate it, or stop it there first",
                    host=peer,
                )
            )
        elif saved is not None:
            if answer.epoch > saved:
                refusals.append(
                    Refusal(
                        code="stale-save",
                        reason=f"the domain has run on {peer} since it was saved",
                        remedy="its disks have gone on; restore the newest save, or start it there",
                        host=peer,
                    )
                )
            elif peer == maker and not answer.saved:
                refusals.append(
                    Refusal(
                        code="unfinished-save",
                        reason=f"{peer} never gave the domain up to this save",
                        remedy=f"use the domain on {peer}, and save it again",
                        host=peer,
                    )
                )
        elif answer.epoch and answer.epoch >= own:
            refusals.append(
                Refusal(
                    code="newer-elsewhere",
                    reason=f"{peer} had the domain last (epoch {answer.epoch}, here {own})",
                    remedy=f"start it on {peer}, or name {peer} fenced to take it from here",
                    host=peer,
                )
            )
    if any(answers.get(peer, EpochAnswer()) is None for peer in fenced):
        highest += UNSEEN_EPOCHS
    return highest + 1, tuple(refusals)
