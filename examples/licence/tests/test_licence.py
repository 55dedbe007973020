"""The licence is where the domain is, whatever happens."""

from pathlib import Path

import pytest

from domwarden.contract import Definition, Domain, End, Host, PermanentError, Step
from domwarden.testing.devices import check_device
from domwarden.testing.ways import move_checks
from domwarden.testing.world import Device
from floating_licence import Licence
from floating_licence.lease import Lease

CAD = {"cad": Device("licence", Licence, {"licence": "cad"})}


@pytest.fixture
def licences(tmp_path: Path) -> Path:
    """A share with one free licence."""
    directory = tmp_path / "licences"
    directory.mkdir()
    (directory / "cad.free").touch()
    return directory


@pytest.fixture
def office(move_world, licences):
    """A maker of worlds whose two hosts mount that share."""

    def make(*, watched=True, **shares):
        mounts = {"a": licences, "b": licences} | shares
        settings = {h: {"licence": {"directory": str(d)}} for h, d in mounts.items()}

        def settled(host: str | None) -> None:
            (only,) = (file.name for file in licences.iterdir())
            assert only == (f"cad.held.{host}.web1" if host else "cad.free")

        also = {"settled": settled} if watched else {}
        return move_world(CAD, settings=settings, **also)

    return make


def test_licence_keeps_the_contract() -> None:
    """The class keeps every promise that can be checked without a move."""
    check_device(
        Licence,
        {"licence": "cad"},
        refused=[{}, {"licence": "../cad"}, {"licence": "cad", "timeout": 3}],
        engine_hooks=("attach", "qemu_args"),
        host_settings={"directory": "/srv/licences"},
    )


@pytest.mark.parametrize("check", move_checks(), ids=lambda check: check.__name__)
async def test_licence_is_where_the_domain_is(check, office, move_world) -> None:
    """Every way to move a domain, and every failure, leaves the licence with the domain."""
    await check(office)


async def test_licence_is_laid_down_and_picked_up(office, move_world) -> None:
    """Each step has its part: the source lets go at START, the destination takes it at SYNC."""
    async with office() as world:
        await world.start()
        moved = await world.migrate()
        assert moved.arrived, moved
        assert moved.order("cad") == [
            "a migrate TEST",
            "b receive TEST",
            "b attach",
            "b receive PREPARE",
            "a migrate START",
            "b receive SYNC",
            "a close",
        ]
        assert moved.tickets("cad") == [{"file": "cad.held.a.web1"}]


async def test_other_share_at_the_destination_is_refused(office, move_world, tmp_path) -> None:
    """A directory of the same name with other licences in it is not the same share."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "cad.free").touch()
    async with office(b=other) as world:
        await world.start()
        assert (await world.migrate()).codes == ["licence-elsewhere"]


async def test_unreachable_share_is_refused(office, move_world, tmp_path) -> None:
    """A host that did not mount the licences refuses with a remedy, and both ends are heard."""
    async with office(b=tmp_path / "not-mounted") as world:
        await world.start()
        moved = await world.migrate()
        assert moved.codes == ["no-licences"]
        assert "mount" in moved.refusals[0].remedy


async def test_share_that_cannot_be_written_is_found_out_while_the_guest_runs(tmp_path) -> None:
    """PREPARE fails with a remedy; in /proc nobody makes a file, not even root."""
    definition = Definition(name="web1", uuid="1", engine="embedded", memory_bytes=1)
    domain = Domain(definition, Host("b", tmp_path), end=End.DESTINATION, migration="m1")
    with pytest.raises(PermanentError, match="b cannot write in /proc/self") as caught:
        await Lease("cad", domain, "/proc/self").try_share(None)
    assert "reading and writing" in caught.value.hint


async def test_lost_licence_is_refused(office, move_world, licences) -> None:
    """A domain whose licence somebody took away does not move on as if it had one."""
    async with office(watched=False) as world:
        await world.start()
        (licences / "cad.held.a.web1").rename(licences / "cad.held.c.other")
        moved = await world.plan()
        assert [r.code for r in moved.refusals] == ["licence-lost", "licence-elsewhere"]
        assert "c holds it for other" in moved.refusals[0].reason


async def test_second_domain_gets_no_licence(office, move_world, licences) -> None:
    """A domain does not start while another one has the licence, and nothing of it is left."""
    (licences / "cad.free").rename(licences / "cad.held.c.other")
    async with office(watched=False) as world:
        started = await world.start()
        assert "c holds it for other" in str(started.error)
        assert [file.name for file in licences.iterdir()] == ["cad.held.c.other"]
        assert set(world.states().values()) == {"absent"}


async def test_restore_without_a_free_licence_is_refused(office, move_world, licences) -> None:
    """A saved domain waits until somebody gives a licence back."""
    async with office(watched=False) as world:
        await world.start()
        await world.save()
        (licences / "cad.free").rename(licences / "cad.held.c.other")
        assert (await world.restore()).codes == ["licence-taken"]
        (licences / "cad.held.c.other").rename(licences / "cad.free")
        assert (await world.restore()).arrived


async def test_licence_taken_between_the_steps_stops_the_move(office, move_world) -> None:
    """What the source laid down goes back to it when the destination fails after taking it."""
    async with office() as world:
        await world.start()
        moved = await world.migrate(fail_at=(End.DESTINATION, Step.SYNC))
        assert not moved.arrived
        assert moved.order("cad")[-3:] == ["b recover SYNC", "a recover START", "b close"]
