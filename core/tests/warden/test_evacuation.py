"""A host is emptied within its limits, and what stays says why."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from domwarden.contract import EngineError, PermanentError, Refusal, available_memory_bytes
from domwarden.journal import DomainRecord
from domwarden.migration import Message, Moved
from domwarden.plan import Desired, Limits, Policy, Trip
from domwarden.warden import Evacuated, Evacuator

from ..migration.helpers import faulty
from ..migration.toy_engine import ToyEngine
from ..migration.world import World
from .test_reclaim import Off, unreachable
from .test_warden import warden


class House(World):
    """A world of three hosts, with any number of domains on a."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.devices = ()
        self.hosts["c"] = dataclasses.replace(
            self.hosts["b"], name="c", state_directory=directory / "c"
        )
        self.free: dict[str, int | None] = {}

    async def fill(self, **sizes: int) -> None:
        """Start domains of these sizes on a."""
        async with self.hub("a") as hub:
            for name, size in sizes.items():
                definition = dataclasses.replace(
                    self.definition(name), memory_bytes=size, live={"machine": "toy-1"}
                )
                self.engine("a").write(name, state="running", memory=name)
                await hub.site.journal.write(DomainRecord(name, 1, Desired.RUNNING, definition))

    def running_on(self, host: str) -> set[str]:
        return {
            file.stem
            for file in self.engine(host).directory.glob("*.json")
            if self.engine(host).read(file.stem)["state"] == "running"
        }


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    made = House(tmp_path)

    async def free(self: ToyEngine) -> int | None:
        return made.free.get(self.host.name)

    monkeypatch.setattr(ToyEngine, "free_memory_bytes", free)
    return made


async def evacuate(house: House, **more: Any) -> Evacuated:
    async with warden(house) as here:
        return await Evacuator(here, **more).run()


async def test_everything_leaves_the_largest_first_within_the_limits(house: House) -> None:
    """At no time more moves than allowed, at a host or on a link."""
    await house.fill(**{f"d{size}": size for size in range(1, 9)})
    under_way: set[Trip] = set()
    begun: list[str] = []
    most = 0

    def follow(trip: Trip, ended: Moved | tuple[Refusal, ...] | None) -> None:
        nonlocal most
        if ended is not None:
            under_way.remove(trip)
            return
        begun.append(trip.domain)
        under_way.add(trip)
        most = max(most, len(under_way))
        assert all(sum(t.host == host for t in under_way) <= 2 for host in "bc")

    done = await evacuate(house, limits=Limits(3, 2), on_trip=follow)
    assert (done.stays, done.stopped, done.host) == ({}, False, "a")
    assert begun == [f"d{size}" for size in range(8, 0, -1)]
    assert most == 3
    assert house.running_on("a") == set()
    assert len(house.running_on("b") | house.running_on("c")) == 8 == len(done.moved)
    assert done.as_json()["host"] == "a"
    assert (await evacuate(house)).moved == ()


async def test_each_domain_that_stays_says_why(house: House) -> None:
    """A refusal of every destination, no room, or a move that failed."""
    await house.fill(big=50, refused=9, fine=8)
    house.free = {"b": 20}
    house.engine("a").write("refused", blockers=["passthrough"])
    done = await evacuate(house, to=["b"])
    assert [moved.domain for moved in done.moved] == ["fine"]
    assert {name: [r.code for r in reasons] for name, reasons in done.stays.items()} == {
        "big": ["no-room"],
        "refused": ["passthrough"],
    }
    assert "free" in done.stays["big"][0].reason
    assert all(reason.remedy for reasons in done.stays.values() for reason in reasons)
    assert house.running_on("a") == {"big", "refused"}


async def test_a_move_that_fails_is_tried_once_on_each_host(house: House) -> None:
    """And the domain runs where it was when nothing helps; one that helps is taken."""
    await house.fill(web1=4)
    house.faults.before["a", "precopy"] = EngineError("the link is slow")
    tried: list[str] = []
    done = await evacuate(house, on_trip=lambda trip, _: tried.append(trip.host))
    assert tried == ["b", "b", "c", "c"]  # begun and ended
    assert [moved.destination for moved in done.moved] == ["c"]
    assert done.stays == {}
    house = House(house.directory / "other")
    await house.fill(web1=4)
    house.faults.before["a", "precopy"] = EngineError("the link is slow")
    done = await evacuate(house, to=["b"])
    assert [reason.code for reason in done.stays["web1"]] == ["failed"]
    assert house.running_on("a") == {"web1"}


async def test_a_silent_destination_costs_one_look_not_one_a_domain(house: House) -> None:
    """What it might have taken goes elsewhere, or says so."""
    await house.fill(one=1, two=2)
    asked: list[str] = []

    class Silent(Off):
        async def send(self, message: Message) -> Any:
            asked.append(message.step)
            return await super().send(message)

    house.wrap_link = lambda peer, link: Silent() if peer == "b" else link
    done = await evacuate(house, to=["b"])
    assert asked == ["memory"]
    assert {reasons[0].code for reasons in done.stays.values()} == {"peer-silent"}
    done = await evacuate(house)
    assert house.running_on("c") == {"one", "two"}


async def test_a_destination_that_dies_meanwhile_is_left_out(house: House) -> None:
    """The domain comes back and goes to the other host; nothing else is sent to the dead one."""
    await house.fill(**{f"d{n}": 4 for n in range(6)})
    trips: list[str] = []

    def follow(trip: Trip, ended: object) -> None:
        if ended is None:
            trips.append(trip.host)
            if trips.count("b") == 1:
                unreachable(house)

    done = await evacuate(house, limits=Limits(1, 1), on_trip=follow)
    assert trips.count("b") == 1
    assert house.running_on("c") == {f"d{n}" for n in range(6)}
    assert done.stays == {}


async def test_a_domain_that_waits_for_its_destination_is_not_sent_elsewhere(house: House) -> None:
    """It was released: only its destination, or a person, may end that."""
    await house.fill(web1=4)

    dead: dict[str, list[str]] = {}
    house.wrap_link = faulty(dead)

    def cut() -> None:
        dead.update({"grant": ["dead"], "look": ["dead"]})

    house.on_point = {"source journal released after": cut}
    done = await evacuate(house)
    assert [reason.code for reason in done.stays["web1"]] == ["failed"]
    assert "waiting" in done.stays["web1"][0].reason
    again = await evacuate(house)
    assert [reason.code for reason in again.stays["web1"]] == ["not-running"]


async def test_stopping_begins_nothing_and_waits_for_what_is_under_way(house: House) -> None:
    """The rest stays where it is, and says that it was stopped."""
    await house.fill(**{f"d{n}": 4 for n in range(5)})
    async with warden(house) as here:
        evacuator = Evacuator(here, limits=Limits(2, 2), on_trip=lambda *_: evacuator.stop())
        done = await evacuator.run()
    assert done.stopped
    assert len(done.moved) == 2
    assert len(done.stays) == 3
    assert {reason.code for reasons in done.stays.values() for reason in reasons} == {"stopped"}
    assert len(house.running_on("a")) == 3


async def test_a_dry_run_says_the_same_and_changes_nothing(house: House) -> None:
    """Both ends of each move are asked, as a plan does."""
    await house.fill(big=50, refused=9, fine=8, small=1)
    house.free = {"b": 20, "c": 5}
    house.engine("a").write("refused", blockers=["passthrough"])
    async with warden(house) as here:
        found = await Evacuator(here, policy=Policy.BY_NAME).departures()
    assert found.trips == (Trip("fine", "b"), Trip("small", "b"))
    codes = {name: [r.code for r in reasons] for name, reasons in found.stays.items()}
    assert codes == {"big": ["no-room", "no-room"], "refused": ["passthrough", "no-room"]}
    assert found.as_json()["trips"][0] == {"domain": "fine", "host": "b"}
    assert house.running_on("a") == {"big", "refused", "fine", "small"}
    assert not any("journal" in point for point in house.points)


async def test_a_destination_that_is_no_peer_is_a_mistake(house: House) -> None:
    """Told at once, with the peers' names."""
    with pytest.raises(PermanentError, match="z is no peer of a") as error:
        await evacuate(house, to=["b", "z"])
    assert error.value.hint == "its peers: b, c"


def test_what_is_available_is_read_from_the_kernel(tmp_path: Path) -> None:
    """And unknown where it does not say."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  9000 kB\nMemAvailable:   2048 kB\n")
    assert available_memory_bytes(meminfo) == 2 * 2**20
    meminfo.write_text("MemTotal:  9000 kB\n")
    assert available_memory_bytes(meminfo) is None
    assert available_memory_bytes(tmp_path / "none") is None
    assert available_memory_bytes()
