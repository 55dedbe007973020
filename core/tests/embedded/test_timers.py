"""The queue fires every timer at its last deadline, in order, and a kick costs nothing extra."""

from hypothesis import given
from hypothesis import strategies as st

from domwarden.embedded import timers as timers_module
from domwarden.embedded.timers import TimerQueue

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 4), st.integers(0, 50)),
        st.tuples(st.just("cancel"), st.integers(0, 4), st.just(0)),
        st.tuples(st.just("wait"), st.just(0), st.integers(1, 30)),
    ),
    max_size=60,
)


@given(STEPS)
def test_timers_fire_as_a_plain_table_says(steps):
    queue, now, fired, expected, table = TimerQueue(), 0, [], [], {}
    timers = [queue.timer(lambda n=n: fired.append(n)) for n in range(5)]
    for step, number, value in steps:
        if step == "set":
            timers[number].set(now + value)
            table[number] = now + value
        elif step == "cancel":
            timers[number].cancel()
            table.pop(number, None)
        else:
            now += value
            due = sorted((at, n) for n, at in table.items() if at <= now)
            expected += [at for at, _ in due]
            for _, n in due:
                del table[n]
            before = len(fired)
            while timer := queue.pop_due(now):
                timer.fire()
            assert sorted(fired[before:]) == sorted(n for _, n in due)
        assert queue.next_ns() == min(table.values(), default=None)


def test_kick_does_not_touch_the_heap_however_many_timers_are_armed(monkeypatch):
    queue = TimerQueue()
    timers = [queue.timer(lambda: None) for _ in range(1000)]
    for number, timer in enumerate(timers):
        timer.set(1000 + number)
    pushed = []
    monkeypatch.setattr(timers_module.heapq, "heappush", lambda *given: pushed.append(given))
    for kick in range(10):
        for timer in timers:
            timer.set(10_000 + kick)
    assert pushed == []


def test_timer_moved_earlier_wakes_its_owner():
    woken = []
    queue = TimerQueue(lambda: woken.append(True))
    timer = queue.timer(lambda: None)
    timer.set(100)
    timer.set(200)
    assert len(woken) == 1
    timer.set(50)
    assert len(woken) == 2
    assert queue.next_ns() == 50
