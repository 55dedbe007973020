"""A real guest with a disk that both hosts reach moves, or comes back, without losing its disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from domwarden.contract import Definition, QemuArgument, RunState
from domwarden.testing.console import Console

from .lab import CARD, MOVE, NAME, FixedRoom, Lab, definition, ignore, lab

pytestmark = [pytest.mark.live, pytest.mark.time_limit(180)]


def _room(image: Path) -> FixedRoom:
    file = {"driver": "file", "filename": str(image), "node-name": "root-file"}
    node = {"driver": "raw", "file": "root-file", "node-name": "root"}
    card = {"driver": "virtio-blk-pci", "id": "root", "drive": "root"}
    arguments = [
        QemuArgument("blockdev", file),
        QemuArgument("blockdev", node),
        QemuArgument("device", card),
    ]
    return FixedRoom({"watchdog": [CARD], "root": arguments})


def _image(root: Path) -> Path:
    image = root / "disk.raw"
    with image.open("wb") as file:
        file.truncate(2**20)
    return image


async def _sent(made: Lab, live: Definition, *, activate: bool | None = None) -> None:
    incoming = made.engine("b").incoming(NAME, MOVE)
    outgoing = made.engine("a").outgoing(live, MOVE)
    await outgoing.precopy(await incoming.listen(live, made.room), ignore)
    await outgoing.complete(ignore)
    await incoming.received()
    if activate is not None:
        await incoming.activate(run=activate)


async def test_a_guest_counts_on_its_disk_across_a_move(tmp_path: Path) -> None:
    async with lab(tmp_path) as made:
        made.room = _room(_image(tmp_path))
        live = await made.boot(definition())
        async with await Console.connect(made.console("a")) as console:
            await console.command("count start vda")
            await console.wait_count(5)
        await _sent(made, live, activate=True)
        await made.engine("a").stop(NAME)
        last = await made.count("b")
        async with await Console.connect(made.console("b")) as console:
            await console.wait_ready()
            text = await console.command("read vda 0 20")
        # Each number is on the disk before it is told, so one more may be there.
        assert text.startswith((f"count {last}\\x0a", f"count {last + 1}\\x0a"))


async def test_a_source_takes_its_disk_back_from_a_held_destination(tmp_path: Path) -> None:
    """The held copy has the whole stream and not the image's lock (late-block-activate)."""
    async with lab(tmp_path) as made:
        made.room = _room(_image(tmp_path))
        live = await made.boot(definition())
        await _sent(made, live)
        assert await made.state("b") == RunState.RECEIVED
        await made.engine("a").outgoing(live, MOVE).abort(resume=True)
        async with await Console.connect(made.console("a")) as console:
            await console.wait_ready()
            assert await console.command("write vda 5000 mine again") == "wrote 10"


async def test_a_guest_that_never_ran_here_is_not_sent_on(tmp_path: Path) -> None:
    async with lab(tmp_path) as made:
        made.room = _room(_image(tmp_path))
        live = await made.boot(definition())
        await made.engine("a").pause(NAME)
        await _sent(made, live, activate=False)
        await made.engine("a").stop(NAME)
        onward = made.engine("b").outgoing(live, "move-2")
        assert [refusal.code for refusal in await onward.blockers()] == ["never-ran-here"]
        await made.engine("b").resume(NAME)
        await made.answers("b")
        assert await onward.blockers() == []
