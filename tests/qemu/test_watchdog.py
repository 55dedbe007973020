"""The emulated card fires outside a hung guest, and the action of the domain follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from domwarden.contract import Action, Armed, EventKind, RunState
from domwarden.testing.console import Console

from .lab import MOVE, NAME, Lab, booted, following, ignore, until

pytestmark = [pytest.mark.live, pytest.mark.time_limit(180)]

CARD_RESET = "32"  # WDIOF_CARDRESET, linux/watchdog.h
_ELF = b"\x7fELF"


async def _hang(made: Lab, host: str = "a", *, seconds: int = 2) -> None:
    async with await Console.connect(made.console(host)) as console:
        await console.wait_ready()
        await console.command(f"watchdog start {seconds}")
        await console.command("hang irqs-off")


async def _booted_by_the_card(made: Lab) -> bool:
    async with await Console.connect(made.console("a")) as console:
        await console.wait_ready(timeout_seconds=60.0)
        return await console.command("bootstatus") == CARD_RESET


async def test_a_dump_is_written_before_the_guest_is_reset(tmp_path: Path) -> None:
    """QEMU pauses by itself; whoever hears the event lets the engine dump and reset."""
    async with booted(tmp_path, action=Action.DUMP) as (made, live):
        engine = made.engine("a")
        async with following(engine) as event:
            await _hang(made)
            fired = await event(EventKind.WATCHDOG)
            assert fired.data["action"] == Action.DUMP
            await until(lambda: _is(made, RunState.PAUSED))
            await engine.act(NAME, Action.DUMP)
        assert await _booted_by_the_card(made)
        (dump,) = (tmp_path / "a" / "dumps").glob(f"{NAME}-*.elf")
        assert dump.read_bytes()[:4] == _ELF
        assert dump.stat().st_size > live.memory_bytes


async def _is(made: Lab, state: RunState) -> bool:
    return await made.state("a") == state


async def test_pause_leaves_the_hung_guest_for_whoever_wants_to_look(tmp_path: Path) -> None:
    async with booted(tmp_path, action=Action.PAUSE) as (made, _live):
        await _hang(made)
        await until(lambda: _is(made, RunState.PAUSED))
        observation = await made.engine("a").observe(NAME)
        assert observation.detail == "watchdog"
        await made.engine("a").act(NAME, Action.RESET)
        assert await _booted_by_the_card(made)


async def test_poweroff_ends_the_process(tmp_path: Path) -> None:
    async with booted(tmp_path, action=Action.POWEROFF) as (made, _live):
        async with following(made.engine("a")) as event:
            await _hang(made)
            assert (await event(EventKind.WATCHDOG)).data["action"] == Action.POWEROFF
            await event(EventKind.GONE)
        assert await made.state("a") == RunState.ENDED


@pytest.mark.parametrize("action", [Action.NOTIFY, Action.NMI, Action.SHUTDOWN])
async def test_an_action_that_does_not_stop_the_guest_leaves_its_card_disarmed(
    tmp_path: Path, action: Action
) -> None:
    """The card disarms itself when it fires, so after these the guest is unprotected."""
    async with booted(tmp_path, action=action) as (made, _live):
        engine = made.engine("a")
        async with following(engine) as event:
            await _hang(made)
            assert (await event(EventKind.WATCHDOG)).data["action"] == action
        assert await made.state("a") == RunState.RUNNING
        assert (await engine.read_watchdog(NAME)).armed is Armed.DISARMED


async def test_the_same_action_holds_after_a_move(tmp_path: Path) -> None:
    async with booted(tmp_path, action=Action.PAUSE) as (made, live):
        incoming = made.engine("b").incoming(NAME, MOVE)
        outgoing = made.engine("a").outgoing(live, MOVE)
        await outgoing.precopy(await incoming.listen(live, made.room), ignore)
        await outgoing.complete(ignore)
        await incoming.received()
        await incoming.activate(run=True)
        await _hang(made, "b")
        await until(lambda: _paused_on_b(made))


async def _paused_on_b(made: Lab) -> bool:
    observation = await made.engine("b").observe(NAME)
    return observation.state is RunState.PAUSED and observation.detail.startswith("watchdog")


async def test_a_look_at_the_card_disturbs_neither_guest_nor_history(tmp_path: Path) -> None:
    async with booted(tmp_path) as (made, _live):
        engine = made.engine("a")
        async with await Console.connect(made.console("a")) as console:
            await console.wait_ready()
            assert (await engine.read_watchdog(NAME)).armed is Armed.DISARMED
            await console.command("watchdog start 8")
            async with following(engine) as event:
                for _ in range(20):
                    reading = await engine.read_watchdog(NAME)
                    assert reading.armed is Armed.ARMED
                    assert reading.timeout_seconds == pytest.approx(8 * 1.00663, abs=0.01)
                with pytest.raises(TimeoutError):
                    await event(EventKind.PAUSED, seconds=0.5)
            assert float(await console.command("uptime")) > 0


async def test_nothing_is_told_of_a_card_while_its_domain_moves(tmp_path: Path) -> None:
    async with booted(tmp_path) as (made, live):
        incoming = made.engine("b").incoming(NAME, MOVE)
        outgoing = made.engine("a").outgoing(live, MOVE)
        await outgoing.precopy(await incoming.listen(live, made.room), ignore)
        assert (await made.engine("a").read_watchdog(NAME)).armed is Armed.UNKNOWN
        await outgoing.complete(ignore)
        await incoming.received()
        await incoming.activate(run=True)
        assert (await made.engine("b").read_watchdog(NAME)).armed is Armed.DISARMED
