"""What a domain's file and a host's file may say about TPMs."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

import voluptuous as vol

from domwarden.contract import Host, duration, path

TOOL_TIMEOUT_SECONDS = 30.0


class Move(enum.StrEnum):
    """How the TPM's state reaches the other host."""

    #: The file does not say: the domain does not move.
    UNKNOWN = "unknown"
    #: In the hypervisor's own stream.
    STREAM = "stream"
    #: By the external tool of the host file.
    TOOL = "tool"


class Model(enum.StrEnum):
    """The guest's interface to its TPM."""

    TIS = "tis"
    CRB = "crb"


SCHEMA = {
    "move": vol.In([Move.STREAM.value, Move.TOOL.value]),
    "model": vol.In([model.value for model in Model]),
    "key_file": path,
}

HOST_SCHEMA = {
    "tool": vol.All([str], vol.Length(min=1)),
    "timeout": duration,
}


@dataclasses.dataclass(frozen=True)
class Options:
    """One TPM's validated options; ``key_file`` is empty where its state is not encrypted."""

    move: Move
    model: Model
    key_file: str

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Options:
        """Fill in what the file leaves out; how to move is never assumed."""
        return cls(
            move=Move(options.get("move", Move.UNKNOWN)),
            model=Model(options.get("model", Model.TIS)),
            key_file=str(options.get("key_file", "")),
        )


@dataclasses.dataclass(frozen=True)
class ToolSettings:
    """The host's external tool: how its command line begins, and how long a call may take."""

    command: tuple[str, ...]
    timeout_seconds: float

    @classmethod
    def of(cls, host: Host) -> ToolSettings:
        """Read the host file's section ``tpm``; without a tool ``command`` is empty."""
        settings = host.settings("tpm")
        return cls(
            tuple(settings.get("tool", ())),
            float(settings.get("timeout", TOOL_TIMEOUT_SECONDS)),
        )
