"""The retry law, row by row: what comes after which failure."""

from typing import Any

import pytest
from attrs import evolve
from lockgate.errors.codes import Code
from lockgate.exchange.retry import (
    PAUSE_S,
    Again,
    Circumstances,
    Failure,
    GiveUp,
    Next,
    Verdict,
    counts,
    next_step,
)

FIRST = Circumstances(
    repeated=False,
    bytes_written=True,
    connect_only=False,
    retry_after_max_s=10.0,
    remaining_s=None,
    jitter=0.5,
)
SOON = Again(PAUSE_S)


@pytest.mark.parametrize(
    ("code", "more", "verdict"),
    [
        ("upstream_connect", {}, Next()),
        ("upstream_dns", {}, Next()),
        ("upstream_tls", {}, Next()),
        ("connect_timeout", {}, Next()),
        ("first_token_timeout", {}, Next()),
        ("upstream_reset", {}, SOON),
        ("upstream_protocol", {}, SOON),
        ("upstream_protocol", {"deterministic": True}, Next()),
        ("upstream_error", {"status": 500}, SOON),
        ("upstream_rate_limited", {"status": 429}, Next()),
        ("upstream_rate_limited", {"status": 429, "retry_after_s": 2.0}, Again(2.0)),
        ("upstream_rate_limited", {"status": 429, "retry_after_s": 10.0}, Again(10.0)),
        ("upstream_rate_limited", {"status": 429, "retry_after_s": 10.1}, Next()),
        ("upstream_auth", {"status": 401}, Next()),
        ("upstream_model", {"status": 404}, Next()),
        ("total_timeout", {}, GiveUp()),
    ],
)
def test_what_comes_after_a_first_failure(
    code: Code, more: dict[str, Any], verdict: Verdict
) -> None:
    assert next_step(Failure(code, **more), FIRST) == verdict


def test_a_backend_is_asked_again_once() -> None:
    assert next_step(Failure("upstream_reset"), evolve(FIRST, repeated=True)) == Next()


def test_connect_only_gives_up_once_a_byte_was_written_and_not_before() -> None:
    careful = evolve(FIRST, connect_only=True)
    assert next_step(Failure("upstream_reset"), careful) == GiveUp()
    assert next_step(Failure("upstream_connect"), evolve(careful, bytes_written=False)) == Next()


@pytest.mark.parametrize(
    ("remaining_s", "verdict"),
    [(None, SOON), (PAUSE_S * 2, SOON), (PAUSE_S, Next()), (0.0, Next())],
)
def test_a_pause_that_does_not_fit_into_the_total_deadline_is_not_made(
    remaining_s: float | None, verdict: Verdict
) -> None:
    at = evolve(FIRST, remaining_s=remaining_s)
    assert next_step(Failure("upstream_reset"), at) == verdict


def test_pauses_are_spread_around_their_mean() -> None:
    pauses = [next_step(Failure("upstream_reset"), evolve(FIRST, jitter=j)) for j in (0.0, 0.999)]
    assert pauses == [Again(PAUSE_S * 0.5), Again(PAUSE_S * 1.499)]


@pytest.mark.parametrize(
    ("code", "status", "counted"),
    [
        ("upstream_connect", None, True),
        ("upstream_error", 500, True),
        ("upstream_error", 408, False),
        ("upstream_rate_limited", 429, False),
        ("upstream_auth", 401, False),
        ("client_gone", None, False),
        ("proxy_capacity", None, False),
        ("resume_diverged", None, False),
    ],
)
def test_only_what_is_the_backends_fault_counts_against_it(
    code: Code, status: int | None, counted: bool
) -> None:
    assert counts(Failure(code, status)) is counted
