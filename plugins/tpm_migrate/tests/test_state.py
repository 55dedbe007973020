"""State directories, keys, and the model's file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden.contract import EmbeddedControl, End, PermanentError, ResetKind, Step
from domwarden.testing.machine import DeviceBench
from domwarden.testing.sides import codes
from domwarden_tpm_migrate import directories, keys
from domwarden_tpm_migrate.model import PCRS, TpmModel
from domwarden_tpm_migrate.registers import BASE, MAGIC, Command, Register, plug

from .helpers import Side, host

KEY = "00112233445566778899aabbccddeeff"


def test_a_rename_never_overwrites_a_state(tmp_path: Path) -> None:
    """An empty directory in the way is no state."""
    made, final = tmp_path / "made", tmp_path / "final"
    for directory in (made, final):
        directory.mkdir()
        (directory / "state").write_text(directory.name)
    with pytest.raises(PermanentError, match="never overwritten"):
        directories.rename(made, final)
    assert (final / "state").read_text() == "final"
    (final / "state").unlink()
    (final / ".lock").touch()
    for _ in range(2):
        directories.rename(made, final)
    assert (final / "state").read_text() == "made"


def test_a_digest_covers_names_and_contents_but_not_the_lock(tmp_path: Path) -> None:
    """Two states are the same only if all their bytes are."""
    tmp_path.joinpath("a").write_text("1")
    one = directories.digest(tmp_path)
    tmp_path.joinpath(".lock").touch()
    assert directories.digest(tmp_path) == one
    tmp_path.joinpath("a").rename(tmp_path / "b")
    assert directories.digest(tmp_path) != one
    assert directories.digest(tmp_path / "absent") == ""


def test_a_key_is_compared_and_not_told(tmp_path: Path) -> None:
    """Equal keys agree within a migration, and nothing of them can be recognised in the next."""
    mine, same, other = (tmp_path / name for name in ("mine", "same", "other"))
    mine.write_text(KEY)
    same.write_text(f"0x{KEY}\n")
    other.write_text(KEY[::-1])
    first = keys.fingerprint(str(mine), "m1")
    assert keys.fingerprint(str(same), "m1") == first
    assert keys.fingerprint(str(other), "m1") != first
    assert keys.fingerprint(str(mine), "m2") != first
    assert KEY not in first
    assert keys.fingerprint("", "m1") == ""


@pytest.mark.parametrize("text", ["", "zz", "00", KEY + "00"])
def test_what_is_no_key_is_said_without_quoting_it(tmp_path: Path, text: str) -> None:
    """A mistyped key is still a secret."""
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(PermanentError) as raised:
        keys.fingerprint(str(path), "m1")
    assert not text or text not in str(raised.value).replace(str(path), "")


async def test_two_keys_are_refused_before_anything_starts(tmp_path: Path) -> None:
    """swtpm would find out on the destination, too late."""
    sides = []
    for number, end in enumerate(End):
        key = tmp_path / f"key{number}"
        key.write_text(KEY if number else KEY[::-1])
        options = {"move": "stream", "key_file": str(key)}
        controls = {EmbeddedControl: object()}
        sides.append(Side(end, host(tmp_path, f"h{number}"), options, controls=controls))
    source, target = sides
    target.other = source
    assert await source.step(Step.TEST) == []
    assert codes(await target.step(Step.TEST)) == ["tpm-key"]


async def test_ends_that_differ_are_refused(tmp_path: Path) -> None:
    """Another interface, or nobody on one side who keeps a TPM."""
    target = Side(
        End.DESTINATION,
        host(tmp_path, "b"),
        {"move": "stream"},
        controls={EmbeddedControl: object()},
    )
    for ticket in ({"tpm": "crb", "carrier": "model"}, {"tpm": "tis", "carrier": "swtpm"}, {}):
        target.other = Side(End.SOURCE, host(tmp_path, "a"), {})
        target.other.given = ticket
        assert "tpm-differs" in codes(await target.step(Step.TEST))
    target.other = None
    with pytest.raises(PermanentError, match="the source has no TPM"):
        await target.open()


@given(
    extensions=st.lists(st.tuples(st.integers(0, PCRS - 1), st.binary(min_size=32, max_size=32))),
    nv=st.binary(max_size=2048),
)
def test_a_model_rebuilt_from_its_bytes_is_the_same(
    extensions: list[tuple[int, bytes]],
    nv: bytes,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """PCRs are chains of SHA-256; stream and file carry all of them, and NV memory."""
    directory = tmp_path_factory.mktemp("tpm")
    model = TpmModel(directory / "a", by_tool=False)
    chain = [bytes(32)] * PCRS
    for pcr, digest in extensions:
        model.extend(pcr, digest)
        chain[pcr] = hashlib.sha256(chain[pcr] + digest).digest()
    model.write_nv(nv)
    by_stream, by_file = (TpmModel(directory / name, by_tool=False) for name in "bc")
    by_stream.load(model.save())
    model.store()
    by_file.read_file(directory / "a")
    for other in (model, by_stream, by_file):
        assert [other.pcr(n) for n in range(PCRS)] == chain
        assert other.nv == nv


def test_a_guest_measures_through_registers_and_keeps_only_nv_memory(tmp_path: Path) -> None:
    """A reset clears PCRs; a new machine on the same directory has the NV memory."""

    def machine() -> DeviceBench:
        bench = DeviceBench()
        plug(bench.machine, "tpm0", TpmModel(tmp_path / "tpm", by_tool=False))
        bench.power_on()
        return bench

    def read_pcr(bench: DeviceBench) -> bytes:
        mmio = bench.machine.mmio
        mmio.write(BASE + Register.PCR, 4, 16)
        mmio.write(BASE + Register.COMMAND, 4, Command.READ_PCR)
        assert mmio.read(BASE + Register.STATUS, 4) == 0
        return bytes(mmio.read(BASE + Register.DIGEST + n, 1) for n in range(32))

    bench = machine()
    mmio = bench.machine.mmio
    assert mmio.read(BASE + Register.MAGIC, 4) == MAGIC
    mmio.write(BASE + Register.PCR, 4, 16)
    for offset in range(0, 32, 4):
        mmio.write(BASE + Register.DIGEST + offset, 4, 0x01010101)
    mmio.write(BASE + Register.COMMAND, 4, Command.EXTEND)
    assert read_pcr(bench) == hashlib.sha256(bytes(32) + b"\x01" * 32).digest()
    mmio.write(BASE + Register.NV, 4, int.from_bytes(b"keys", "little"))
    mmio.write(BASE + Register.NV_BYTES, 4, 4)
    mmio.write(BASE + Register.COMMAND, 4, Command.WRITE_NV)
    mmio.write(BASE + Register.PCR, 4, 99)
    mmio.write(BASE + Register.COMMAND, 4, Command.EXTEND)
    assert mmio.read(BASE + Register.STATUS, 4) == 1
    bench.machine.reset(ResetKind.GUEST)
    assert read_pcr(bench) == bytes(32)
    again = machine().machine.mmio
    again.write(BASE + Register.COMMAND, 4, Command.READ_NV)
    assert again.read(BASE + Register.NV_BYTES, 4) == 4
    assert again.read(BASE + Register.NV, 4) == int.from_bytes(b"keys", "little")
