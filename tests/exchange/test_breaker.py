"""The breaker: five in a row open it, one probe decides, and nothing else does."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from proxy.exchange.breaker import Breaker, Closed, HalfOpen, Open, Permit

QUARANTINE_S = 16.0


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker(QUARANTINE_S, lambda: 0.0)
    for _ in range(5):
        permit = breaker.admit(now)
        assert permit is not None
        breaker.fail(permit, now)
    return breaker


def test_it_opens_after_five_failures_in_a_row_for_a_quarter_of_the_quarantine() -> None:
    assert opened().state == Open(until=4.0, period_s=4.0)


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = Breaker(QUARANTINE_S, lambda: 0.0)
    for number in range(20):
        permit = breaker.admit(0.0)
        assert permit is not None
        if number % 5 == 4:
            breaker.succeed(permit)
        else:
            breaker.fail(permit, 0.0)
    assert isinstance(breaker.state, Closed)


def test_x10_of_a_thousand_waiters_exactly_one_probes() -> None:
    breaker = opened()
    permits = [breaker.admit(4.0) for _ in range(1000)]
    assert sum(permit is not None for permit in permits) == 1
    assert breaker.state == HalfOpen(permits=0, period_s=4.0)


def test_a_failed_probe_doubles_the_time_up_to_the_quarantine() -> None:
    breaker, now, periods = opened(), 0.0, []
    for _ in range(4):
        now += breaker.retry_after(now)
        probe = breaker.admit(now)
        assert probe is not None
        breaker.fail(probe, now)
        periods.append(breaker.retry_after(now))
    assert periods == [8.0, 16.0, 16.0, 16.0]


def test_a_probe_without_a_verdict_lets_the_next_one_probe() -> None:
    breaker = opened()
    probe = breaker.admit(4.0)
    assert probe is not None
    breaker.release(probe)
    assert breaker.admit(4.0) is not None


def test_a_good_probe_closes_it() -> None:
    breaker = opened()
    probe = breaker.admit(4.0)
    assert probe is not None
    breaker.succeed(probe)
    assert breaker.state == Closed(0)


def test_a_probe_that_begins_to_answer_closes_it_before_its_stream_ends() -> None:
    breaker = opened()
    probe = breaker.admit(4.0)
    assert probe is not None
    held = breaker.commit(probe)
    assert breaker.state == Closed(0)
    assert held is breaker.admit(4.0)  # what every other request holds
    breaker.fail(held, 5.0)  # its stream dies: that counts by itself
    assert breaker.state == Closed(1)


def test_late_verdicts_from_before_it_opened_count_for_nothing() -> None:
    breaker = Breaker(QUARANTINE_S, lambda: 0.0)
    early = [breaker.admit(0.0) for _ in range(8)]
    for permit in early[:5]:
        assert permit is not None
        breaker.fail(permit, 0.0)
    state = breaker.state
    for permit in early[5:]:
        assert permit is not None
        breaker.succeed(permit)
        breaker.fail(permit, 1.0)
        breaker.release(permit)
    assert breaker.state == state


def test_jitter_only_shortens() -> None:
    breaker = Breaker(QUARANTINE_S, lambda: 0.999)
    for _ in range(5):
        permit = breaker.admit(0.0)
        assert permit is not None
        breaker.fail(permit, 0.0)
    assert 3.0 < breaker.retry_after(0.0) < 4.0


class AnyUse(RuleBasedStateMachine):
    """Whatever happens, permits stay in [0, 1] and the open time stays in its bound."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker(QUARANTINE_S, lambda: 0.5)
        self.out: list[Permit] = []

    @rule(seconds=st.floats(0, 10))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def admit(self) -> None:
        permit = self.breaker.admit(self.now)
        if permit is not None:
            self.out.append(permit)

    @rule(which=st.integers(0, 5), how=st.sampled_from(["succeed", "fail", "release"]))
    def settle(self, which: int, how: str) -> None:
        if self.out:
            permit = self.out.pop(which % len(self.out))
            if how == "fail":
                self.breaker.fail(permit, self.now)
            else:
                getattr(self.breaker, how)(permit)

    @invariant()
    def bounds_hold(self) -> None:
        state = self.breaker.state
        if isinstance(state, HalfOpen):
            assert state.permits in {0, 1}
        if isinstance(state, Open):
            assert state.until - self.now <= QUARANTINE_S
        assert sum(p.probe and p.epoch == self.breaker._epoch for p in self.out) <= 1


TestAnyUse = AnyUse.TestCase
TestAnyUse.settings = settings(max_examples=100, stateful_step_count=40)
