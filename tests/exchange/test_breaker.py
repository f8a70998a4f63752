"""The breaker: what condemns a backend opens it, one probe decides, and nothing else does."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from lockgate.exchange.breaker import Breaker, Closed, HalfOpen, Open, Opened, Permit
from lockgate.exchange.tally import Blame, Suspect

QUARANTINE_S = 16.0


def dead(client: str = "a") -> Blame:
    """Return a failure that says nothing about what was asked."""
    return Blame(client, 0, "upstream_connect")


def refused(client: str, body: int) -> Blame:
    """Return a failure that may be the body's."""
    return Blame(client, body, "upstream_error", 500)


def opened(now: float = 0.0, jitter: float = 0.0) -> Breaker:
    breaker = Breaker(QUARANTINE_S, lambda: jitter)
    for _ in range(5):
        permit = breaker.admit(now)
        assert permit is not None
        breaker.fail(permit, dead(), now)
    return breaker


def opened_by(client: str) -> Breaker:
    breaker = Breaker(QUARANTINE_S, lambda: 0.0)
    for body in range(1, 6):
        permit = breaker.admit(0.0, client)
        assert permit is not None
        breaker.fail(permit, refused(client, body), 0.0)
    return breaker


def probe(breaker: Breaker, now: float, client: str = "a") -> Permit:
    permit = breaker.admit(now, client)
    assert permit is not None
    assert permit.probe
    return permit


def test_it_opens_after_five_failures_for_a_quarter_of_the_quarantine() -> None:
    assert opened().state == Open(until=4.0, period_s=4.0)


def test_it_says_after_which_failures_it_opened() -> None:
    breaker = Breaker(QUARANTINE_S, lambda: 0.0)
    permit = breaker.admit(0.0)
    assert permit is not None
    for body in (1, 2, 3):
        assert breaker.fail(permit, refused("a", body), 0.0) is True
    assert breaker.fail(permit, refused("a", 3), 0.0) is False
    breaker.fail(permit, Blame("b", 4, "upstream_reset"), 0.0)
    said = breaker.fail(permit, refused("b", 5), 0.0)
    failures = {"upstream_error 500": 4, "upstream_reset": 1}
    assert said == Opened(4.0, failures)


def test_x10_of_a_thousand_waiters_exactly_one_probes() -> None:
    breaker = opened()
    permits = [breaker.admit(4.0) for _ in range(1000)]
    assert sum(permit is not None for permit in permits) == 1
    assert breaker.state == HalfOpen(permits=0, until=4.0, period_s=4.0)


def test_a_failed_probe_doubles_the_time_up_to_the_quarantine() -> None:
    breaker, now, periods = opened(), 0.0, []
    for _ in range(4):
        now += breaker.retry_after(now)
        said = breaker.fail(probe(breaker, now), dead(), now)
        assert isinstance(said, Opened)
        assert said.seconds == breaker.retry_after(now)
        periods.append(said.seconds)
    assert periods == [8.0, 16.0, 16.0, 16.0]


def test_a_probe_without_a_verdict_lets_the_next_one_probe() -> None:
    breaker = opened()
    breaker.release(probe(breaker, 4.0))
    assert breaker.admit(4.0) is not None


def test_a_good_probe_closes_it() -> None:
    breaker = opened()
    assert breaker.succeed(probe(breaker, 4.0), "a", 4.0)
    assert breaker.state == Closed()


def test_a_probe_that_begins_to_answer_closes_it_before_its_stream_ends() -> None:
    breaker = opened()
    held = breaker.commit(probe(breaker, 4.0), "a", 4.0)
    assert breaker.state == Closed()
    assert held is breaker.admit(4.0)  # what every other request holds
    for _ in range(4):
        breaker.fail(held, dead(), 5.0)
    assert isinstance(breaker.fail(held, dead(), 5.0), Opened)  # its stream's death is the fifth


def test_late_verdicts_from_before_it_opened_count_for_nothing() -> None:
    breaker = Breaker(QUARANTINE_S, lambda: 0.0)
    early = [breaker.admit(0.0) for _ in range(8)]
    for permit in early[:5]:
        assert permit is not None
        breaker.fail(permit, dead(), 0.0)
    state = breaker.state
    for permit in early[5:]:
        assert permit is not None
        assert not breaker.succeed(permit, "a", 0.0)
        assert breaker.commit(permit, "a", 0.0) is permit
        breaker.fail(permit, dead(), 1.0)
        breaker.release(permit)
    assert breaker.state == state


def test_jitter_only_shortens() -> None:
    assert 3.0 < opened(jitter=0.999).retry_after(0.0) < 4.0


# -- one caller's requests


def test_it_is_shut_to_the_caller_whose_requests_opened_it_and_another_may_probe_at_once() -> None:
    breaker = opened_by("bad")
    assert breaker.state == Open(until=4.0, period_s=4.0, suspect=Suspect("bad", None))
    assert breaker.admit(1.0, "bad") is None
    good = probe(breaker, 1.0, "good")
    assert breaker.admit(1.0, "good") is None
    assert breaker.succeed(good, "good", 1.5)
    # and from now on it stays closed, whatever `bad` asks
    for body in range(6, 100):
        permit = breaker.admit(1.5, "bad")
        assert permit is not None
        breaker.fail(permit, refused("bad", body), 1.5)
    assert breaker.state == Closed()


def test_a_probe_of_that_caller_gives_way_to_any_others() -> None:
    breaker = opened_by("bad")
    late = probe(breaker, 4.0, "bad")
    good = probe(breaker, 4.0, "good")
    breaker.fail(late, refused("bad", 6), 4.1)
    assert breaker.succeed(good, "good", 4.2)


def test_where_the_other_fails_too_it_is_shut_to_all_and_for_no_longer() -> None:
    breaker = opened_by("bad")
    breaker.fail(probe(breaker, 1.0, "good"), refused("good", 6), 1.0)
    assert breaker.state == Open(until=4.0, period_s=4.0)
    assert breaker.admit(3.9, "third") is None
    assert breaker.admit(4.0, "third") is not None


def test_another_that_leaves_lets_another_try_but_not_that_caller() -> None:
    breaker = opened_by("bad")
    breaker.release(probe(breaker, 1.0, "good"))
    assert breaker.admit(1.0, "bad") is None
    assert breaker.admit(1.0, "third") is not None


def test_one_body_that_a_backend_dies_of_shuts_it_to_that_body() -> None:
    breaker = Breaker(QUARANTINE_S, lambda: 0.0)
    permit = breaker.admit(0.0)
    assert permit is not None
    for _ in range(5):
        breaker.fail(permit, Blame("a", 7, "upstream_reset"), 0.0)
    assert breaker.admit(1.0, "a", 7) is None
    good = breaker.admit(1.0, "a", 8)
    assert good is not None
    assert breaker.succeed(good, "a", 1.0)
    permit = breaker.admit(1.0, "a", 7)
    assert permit is not None
    for _ in range(100):
        assert breaker.fail(permit, Blame("a", 7, "upstream_reset"), 1.0) is False


def test_connections_that_fail_are_nobodys_requests() -> None:
    breaker = opened()
    assert breaker.admit(3.9, "another") is None


def test_a_backend_that_moved_is_asked_anew_and_verdicts_on_the_old_one_are_late() -> None:
    breaker = Breaker(QUARANTINE_S, lambda: 0.0)
    permit = breaker.admit(0.0)
    assert permit is not None
    breaker.close()
    for _ in range(5):
        breaker.fail(permit, dead(), 0.0)
    assert breaker.state == Closed()


class AnyUse(RuleBasedStateMachine):
    """Whatever happens, permits stay in [0, 1], the open time in its bound, and it recovers."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker(QUARANTINE_S, lambda: 0.5)
        self.out: list[tuple[Permit, str]] = []
        self.period_s = 0.0

    @rule(seconds=st.floats(0, 10))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(client=st.sampled_from("abc"), body=st.integers(1, 100))
    def admit(self, client: str, body: int) -> None:
        permit = self.breaker.admit(self.now, client, body)
        if permit is not None:
            self.out.append((permit, client))

    @rule(
        which=st.integers(0, 5),
        how=st.sampled_from(["succeed", "commit", "release", "dead", "refused"]),
        body=st.integers(1, 100),
    )
    def settle(self, which: int, how: str, body: int) -> None:
        if not self.out:
            return
        permit, client = self.out.pop(which % len(self.out))
        if how == "succeed":
            self.breaker.succeed(permit, client, self.now)
        elif how == "commit":
            self.out.append((self.breaker.commit(permit, client, self.now), client))
        elif how == "release":
            self.breaker.release(permit)
        else:
            blame = dead(client) if how == "dead" else refused(client, body)
            before, said = self.breaker.state, self.breaker.fail(permit, blame, self.now)
            assert isinstance(said, Opened) == (self.breaker.state != before)

    @rule(client=st.sampled_from("abc"))
    def recovers(self, client: str) -> None:
        """Once its probes are over and the time is, a good one closes it."""
        if isinstance(self.breaker.state, Closed):
            return
        for permit, _ in self.out:
            self.breaker.release(permit)
        self.out.clear()
        self.now += QUARANTINE_S
        permit = probe(self.breaker, self.now, client)
        assert self.breaker.succeed(permit, client, self.now)
        assert self.breaker.state == Closed()

    @invariant()
    def bounds_hold(self) -> None:
        state = self.breaker.state
        if isinstance(state, HalfOpen):
            assert state.permits in {0, 1}
        if isinstance(state, Closed):
            self.period_s = 0.0
        else:
            assert self.period_s <= state.period_s <= QUARANTINE_S  # longer, up to the cap
            assert state.until - self.now <= QUARANTINE_S
            self.period_s = state.period_s
        assert sum(p.probe and p.epoch == self.breaker._epoch for p, _ in self.out) <= 1


TestAnyUse = AnyUse.TestCase
TestAnyUse.settings = settings(stateful_step_count=40)
