"""The time to first token of a backend: a window of samples, and no word on too few."""

import pytest
from lockgate.exchange.latency import ENOUGH, HOLD_S, SAMPLES, WINDOW_S, Latency


def seen(*times: float, at: float = 100.0) -> Latency:
    latency = Latency()
    for first_token_s in times:
        latency.saw(at, first_token_s)
    return latency


def test_too_few_samples_are_no_estimate() -> None:
    few = seen(*[1.0] * (ENOUGH - 1))
    assert (few.p95(100.0), few.median(100.0)) == (None, None)
    few.saw(100.0, 1.0)
    assert few.median(100.0) == 1.0


def test_one_slow_answer_in_twenty_is_the_p95_and_not_the_median() -> None:
    latency = seen(*[0.1] * 19, 9.0)
    assert (latency.p95(100.0), latency.median(100.0)) == (9.0, 0.1)


@pytest.mark.parametrize(("age_s", "known"), [(WINDOW_S, True), (WINDOW_S + 0.1, False)])
def test_a_backend_that_is_not_asked_is_forgotten_within_the_window(
    age_s: float, known: bool
) -> None:
    latency = seen(*[1.0] * ENOUGH)
    assert (latency.median(100.0 + age_s) is not None) is known


def test_old_samples_give_way_to_new_ones() -> None:
    latency = seen(*[9.0] * SAMPLES, *[1.0] * SAMPLES)
    assert latency.p95(100.0) == 1.0


def test_an_estimate_is_kept_for_a_moment_and_no_longer() -> None:
    latency = seen(*[1.0] * ENOUGH)
    assert latency.p95(100.0) == 1.0
    for _ in range(SAMPLES):
        latency.saw(100.0, 5.0)
    assert latency.p95(100.0 + HOLD_S / 2) == 1.0
    assert latency.p95(100.0 + HOLD_S) == 5.0
