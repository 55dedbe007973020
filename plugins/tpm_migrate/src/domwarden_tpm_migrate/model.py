"""A small TPM for embedded machines: a bank of PCRs and a blob of NV memory in one file."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domwarden.contract import PermanentError, ResetKind

PCRS = 24
DIGEST_BYTES = 32
NV_LIMIT_BYTES = 2048
FILE = "state.json"
_VERSION = 1


class TpmModel:
    """The TPM's state and its file.

    The file holds everything; NV memory is written through, PCRs when the machine is told to store.
    A reset clears the PCRs (TPM 2.0 part 1, 11.4.5: they restart with the platform).
    """

    def __init__(self, directory: Path, *, by_tool: bool) -> None:
        self._directory = directory
        self._by_tool = by_tool
        self._handle: int | None = None
        self._loaded = False
        self._pcrs = [bytes(DIGEST_BYTES)] * PCRS
        self._nv = b""

    def extend(self, pcr: int, digest: bytes) -> None:
        """Set a PCR to SHA-256 of its value and the digest; raises ValueError."""
        if not 0 <= pcr < PCRS or len(digest) != DIGEST_BYTES:
            raise ValueError("a PCR is 0 to 23, a digest 32 bytes")
        self._need()
        self._pcrs[pcr] = hashlib.sha256(self._pcrs[pcr] + digest).digest()

    def pcr(self, pcr: int) -> bytes:
        """Return a PCR; raises ValueError."""
        if not 0 <= pcr < PCRS:
            raise ValueError("a PCR is 0 to 23")
        self._need()
        return self._pcrs[pcr]

    @property
    def nv(self) -> bytes:
        """NV memory."""
        self._need()
        return self._nv

    def write_nv(self, data: bytes) -> None:
        """Replace NV memory, durably; raises ValueError."""
        if len(data) > NV_LIMIT_BYTES:
            raise ValueError(f"NV memory holds {NV_LIMIT_BYTES} bytes")
        self._need()
        self._nv = bytes(data)
        self.store()

    def reset(self, _kind: ResetKind) -> None:
        """Start over with the platform."""
        self._need()
        self._pcrs = [bytes(DIGEST_BYTES)] * PCRS

    def save(self) -> bytes:
        """Return the state for the stream; where the tool moves it, only that it does."""
        if self._by_tool:
            return json.dumps({"version": _VERSION, "by": "tool"}).encode()
        self._need()
        return self._encoded()

    def load(self, data: bytes) -> None:
        """Take the state from the stream; raises ValueError."""
        self._decode(data)

    def store(self, directory: Path | None = None) -> None:
        """Write the state into its directory, whole or not at all; raises OSError.

        The directory is kept open: it may be renamed while the machine runs.
        """
        if directory is not None:
            self._use(directory)
        folder = self._folder()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        handle = os.open(f"{FILE}.new", flags, 0o600, dir_fd=folder)
        try:
            os.write(handle, self._encoded())
            os.fsync(handle)
        finally:
            os.close(handle)
        os.rename(f"{FILE}.new", FILE, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)

    def read_file(self, directory: Path) -> None:
        """Take the state that the tool brought; raises PermanentError."""
        self._use(directory)
        try:
            self._decode((directory / FILE).read_bytes())
        except (OSError, ValueError) as error:
            raise PermanentError(f"the tool brought no TPM state: {error}") from error

    def _use(self, directory: Path) -> None:
        if directory != self._directory:
            self._directory, self._handle = directory, None

    def _folder(self) -> int:
        if self._handle is None:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handle = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            weakref.finalize(self, os.close, self._handle)
        return self._handle

    def _need(self) -> None:
        """Read NV memory from the file at first use; PCRs begin with the platform."""
        if self._loaded:
            return
        self._loaded = True
        with contextlib.suppress(FileNotFoundError):
            data = (self._directory / FILE).read_bytes()
            self._nv = base64.b64decode(json.loads(data)["nv"])

    def _encoded(self) -> bytes:
        state = {
            "version": _VERSION,
            "by": "model",
            "pcrs": [pcr.hex() for pcr in self._pcrs],
            "nv": base64.b64encode(self._nv).decode(),
        }
        return json.dumps(state).encode()

    def _decode(self, data: bytes) -> None:
        state: Mapping[str, Any] = json.loads(data)
        if state.get("version") != _VERSION:
            raise ValueError("the TPM's state is of an unknown version")
        if state["by"] == "tool":
            return
        pcrs = [bytes.fromhex(pcr) for pcr in state["pcrs"]]
        nv = base64.b64decode(state["nv"])
        if len(pcrs) != PCRS or any(len(pcr) != DIGEST_BYTES for pcr in pcrs):
            raise ValueError("the TPM's state has not 24 PCRs of 32 bytes")
        self._pcrs, self._nv, self._loaded = pcrs, nv, True
