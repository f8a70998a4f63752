"""The exposition page: what was counted, by labels that the policy bounds."""

from hypothesis import given
from hypothesis import strategies as st
from lockgate.server.metrics import Histogram, Metrics, Tally


def samples(metrics: Metrics) -> dict[str, float]:
    lines = metrics.page().decode().splitlines()
    found = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in found}


def test_requests_and_attempts_are_counted_by_their_labels() -> None:
    metrics = Metrics()
    for _ in range(2):
        metrics.request("r", "a", "local", "complete")
    metrics.attempt("a", "upstream_reset")
    found = samples(metrics)
    key = 'backend="a",outcome="complete",rule="r",tier="local"'
    assert found[f"lockgate_requests_total{{{key}}}"] == 2
    assert found['lockgate_attempts_total{backend="a",outcome="upstream_reset"}'] == 1


def test_one_policy_is_in_force_at_a_time() -> None:
    metrics = Metrics()
    metrics.policy("sha256:a")
    metrics.policy("sha256:b")
    found = {name for name in samples(metrics) if name.startswith("lockgate_policy_info")}
    assert found == {'lockgate_policy_info{digest="sha256:b"}'}


def test_a_gauge_is_asked_when_the_page_is() -> None:
    metrics, now = Metrics(), [1.0]
    metrics.watch("lockgate_in_flight", "Exchanges under way", lambda: now[0])
    metrics.watch_each("lockgate_state", "State", "backend", lambda: {"a": now[0]})
    now[0] = 7.0
    assert samples(metrics)["lockgate_in_flight"] == 7
    assert samples(metrics)['lockgate_state{backend="a"}'] == 7


def test_a_request_without_a_first_token_has_a_duration_and_no_tokens() -> None:
    tally = Tally()
    tally.measure(0.2, None, 10, 10)
    tally.measure(1.1, 0.1, 100, 11)
    assert sum(tally.duration.counts) == 2
    assert (sum(tally.first_token.counts), tally.prompt.total) == (1, 100)
    assert tally.per_token.total == 0.1  # the first token aside


def test_one_token_has_no_time_between_tokens() -> None:
    tally = Tally()
    tally.measure(1.0, 0.9, 5, 1)
    assert sum(tally.per_token.counts) == 0


@given(st.lists(st.floats(0, 100)))
def test_a_bucket_has_all_that_is_not_above_its_bound(values: list[float]) -> None:
    bounds = (0.5, 1.0, 10.0, 50.0)
    histogram = Histogram(bounds)
    for value in values:
        histogram.add(value)
    expected = [float(sum(value <= bound for value in values)) for bound in bounds]
    assert [count for _, count in histogram.buckets()] == [*expected, float(len(values))]
