"""Deadlines on the wheel: never early, at most a slot late, and no turn without work."""

from hypothesis import given
from hypothesis import strategies as st
from lockgate.connections.timer_wheel import SLOT_S, Timer, TimerWheel
from twisted.internet.task import Clock


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0.01, 3)), min_size=1, max_size=6))
def test_a_timer_comes_up_after_its_time_and_within_two_slots(
    arms: list[tuple[float, float]],
) -> None:
    clock, reached = Clock(), []
    timer = Timer(TimerWheel(clock), lambda: reached.append(clock.seconds()))
    due = 0.0
    for pause, seconds in arms:
        clock.pump([0.01] * int(pause * 10))
        reached.clear()
        timer.arm(seconds)
        due = clock.seconds() + seconds
    clock.pump([0.01] * 400)
    assert len(reached) == 1
    assert due <= reached[0] <= due + 2 * SLOT_S + 0.02
    assert clock.getDelayedCalls() == []


def test_a_cancelled_timer_leaves_no_delayed_call() -> None:
    clock = Clock()
    timer = Timer(TimerWheel(clock), lambda: None)
    timer.arm(10)
    timer.arm(5)
    timer.cancel()
    assert clock.getDelayedCalls() == []


def test_a_disarmed_timer_does_not_call_back() -> None:
    clock, reached = Clock(), []
    timer = Timer(TimerWheel(clock), lambda: reached.append(1))
    timer.arm(0.5)
    timer.disarm()
    clock.pump([0.05] * 40)
    assert reached == []


def test_one_timer_may_cancel_another_of_the_same_slot() -> None:
    clock, reached = Clock(), []
    wheel = TimerWheel(clock)
    timers: list[Timer] = []

    def first_wins(number: int) -> None:
        reached.append(number)
        for timer in timers:
            timer.cancel()

    timers += [Timer(wheel, lambda n=n: first_wins(n)) for n in range(5)]  # type: ignore[misc]
    for timer in timers:
        timer.arm(0.5)
    clock.pump([0.05] * 40)
    assert len(reached) == 1
    assert clock.getDelayedCalls() == []


@given(st.lists(st.tuples(st.floats(0.01, 1), st.integers(0, 3)), min_size=1, max_size=8))
def test_whatever_callbacks_do_every_other_deadline_is_met(
    arms: list[tuple[float, int]],
) -> None:
    clock, reached = Clock(), []
    wheel = TimerWheel(clock)
    timers: list[Timer] = []

    def act(number: int) -> None:
        reached.append(number)
        deed = arms[number][1]
        if deed == 1:
            raise RuntimeError("a fault of ours")
        if deed == 2:
            spare = [t for n, t in enumerate(timers) if n > number and arms[n][1] == 3]
            for timer in spare:
                timer.cancel()
                timer.arm(0.5)

    def broke(number: int) -> None:
        reached.append(-1 - number)

    for number, (seconds, _) in enumerate(arms):
        timers.append(Timer(wheel, lambda n=number: act(n), lambda n=number: broke(n)))  # type: ignore[misc]
        timers[-1].arm(seconds)
    keeps_on = Timer(wheel, lambda: reached.append(99))
    keeps_on.arm(0.7)
    clock.advance(0.9)
    clock.pump([0.05] * 60)
    assert set(range(len(arms))) | {99} <= set(reached)
    assert {-1 - n for n, (_, deed) in enumerate(arms) if deed == 1} <= set(reached)
    assert clock.getDelayedCalls() == []


def test_deadlines_are_met_where_every_turn_is_slow() -> None:
    clock, reached = Clock(), []
    timer = Timer(TimerWheel(clock), lambda: reached.append(clock.seconds()))
    timer.arm(1)
    for _ in range(4):
        clock.advance(2)
    assert reached == [4]
