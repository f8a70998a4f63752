"""What condemns a backend: shares of requests, and never one caller's where others succeed."""

import random
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.exchange.tally import BOUND, Blame, Suspect, Tally

HALF_S = 15.0
BODIES = count(1)


class Window:
    """A tally with a clock; every body is another one unless it is given."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.now = 1000.0
        self.well = ""

    def fails(
        self,
        client: str = "a",
        times: int = 1,
        body: int | None = None,
        code: str = "upstream_error",
        status: int | None = 500,
    ) -> bool:
        """Fail `times`; whether the backend is condemned at the end, or was before."""
        condemned = False
        for _ in range(times):
            blame = Blame(client, next(BODIES) if body is None else body, code, status)
            is_news = self.tally.saw_failure(blame, self.now, HALF_S, self.well)
            condemned |= is_news and self.tally.condemns()
        return condemned

    def resets(self, client: str = "a", times: int = 1, body: int | None = None) -> bool:
        return self.fails(client, times, body, "upstream_reset", None)

    def is_out_of_reach(self, client: str = "a", times: int = 1) -> bool:
        return self.fails(client, times, 7, "upstream_connect", None)

    def serves(self, client: str = "a", times: int = 1) -> None:
        self.well = client
        for _ in range(times):
            if self.tally.failures:
                self.tally.saw_good(client, self.now, HALF_S)


@pytest.fixture
def window() -> Window:
    return Window()


# -- a backend that is dead


def test_five_failures_condemn_where_nothing_succeeds(window: Window) -> None:
    assert not window.fails(times=4)
    assert window.fails()
    assert window.tally.reasons() == {"upstream_error 500": 5}


def test_a_good_past_does_not_hold_up_the_verdict_on_a_backend_that_died(window: Window) -> None:
    window.serves(times=1000)
    assert window.fails(times=5)


def test_failures_without_a_success_between_count_however_long_they_take(window: Window) -> None:
    for _ in range(4):
        assert not window.fails(code="first_token_timeout", status=None)
        window.now += 120
    assert window.fails(code="first_token_timeout", status=None)


def test_a_failed_connection_says_nothing_about_its_body_and_counts_each_time(
    window: Window,
) -> None:
    assert not window.is_out_of_reach(times=4)
    assert window.is_out_of_reach()
    assert window.tally.suspect is None


def test_many_callers_that_fail_once_each_condemn(window: Window) -> None:
    assert [window.fails(f"caller {number}") for number in range(5)] == [False] * 4 + [True]
    assert window.tally.suspect is None


def test_five_failures_long_ago_and_a_success_since_condemn_nothing(window: Window) -> None:
    window.fails(times=4)
    window.now += 2 * HALF_S
    window.serves()
    assert window.tally.failures == 0
    assert not window.fails(times=4)


def test_a_backend_that_dies_amid_another_callers_bad_bodies_is_condemned_at_once(
    window: Window,
) -> None:
    for _ in range(30):
        window.fails("bad", 3)
        window.serves("good")
    assert not window.fails("good", 4)
    assert window.fails("good")


def test_of_a_served_caller_as_many_more_must_fail_in_a_row_as_did_before(window: Window) -> None:
    for _ in range(3):
        window.fails()
        window.serves(times=100)
    assert not window.fails(times=7)
    assert window.fails()


def test_two_served_callers_that_fail_in_a_row_condemn_and_one_does_not(window: Window) -> None:
    window.fails("bad")
    for client in ("bad", "one", "two"):
        window.serves(client, 50)
    assert not window.fails("one", 30)
    window.serves("one")
    assert not window.fails("one", 3)
    assert not window.fails("two", 2)
    window.tally.clear()
    window.fails("bad")
    for client in ("bad", "one", "two"):
        window.serves(client, 50)
    assert not window.fails("one", 3)
    assert window.fails("two", 2)


def test_connections_that_fail_in_a_row_condemn_amid_bad_bodies(window: Window) -> None:
    for _ in range(30):
        window.fails("bad", 3)
        window.serves("good", 3)
    assert window.is_out_of_reach("good", 5)


# -- a backend that fails in part


def test_half_of_forty_answers_condemn(window: Window) -> None:
    verdicts = []
    for _ in range(20):
        window.serves()
        verdicts.append(window.fails())
    assert verdicts == [False] * 19 + [True]


@pytest.mark.parametrize("clients", [1, 2, 10])
def test_a_third_of_failures_condemns_nothing_and_two_thirds_do(
    window: Window, clients: int
) -> None:
    for number in range(300):
        assert not window.fails(f"caller {number % clients}")
        window.serves(f"caller {(number + 1) % clients}", 2)
    window.tally.clear()
    verdicts = []
    for number in range(30):
        verdicts.append(window.fails(f"caller {number % clients}", 2))
        window.serves(f"caller {(number + 1) % clients}")
    assert any(verdicts)


def test_a_sick_backend_is_seen_through_its_many_callers() -> None:
    window, chance = Window(), random.Random(1)
    for number in range(200):
        if chance.random() < 0.5:
            window.serves(f"caller {number}")
        elif window.fails(f"caller {number}"):
            return
    pytest.fail("half of 200 answers failed")


# -- bad bodies


@given(st.lists(st.sampled_from(["bad", "good", "later"]), min_size=1, max_size=300))
def test_one_callers_failures_never_condemn_where_another_is_served(order: list[str]) -> None:
    window = Window()
    window.serves("good")
    for who in order:
        if who == "bad":
            assert not window.fails("bad", 3)
        elif who == "good":
            window.serves("good")
        else:
            window.now += 0.1


def test_a_body_that_meets_the_same_answer_again_is_one_failure(window: Window) -> None:
    assert not window.fails(times=100, body=1)
    assert window.tally.reasons() == {"upstream_error 500": 1}


def test_a_body_that_dies_again_counts_while_nothing_succeeds(window: Window) -> None:
    assert window.resets(times=5, body=1)


def test_a_body_that_dies_again_is_no_news_once_another_succeeds(window: Window) -> None:
    window.resets(body=1)
    window.serves()
    assert not window.resets(times=100, body=1)
    assert window.tally.failures == 1


def test_it_says_whose_bodies_they_may_be(window: Window) -> None:
    window.fails("bad", 5)
    assert window.tally.suspect == Suspect("bad", None)
    window.fails("other")
    assert window.tally.suspect is None
    window.tally.clear()
    window.resets("bad", 5, body=7)
    assert window.tally.suspect == Suspect("bad", 7)
    window.resets("other", body=7)
    assert window.tally.suspect == Suspect(None, 7)
    window.resets("other", body=8)
    assert window.tally.suspect is None


def test_what_failed_is_known_once_another_was_served_meanwhile(window: Window) -> None:
    window.resets("bad", 5, body=7)
    window.tally.acquit("bad", window.now, HALF_S)
    assert not window.resets("bad", 100, body=7)
    window.tally.acquit("good", window.now, HALF_S)
    assert not window.resets("bad", 100)


def test_callers_and_bodies_are_bounded(window: Window) -> None:
    for number in range(3 * BOUND):
        window.fails(f"caller {number}")
        window.serves(f"other {number}", 1)
    half = window.tally._now
    assert max(len(half.failed_by), len(half.good_by), len(half.bodies)) <= BOUND + 1
