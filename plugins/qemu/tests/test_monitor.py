"""QMP connections: shared, bounded, and honest about what they do not know."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from domwarden.contract import EngineError, OutcomeUnknownError
from domwarden_qemu.control import Control
from domwarden_qemu.monitor import Monitor

from .fake_qmp import FakeQmp, HangUp, Refuse, Silence, message


async def test_a_command_returns_what_qemu_returned(tmp_path: Path) -> None:
    async with FakeQmp().serve(tmp_path / "qmp") as qemu:
        qemu.answers["query-status"] = {"status": "running"}
        monitor = Monitor(tmp_path / "qmp", "web1")
        assert await monitor.execute("query-status") == {"status": "running"}
        assert await monitor.execute("set", {"a": 1}) == {}
        assert qemu.heard[-1] == ("set", {"a": 1}, False)


async def test_a_refusal_is_an_engine_error_with_the_command(tmp_path: Path) -> None:
    async with FakeQmp().serve(tmp_path / "qmp") as qemu:
        qemu.answers["cont"] = Refuse('Failed to get "write" lock')
        with pytest.raises(EngineError, match='web1: cont: Failed to get "write" lock') as error:
            await Monitor(tmp_path / "qmp", "web1").execute("cont")
        assert error.value.command == "cont"
        assert not isinstance(error.value, OutcomeUnknownError)


async def test_silence_leaves_the_outcome_unknown_and_the_connection_usable(
    tmp_path: Path,
) -> None:
    async with FakeQmp().serve(tmp_path / "qmp") as qemu:
        qemu.answers["cont"] = Silence
        async with Monitor(tmp_path / "qmp", "web1").session() as session:
            with pytest.raises(OutcomeUnknownError, match=r"did not answer cont in 0\.05 s"):
                await session.execute("cont", timeout_seconds=0.05)
            assert await session.execute("query-status") == {}


async def test_a_lost_connection_leaves_the_outcome_unknown(tmp_path: Path) -> None:
    async with FakeQmp().serve(tmp_path / "qmp") as qemu:
        qemu.answers["quit"] = HangUp
        monitor = Monitor(tmp_path / "qmp", "web1")
        with pytest.raises(OutcomeUnknownError, match="lost during quit"):
            await monitor.execute("quit")
        assert await monitor.execute("query-status") == {}  # on a new connection


async def test_nobody_there_is_an_engine_error_but_no_unknown_outcome(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no connection to QEMU") as error:
        await Monitor(tmp_path / "qmp", "web1").execute("cont")
    assert not isinstance(error.value, OutcomeUnknownError)


async def test_a_qemu_that_does_not_greet_is_given_up(tmp_path: Path) -> None:
    async with FakeQmp().serve(tmp_path / "qmp") as qemu:
        qemu.greets = False
        with pytest.raises(EngineError, match=r"no greeting in 0\.05 s"):
            async with Monitor(tmp_path / "qmp", "web1").session(0.05):
                pytest.fail("entered")


async def test_users_of_one_process_share_a_connection_and_the_last_one_ends_it(
    tmp_path: Path,
) -> None:
    async with FakeQmp().serve(tmp_path / "qmp") as qemu:
        monitor = Monitor(tmp_path / "qmp", "web1")
        async with monitor.session() as one:
            async with monitor.session() as two:
                await two.execute("a")
            await one.execute("b")
            assert qemu.connections == 1
        await monitor.execute("c")
        assert qemu.connections == 2


async def test_a_lingering_connection_serves_the_next_user_and_is_let_go(tmp_path: Path) -> None:
    async with FakeQmp().serve(tmp_path / "qmp") as qemu:
        monitor = Monitor(tmp_path / "qmp", "web1")
        async with monitor.session(linger=True) as session:
            await session.execute("a")
        async with monitor.session(linger=True) as session:
            await session.execute("b")
        assert qemu.connections == 1
        await monitor.aclose()
        await monitor.aclose()  # idempotent
        await monitor.execute("c")
        assert qemu.connections == 2


async def test_a_lingering_connection_that_is_lost_is_replaced(tmp_path: Path) -> None:
    async with FakeQmp().serve(tmp_path / "qmp") as qemu:
        monitor = Monitor(tmp_path / "qmp", "web1")
        async with monitor.session(linger=True) as session:
            await session.execute("a")
        qemu.hang_up()
        await asyncio.sleep(0.02)
        await monitor.execute("b")
        assert qemu.connections == 2
        await monitor.aclose()


async def test_a_lingering_connection_is_let_go_at_the_end_of_the_loop(tmp_path: Path) -> None:
    """What is left of it would be a warning, and warnings are errors here."""
    async with (
        FakeQmp().serve(tmp_path / "qmp"),
        Monitor(tmp_path / "qmp", "web1").session(linger=True) as session,
    ):
        await session.execute("a")


async def test_an_event_that_overtakes_the_negotiation_does_not_fail_it(tmp_path: Path) -> None:
    """qemu.qmp asserts that the first message after qmp_capabilities is its answer."""
    async with FakeQmp().serve(tmp_path / "qmp") as qemu:
        qemu.before["qmp_capabilities"] = [message("MIGRATION", status="active")]
        connecting = asyncio.create_task(Monitor(tmp_path / "qmp", "web1").execute("query-status"))
        await qemu.until(lambda: qemu.connections > 1)
        qemu.before.clear()
        assert await connecting == {}


async def test_an_event_left_over_from_another_client_does_not_fail_the_greeting(
    tmp_path: Path,
) -> None:
    """QEMU may hand a new client what it still had for the one before."""
    async with FakeQmp().serve(tmp_path / "qmp") as qemu:
        qemu.leftover = [message("RESUME")]
        assert await Monitor(tmp_path / "qmp", "web1").execute("query-status") == {}
        assert qemu.connections == 2


async def test_a_command_out_of_band_says_so(tmp_path: Path) -> None:
    async with FakeQmp().serve(tmp_path / "qmp") as qemu:
        async with Monitor(tmp_path / "qmp", "web1").session() as session:
            await session.execute("yank", {"instances": []}, oob=True)
        assert qemu.heard[0] == ("qmp_capabilities", {"enable": ["oob"]}, False)
        assert qemu.heard[-1] == ("yank", {"instances": []}, True)


async def test_events_from_the_moment_of_entry_are_heard_by_name(tmp_path: Path) -> None:
    async with FakeQmp().serve(tmp_path / "move") as qemu:
        control = Control(Monitor(tmp_path / "control", "web1"), Monitor(tmp_path / "move", "web1"))
        async with control.events("DEVICE_DELETED") as events:
            qemu.emit("STOP")
            qemu.emit("DEVICE_DELETED", device="usb0")
            event = await anext(events)
        assert event["data"] == {"device": "usb0"}


async def test_events_end_with_an_unknown_outcome_when_the_connection_is_lost(
    tmp_path: Path,
) -> None:
    """The library's own listeners go silent; what was heard before is still delivered."""
    async with (
        FakeQmp().serve(tmp_path / "qmp") as qemu,
        Monitor(tmp_path / "qmp", "web1").session() as session,
        session.listen() as events,
    ):
        qemu.emit("STOP")
        qemu.hang_up()
        assert (await anext(events))["event"] == "STOP"
        with pytest.raises(OutcomeUnknownError, match="connection to QEMU was lost"):
            await anext(events)


async def test_waiting_for_an_event_can_be_bounded(tmp_path: Path) -> None:
    async with (
        FakeQmp().serve(tmp_path / "qmp") as qemu,
        Monitor(tmp_path / "qmp", "web1").session() as session,
    ):
        async with session.listen("STOP") as events:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await anext(events)
        async with session.listen("STOP") as events:
            qemu.emit("STOP")
            assert (await anext(events))["event"] == "STOP"
