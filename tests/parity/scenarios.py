"""What a guest can do with SCHEDOP_watchdog, with the answers of real Xen (4.17)."""

from __future__ import annotations

import abc
import dataclasses
import errno
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

RUNS = "runs"
#: Its watchdog fired: Xen shut it down with code 4, the embedded engine did what its action says.
EXPIRED = "expired"

#: Long enough that nothing expires by accident, and long enough for an emulated machine.
LONG, SHORT = 600, 20
#: For a kick that has to come in time, however slow the way to the guest is.
AMPLE = 45
ENOSYS, EINVAL, ENOSPC, EFAULT = (
    -errno.ENOSYS,
    -errno.EINVAL,
    -errno.ENOSPC,
    -errno.EFAULT,
)


class Subject(abc.ABC):
    """One domain with both timers free, and whoever makes hypercalls in it."""

    @abc.abstractmethod
    async def call(self, timer: int, seconds: int) -> int | None:
        """Make SCHEDOP_watchdog; return its answer, None when the domain is gone."""

    @abc.abstractmethod
    async def wait(self, seconds: float) -> None:
        """Let time pass."""

    @abc.abstractmethod
    async def state(self) -> str:
        """Return RUNS or EXPIRED."""

    @abc.abstractmethod
    async def pause(self) -> None:
        """Stop the domain as an operator does."""

    @abc.abstractmethod
    async def save_and_restore(self) -> None:
        """Save the running domain, end it, and bring it back."""

    @abc.abstractmethod
    async def checkpoint(self) -> None:
        """Save the running domain and let it go on."""


class RawSubject(Subject):
    """A domain in which more than the plain hypercall can be made."""

    @abc.abstractmethod
    async def other_command(self, command: int) -> int:
        """Make hypercall 29 with another command, and ``{0, 600}``."""

    @abc.abstractmethod
    async def bad_pointer(self) -> int:
        """Make SCHEDOP_watchdog with a pointer to nothing."""


Play = Callable[[Any], Awaitable[Sequence[Any]]]


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A few calls, in ``title`` as the documentation names them, with Xen's answers."""

    title: str
    play: Play
    answers: Sequence[Any]
    raw: bool = False
    #: How much time has to pass in it.
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The function's name."""
        return str(getattr(self.play, "__name__", ""))


SCENARIOS: list[Scenario] = []


def scenario(
    title: str, answers: Sequence[Any], *, raw: bool = False, seconds: float = 0.0
) -> Callable[[Play], Play]:
    """Add a scenario."""

    def add(play: Play) -> Play:
        SCENARIOS.append(Scenario(title, play, answers, raw, seconds))
        return play

    return add


@scenario("a new timer gets the lowest free id", [1, 2, ENOSPC, 0, 1])
async def lowest_free_id(on: Subject) -> Sequence[Any]:
    return [
        await on.call(0, LONG),
        await on.call(0, LONG),
        await on.call(0, LONG),
        await on.call(1, 0),
        await on.call(0, LONG),
    ]


@scenario("an id that is not in use", [EINVAL] * 8)
async def unused_ids(on: Subject) -> Sequence[Any]:
    ids = (1, 2, 3, 0xFFFF_FFFF)
    return [await on.call(timer, seconds) for timer in ids for seconds in (LONG, 0)]


@scenario("a timer is kicked, and stopped once", [1, 0, 0, EINVAL, EINVAL])
async def kicked_and_stopped(on: Subject) -> Sequence[Any]:
    return [
        await on.call(0, LONG),
        await on.call(1, LONG),
        await on.call(1, 0),
        await on.call(1, 0),
        await on.call(1, LONG),
    ]


@scenario("a kick postpones the expiry", [1, 0, RUNS, 0], seconds=1.2 * AMPLE)
async def kick_postpones(on: Subject) -> Sequence[Any]:
    timer = await on.call(0, AMPLE)
    await on.wait(0.6 * AMPLE)
    kicked = await on.call(1, AMPLE)
    await on.wait(0.6 * AMPLE)
    return [timer, kicked, await on.state(), await on.call(1, 0)]


@scenario("a timer that nobody kicks", [RUNS, EXPIRED], seconds=1.5 * SHORT)
async def expiry(on: Subject) -> Sequence[Any]:
    await on.call(0, SHORT)
    await on.wait(0.5 * SHORT)
    before = await on.state()
    await on.wait(SHORT)
    return [before, await on.state()]


@scenario("of two timers the sooner one counts", [EXPIRED], seconds=1.5 * SHORT)
async def sooner_of_two(on: Subject) -> Sequence[Any]:
    await on.call(0, LONG)
    await on.call(0, SHORT)
    await on.wait(1.5 * SHORT)
    return [await on.state()]


@scenario("a stopped timer does not fire", [0, RUNS], seconds=1.5 * SHORT)
async def stopped(on: Subject) -> Sequence[Any]:
    await on.call(0, SHORT)
    freed = await on.call(1, 0)
    await on.wait(1.5 * SHORT)
    return [freed, await on.state()]


@scenario("a new timer of no seconds fires at once", [EXPIRED], seconds=3)
async def no_seconds(on: Subject) -> Sequence[Any]:
    await on.call(0, 0)
    await on.wait(3)
    return [await on.state()]


@scenario("a domain that is paused for longer than its time-out", [EXPIRED], seconds=1.5 * SHORT)
async def while_paused(on: Subject) -> Sequence[Any]:
    await on.call(0, SHORT)
    await on.pause()
    await on.wait(1.5 * SHORT)
    return [await on.state()]


@scenario("the timer of a domain that was saved and went on", [0, 2])
async def after_a_checkpoint(on: Subject) -> Sequence[Any]:
    await on.call(0, LONG)
    await on.checkpoint()
    return [await on.call(1, LONG), await on.call(0, LONG)]


@scenario("the id of a timer after save and restore", [EINVAL, 1])
async def id_after_a_restore(on: Subject) -> Sequence[Any]:
    await on.call(0, LONG)
    await on.save_and_restore()
    return [await on.call(1, LONG), await on.call(0, LONG)]


@scenario("what guards a domain after save and restore", [RUNS], seconds=3.5 * SHORT)
async def guarded_after_a_restore(on: Subject) -> Sequence[Any]:
    # time for the save itself, in which a loaded machine must not let it expire
    await on.call(0, 3 * SHORT)
    await on.save_and_restore()
    await on.wait(3.5 * SHORT)
    return [await on.state()]


@scenario("a call after an expiry", [None], seconds=1.5 * SHORT)
async def call_after_an_expiry(on: Subject) -> Sequence[Any]:
    await on.call(0, SHORT)
    await on.wait(1.5 * SHORT)
    return [await on.call(1, LONG)]


@scenario("a command that does not exist", [ENOSYS], raw=True)
async def unknown_command(on: RawSubject) -> Sequence[Any]:
    return [await on.other_command(0x4457_00FF)]


@scenario("the operations added by domwarden (VERSION)", [ENOSYS], raw=True)
async def added_operations(on: RawSubject) -> Sequence[Any]:
    return [await on.other_command(0x4457_0000)]


@scenario("a pointer to nothing", [EFAULT], raw=True)
async def bad_pointer(on: RawSubject) -> Sequence[Any]:
    return [await on.bad_pointer()]
