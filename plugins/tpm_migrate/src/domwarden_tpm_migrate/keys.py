"""The key that encrypts a TPM's state, compared across hosts without being told."""

from __future__ import annotations

import hashlib
from pathlib import Path

from domwarden.contract import PermanentError

_HEX_DIGITS = {32, 64}


def fingerprint(key_file: str, migration: str) -> str:
    """Return what both ends must have in common, different in every migration.

    A key has 128 bits at least, so the keyed digest tells nobody anything.  Blocks, so call it in
    a thread; raises PermanentError for a file that holds no key, without quoting it.
    """
    if not key_file:
        return ""
    try:
        text = Path(key_file).read_text(encoding="ascii").strip().removeprefix("0x")
        key = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise PermanentError(
            f"{key_file} cannot be read as a key: {type(error).__name__}"
        ) from None
    if len(text) not in _HEX_DIGITS:
        raise PermanentError(f"{key_file} must hold 32 or 64 hexadecimal digits")
    data = f"domwarden tpm {migration}".encode()
    return hashlib.blake2b(data, key=key, digest_size=16).hexdigest()


def mode_of(key_file: str) -> str:
    """Return swtpm's name of the cipher for the key's length."""
    text = Path(key_file).read_text(encoding="ascii").strip().removeprefix("0x")
    return "aes-256-cbc" if len(text) == max(_HEX_DIGITS) else "aes-cbc"
