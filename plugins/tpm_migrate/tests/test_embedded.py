"""TPMs in real moves between two embedded hosts, in the stream and by an external tool."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest

from domwarden.contract import EmbeddedControl
from domwarden.testing.devices import check_device
from domwarden.testing.ways import move_checks
from domwarden.testing.world import DOMAIN, Device
from domwarden_tpm_migrate import Tpm

DIGEST = hashlib.sha256(b"measured").digest()
EXTENDED = hashlib.sha256(bytes(32) + DIGEST).hexdigest()

#: Copies the state at step 3, as a site's own tool would; ROOT has the hosts' state directories.
TOOL = """
import pathlib, shutil, sys
root, words = pathlib.Path(sys.argv[1]), sys.argv[2:]
here = pathlib.Path(sys.argv[0]).stem
with (root / "calls").open("a") as calls:
    calls.write(here + " " + " ".join(words) + "\\n")
given = dict(zip(words[::2], words[1::2]))
there = root / given["-host"] / "domains" / given["-domname"] / "tpm0.tpm"
if "-recover" in words:
    shutil.rmtree(there, ignore_errors=True)
elif given["-step"] == "3" and (root / given["-host"]).is_dir():
    mine = root / here / "domains" / given["-domname"] / "tpm0.tpm"
    there.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(mine, there, dirs_exist_ok=True)
"""


class Tpms:
    """One TPM whose state must be in one place."""

    def __init__(self, directory: Path, move: str) -> None:
        directory.mkdir()
        self.world: Any = None
        self.settings: dict[str, Any] = {}
        self._directory = directory
        if move == "tool":
            for name in ("a", "b"):
                tool = directory / f"{name}.py"
                tool.write_text(TOOL)
                command = [sys.executable, str(tool), str(directory / "hosts")]
                self.settings[name] = {"tpm": {"tool": command, "timeout": "10s"}}
        self.devices = {"tpm0": Device("tpm", Tpm, {"move": move})}

    def calls(self) -> list[str]:
        return (self._directory / "hosts" / "calls").read_text().splitlines()


def adopt(tpms: Tpms, world: Any) -> None:
    """Show the tool where the world's hosts are."""
    tpms.world = world
    (tpms._directory / "hosts").symlink_to(world.hosts["a"].state_directory.parent)


async def command(world: Any, name: str, **arguments: Any) -> Any:
    engine = world._engine("", world.hosts[world.place()])
    return await engine.control(DOMAIN, EmbeddedControl).command("tpm0", name, arguments)


def states(world: Any, host: str) -> list[str]:
    directory = world.hosts[host].domain_directory(DOMAIN)
    if not directory.is_dir():
        return []
    return sorted(entry.name for entry in directory.iterdir() if "tpm" in entry.name)


@pytest.mark.parametrize("check", move_checks(), ids=lambda check: check.__name__)
async def test_tpms_take_part_in_every_way_to_move(
    check: Any, move_world: Any, tmp_path: Path
) -> None:
    """Wherever a move succeeds, fails or dies, the state is where the domain is."""
    seen: dict[str, Any] = {}

    def settled(host: str | None) -> None:
        world = seen["world"]
        for name in world.hosts:
            wanted = ["tpm0.tpm"] if name == host else []
            if host is not None:
                assert states(world, name) == wanted, name

    class Remembering:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        async def __aenter__(self) -> Any:
            seen["world"] = await self._inner.__aenter__()
            return seen["world"]

        async def __aexit__(self, *error: object) -> Any:
            return await self._inner.__aexit__(*error)

    devices = {"tpm0": Device("tpm", Tpm, {"move": "stream"})}
    await check(lambda: Remembering(move_world(devices, settled=settled)))


@pytest.mark.parametrize("move", ["stream", "tool"])
async def test_pcr_and_nv_memory_arrive_there_and_back(
    move: str, move_world: Any, tmp_path: Path
) -> None:
    """PCRs keep their values over two moves, and the old places are empty."""
    tpms = Tpms(tmp_path / "tpms", move)
    async with move_world(tpms.devices, settings=tpms.settings) as world:
        adopt(tpms, world)
        await world.start()
        await command(world, "extend", pcr=16, digest=DIGEST.hex())
        for there, here in (("b", "a"), ("a", "b")):
            moved = await world.migrate()
            assert moved.arrived, moved
            assert not moved.alarms
            assert await command(world, "pcr", pcr=16) == EXTENDED
            assert states(world, there) == ["tpm0.tpm"]
            assert states(world, here) == []


async def test_a_pcr_survives_a_save_and_its_restore(move_world: Any, tmp_path: Path) -> None:
    """The saved PCR is there again, and the state is in one place."""
    tpms = Tpms(tmp_path / "tpms", "stream")
    async with move_world(tpms.devices) as world:
        await world.start()
        await command(world, "extend", pcr=16, digest=DIGEST.hex())
        assert (await world.save()).arrived
        restored = await world.restore()
        assert restored.arrived, restored
        assert await command(world, "pcr", pcr=16) == EXTENDED
        assert states(world, "a") == ["tpm0.tpm"]


async def test_a_state_written_since_the_save_is_not_overwritten(
    move_world: Any, tmp_path: Path
) -> None:
    """A restore over a newer TPM would take its guest's keys back in time."""
    tpms = Tpms(tmp_path / "tpms", "stream")
    async with move_world(tpms.devices) as world:
        await world.start()
        assert (await world.save()).arrived
        newer = world.hosts["a"].domain_directory(DOMAIN) / "tpm0.tpm" / "state.json"
        newer.write_text("{}")
        assert (await world.restore()).codes == ["tpm-state-exists"]
        assert newer.read_text() == "{}"


async def test_the_tool_is_called_at_every_step_with_xends_arguments(
    move_world: Any, tmp_path: Path
) -> None:
    """Steps 0 to 3 with the destination's name; on recovery the last one, with -recover."""
    tpms = Tpms(tmp_path / "tpms", "tool")
    async with move_world(tpms.devices, settings=tpms.settings) as world:
        from domwarden.contract import End, Step

        adopt(tpms, world)
        await world.start()
        failed = await world.migrate(fail_at=(End.SOURCE, Step.START))
        assert not failed.arrived
        common = f"-host b -domname {DOMAIN}"
        assert tpms.calls() == [
            f"a -type vtpm -step 0 {common}",
            f"a -type vtpm -step 1 {common}",
            f"a -type vtpm -step 2 {common}",
            f"a -type vtpm -step 2 {common} -recover",
        ]
        assert (await world.migrate()).arrived
        steps = [line.split()[4] for line in tpms.calls()[4:]]
        assert steps == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("options", "code"), [({}, "no-move"), ({"move": "tool"}, "no-tool")], ids=["none", "tool"]
)
async def test_a_tpm_that_cannot_move_is_refused_with_a_remedy(
    options: dict[str, str], code: str, move_world: Any
) -> None:
    """Neither stream nor tool, or a tool that the host does not have: refused at TEST."""
    async with move_world({"tpm0": Device("tpm", Tpm, options)}) as world:
        await world.start()
        refused = await world.migrate()
        assert refused.codes == [code]
        assert "move: stream" in refused.refusals[0].remedy


async def test_another_tpms_state_at_the_destination_is_refused_and_kept(move_world: Any) -> None:
    """A state that is there belongs to somebody."""
    async with move_world({"tpm0": Device("tpm", Tpm, {"move": "stream"})}) as world:
        await world.start()
        other = world.hosts["b"].domain_directory(DOMAIN) / "tpm0.tpm" / "state.json"
        other.parent.mkdir(parents=True)
        other.write_text("keys")
        assert (await world.migrate()).codes == ["tpm-state-exists"]
        assert other.read_text() == "keys"


def test_the_driver_keeps_its_contract() -> None:
    """Schema, hooks and their answers are what the contract wants."""
    check_device(
        Tpm,
        {"move": "stream", "model": "crb"},
        refused=[{"move": "walk"}, {"model": "3.0"}, {"key_file": 1}],
        engine_hooks=("attach", "qemu_args"),
        host_settings={"tool": ["/bin/true"], "timeout": "5s"},
    )
