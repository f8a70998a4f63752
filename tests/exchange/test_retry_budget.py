"""Repeats are a share of the requests of this second and the last one."""

from hypothesis import given
from hypothesis import strategies as st
from lockgate.exchange.retry_budget import FLOOR, SHARE, RetryBudget


def taken(budget: RetryBudget, now: float) -> int:
    """Take until there is no more."""
    count = 0
    while budget.take(now):
        count += 1
    return count


def test_a_quiet_router_may_repeat_a_few_times_a_second() -> None:
    budget = RetryBudget()
    assert taken(budget, 5.0) == FLOOR
    assert taken(budget, 5.9) == 0
    assert taken(budget, 6.0) == FLOOR


def test_a_busy_one_may_repeat_a_fifth() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.saw_request(5.0)
    assert taken(budget, 5.5) == 200


def test_the_second_before_counts_while_this_one_is_young_and_an_older_one_does_not() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.saw_request(5.0)
    assert taken(budget, 6.0) == 200
    for _ in range(1000):
        budget.saw_request(7.0)
    assert taken(budget, 9.0) == FLOOR


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans())))
def test_no_second_repeats_more_than_its_share(steps: list[tuple[float, bool]]) -> None:
    budget, now = RetryBudget(), 10.0
    requests: dict[int, int] = {}
    repeats: dict[int, int] = {}
    for pause, is_request in steps:
        now += pause
        second = int(now)
        if is_request:
            budget.saw_request(now)
            requests[second] = requests.get(second, 0) + 1
        elif budget.take(now):
            repeats[second] = repeats.get(second, 0) + 1
            live = max(requests.get(second, 0), requests.get(second - 1, 0))
            assert repeats[second] <= max(FLOOR, SHARE * live)
