"""A save is refused whole when it is damaged, foreign or newer."""

import dataclasses

import pytest

from domwarden.contract import (
    EngineError,
    RunState,
)
from domwarden.testing.engines.bench import started

from .helpers import definition, make_bench, no_progress, state


async def saved(bench, path):
    live = await started(bench)
    outgoing = bench.source.outgoing(live, "save")
    await outgoing.precopy({"file": str(path)}, no_progress)
    await outgoing.suspend()
    await outgoing.complete(no_progress)
    return live


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "absent"])
async def test_damaged_save_is_refused_with_one_line(tmp_path, damage):
    bench, path = make_bench(tmp_path), tmp_path / "stream"
    live = await saved(bench, path)
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[:-100])
    elif damage == "flip":
        path.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
    incoming = bench.destination.incoming("web1", "restore")

    async def restore():
        await incoming.listen(live, bench.room(bench.destination), {"file": str(path)})
        await incoming.received()

    with pytest.raises(EngineError, match=r"stream|save"):
        await restore()
    with pytest.raises(EngineError):
        await incoming.activate(run=True)
    await incoming.discard()
    assert await state(bench, bench.destination) is RunState.ABSENT
    await bench.source.outgoing(live, "save").abort(resume=True)
    assert await bench.answers(bench.source)


async def test_save_is_readable_by_its_owner_only(tmp_path):
    bench, path = make_bench(tmp_path), tmp_path / "stream"
    await saved(bench, path)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_newer_stream_version_is_refused_before_anything_starts(tmp_path):
    bench = make_bench(tmp_path)
    newer = dataclasses.replace(definition(), live={"stream": 2})
    with pytest.raises(EngineError, match="version 2"):
        await bench.source.realize(newer, bench.room(bench.source))
