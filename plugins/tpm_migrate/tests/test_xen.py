"""A TPM of a guest of Xen: the external tool's alone."""

from pathlib import Path

import pytest

from domwarden.contract import Definition, Domain, Host, PermanentError
from domwarden_tpm_migrate import Tpm

HERE = Domain(Definition("web1", "u", "xen", 2**28), Host("a", Path("/state")), device="tpm0")


def test_only_the_tool_moves_a_tpm_of_xens() -> None:
    """Xen itself is told nothing; a TPM in the stream there is none."""
    assert Tpm("tpm0", {"move": "tool"}).xl_config(HERE) == {}
    with pytest.raises(PermanentError, match="move: tool"):
        Tpm("tpm0", {"move": "stream"}).xl_config(HERE)
