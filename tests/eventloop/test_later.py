"""What goes on later does so in order, once, and takes little of a turn."""

from collections.abc import Callable

from lockgate.eventloop.later import TURN_S, Later
from twisted.internet.task import Clock


class Turns(Clock):
    """A clock whose calls are made a turn at a time, each of which may take time."""

    def turn(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call.called = 1
            call.func(*call.args, **call.kw)


def test_all_go_on_in_order_a_hundredth_of_a_second_a_turn() -> None:
    clock, done = Turns(), []
    later = Later(clock)

    def work(number: int) -> Callable[[], None]:
        def call() -> None:
            clock.rightNow += TURN_S / 4
            done.append(number)
            if number == 0:
                later.append(work(99))

        return call

    for number in range(10):
        later.append(work(number))
    counts = []
    while len(later):
        clock.turn()
        counts.append(len(done))
    assert done == [*range(10), 99]
    assert counts == [4, 8, 11]
    assert clock.calls == []


def test_what_fails_stops_nobody() -> None:
    clock, done = Turns(), []
    later = Later(clock)

    def fail() -> None:
        raise RuntimeError("a fault of ours")

    later.append(fail)
    later.append(lambda: done.append(1))
    clock.turn()
    assert done == [1]
    later.append(lambda: done.append(2))
    clock.turn()
    assert done == [1, 2]
