"""What a peer may ask of the service behind the listening end: to empty its host."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from domwarden.contract import PermanentError, Refusal

if TYPE_CHECKING:
    from domwarden.config import Peer


class Emptying(abc.ABC):
    """Who empties a host: its service."""

    @abc.abstractmethod
    def refusals(self) -> Sequence[Refusal]:
        """Return why the host receives no domain now."""

    @abc.abstractmethod
    async def asked(self, client: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what a peer that may ask says; repeating it does no harm.

        Raises DomwardenError.
        """


class _Nobody(Emptying):
    """There is no service behind the answering end."""

    def refusals(self) -> Sequence[Refusal]:
        return ()

    async def asked(self, client: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        raise PermanentError("nothing here can empty a host", hint="run `domwarden serve` here")


NOBODY: Emptying = _Nobody()


def check_allowed(host: str, client: str, peers: Mapping[str, Peer]) -> None:
    """Raise PermanentError for a peer that may not have this host emptied."""
    if not client:
        what = f"{host} does not know who asks to have it emptied"
        raise PermanentError(what, hint="have both hosts name each other by `address`")
    if client not in peers or not peers[client].may_evacuate:
        hint = (
            f"write `may_evacuate: true` under peers.{client} in the host file of {host}, and"
            f" restart its service; or run it on {host}"
        )
        raise PermanentError(f"{client} may not have {host} emptied", hint=hint)
