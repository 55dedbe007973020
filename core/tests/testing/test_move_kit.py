"""The move kit really moves a domain, and finds devices that lose what they carry."""

import pytest

from domwarden.contract import (
    End,
    Job,
    PermanentError,
    Refusal,
    RunState,
    Step,
    TimerClock,
    hookimpl,
)
from domwarden.testing.engines import BrokenPromiseError
from domwarden.testing.ways import (
    check_comes_back_from_every_step,
    check_jobs_may_run_twice,
    check_plan_changes_nothing,
    check_saves_and_restores,
    check_survives_the_driver_at_every_point,
    move_checks,
)
from domwarden.testing.world import Device

from ..embedded.helpers import OneTimer


class Token:
    """Something that only one host may have: a place in a dictionary that both hosts see."""

    contract = 1
    SCHEMA = {}
    places: dict[str, str]

    def __init__(self, device, options):
        self.device = device

    def job(self, name, act):
        async def run(context):
            context.report("half", done=1, total=2)
            return act()

        return Job(name, run)

    def put(self, place):
        return lambda: self.places.__setitem__("token", place)

    @hookimpl
    def attach(self, domain, machine):
        return True

    @hookimpl
    def open(self, domain):
        return self.job("make", self.put("a")) if domain.movement is None else None

    @hookimpl
    def migrate(self, domain, step):
        if step is Step.TEST:
            return self.job("look", lambda: {"from": domain.host.name})
        return self.job("let go", self.put("way")) if step is Step.START else None

    @hookimpl
    def receive(self, domain, step):
        return self.job("take", self.put(domain.host.name)) if step is Step.SYNC else None

    @hookimpl
    def recover(self, domain, step):
        if domain.end is End.SOURCE and step >= Step.START:
            return self.job("take back", self.put(domain.host.name))
        return None


@pytest.fixture
def make(move_world):
    def make(cls=Token):
        cls.places = {}

        def settled(host):
            assert host is None or cls.places["token"] == host

        return lambda: move_world({"token": Device("token", cls)}, settled=settled)

    return make


@pytest.mark.parametrize("check", move_checks(), ids=lambda check: check.__name__)
async def test_honest_device_moves_in_every_way(check, make, move_world) -> None:
    """A device that keeps its promises passes every check."""
    await check(make())


async def test_journey_tells_order_tickets_and_times(make, move_world) -> None:
    """A journey holds every call in order, the tickets, and a span for each job."""
    async with make()() as world:
        await world.start()
        moved = await world.migrate()
        assert moved.order("token") == [
            "a migrate TEST",
            "b attach",
            "a migrate START",
            "b receive SYNC",
        ]
        assert moved.tickets("token") == [{"from": "a"}]
        assert moved.call("token", "receive", "SYNC").ticket == {"from": "a"}
        spans = [(s.end, s.step) for s in moved.timeline.spans() if s.device == "token"]
        assert spans == [("source", "test"), ("source", "start"), ("destination", "sync")]
        assert moved.result.blackout_seconds > 0
        assert moved.states == {"a": RunState.ABSENT, "b": RunState.RUNNING}


async def test_guest_lives_on_with_its_memory(make, move_world) -> None:
    """The guest's own clock goes on through a move: it was moved, not started again."""
    async with make()() as world:
        await world.start()
        await world.pass_seconds(5.0)
        await world.migrate()
        (line,) = await world.type("uptime")
        assert float(line.split()[1]) >= 5.0


async def test_refusals_of_both_ends_come_together(make, move_world) -> None:
    """A refused move changes nothing and names every reason."""

    class Refusing(Token):
        @hookimpl
        def receive(self, domain, step):
            return Refusal("not-here", "there is no place", "make some")

        @hookimpl
        def migrate(self, domain, step):
            return Refusal("not-from-here", "it is nailed down", "draw the nail")

    async with make(Refusing)() as world:
        await world.start()
        moved = await world.migrate()
        assert moved.codes == ["not-from-here", "not-here"]
        assert world.place() == "a"


class LosesIt(Token):
    @hookimpl
    def recover(self, domain, step):
        return None


class MovesEarly(Token):
    @hookimpl
    def migrate(self, domain, step):
        return self.job("let go", self.put("way")) if step is Step.TEST else None


class NotTwice(Token):
    @hookimpl
    def receive(self, domain, step):
        def take():
            if self.places["token"] == domain.host.name:
                raise PermanentError("it is here already")
            self.put(domain.host.name)()

        return self.job("take", take) if step is Step.SYNC else None


class FailsToRecover(Token):
    @hookimpl
    def recover(self, domain, step):
        def fail():
            raise PermanentError("I never learnt to go back")

        return (
            self.job("fail", fail)
            if domain.end is End.DESTINATION
            else super().recover(domain, step)
        )


class NoSave(Token):
    @hookimpl
    def receive(self, domain, step):
        return None if domain.movement == "restore" else super().receive(domain, step)


@pytest.mark.parametrize(
    ("cls", "check"),
    [
        (LosesIt, check_comes_back_from_every_step),
        (LosesIt, check_survives_the_driver_at_every_point),
        (MovesEarly, check_plan_changes_nothing),
        (NotTwice, check_jobs_may_run_twice),
        (FailsToRecover, check_comes_back_from_every_step),
        (NoSave, check_saves_and_restores),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_broken_device_is_found(cls, check, make, move_world) -> None:
    """Each device that loses its token, or fails on the way, is found by the check it is for."""
    with pytest.raises((AssertionError, BrokenPromiseError)):
        await check(make(cls))


class Timer(OneTimer):
    contract = 1
    SCHEMA = {}
    CLOCK = TimerClock.GUEST

    def __init__(self, device, options):
        pass

    attach = hookimpl(OneTimer.attach)


async def test_watchdog_of_an_author_guards_on_after_a_move(move_world) -> None:
    """A world may have a watchdog under test; its deadline travels, and a hung guest is reset."""
    async with move_world({}, watchdog=Device("timer", Timer)) as world:
        await world.start()
        await world.type("watchdog start 5")
        moved = await world.migrate()
        assert moved.arrived, moved
        await world.pass_seconds(20.0)
        (line,) = await world.type("uptime")
        assert float(line.split()[1]) >= 20.0, "it kicks over there"
        await world.type("hang irqs-off")
        await world.pass_seconds(7.0)
        (line,) = await world.type("uptime")
        assert float(line.split()[1]) < 7.0, "it was reset"


async def test_paused_domain_resumes_over_there(make, move_world) -> None:
    """A domain that was moved paused goes on where it was."""
    async with make()() as world:
        await world.start()
        await world.pause()
        await world.migrate()
        await world.resume()
        assert await world.type("ping") == ["pong"]
