"""Hosts, with the two ends of a move, for tests of the TPM driver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from domwarden.contract import DeviceEntry, End, Host
from domwarden.testing import sides
from domwarden_tpm_migrate import Tpm


class Side(sides.Side):
    """One end of a move of one TPM."""

    def __init__(self, end: End, host: Host, options: dict[str, Any], **more: Any) -> None:
        super().__init__(end, host, Tpm, DeviceEntry("tpm0", "tpm", options), **more)


def host(directory: Path, name: str, **tpm: Any) -> Host:
    state = directory / name
    state.mkdir(exist_ok=True)
    return Host(name, state, {"tpm": tpm} if tpm else {})
