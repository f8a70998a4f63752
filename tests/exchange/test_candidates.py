"""The candidates of one decision, walked under the retry law; every permit is settled once."""

from typing import Any

import pytest
from lockgate.exchange.attempts import Skipped
from lockgate.exchange.candidates import Candidates
from lockgate.exchange.retry import Again, Failure, GiveUp, Next
from lockgate.policy.spec.backends import Backend

from tests.exchange.playbook import FakePorts, Playbook, local


def walk(*backends: Backend, **more: Any) -> tuple[Candidates, FakePorts]:
    """Return the candidates of a request over these backends, none begun."""
    book = Playbook(*backends, **more)
    book.begun.clear()  # its exchange goes nowhere: only what it was made with is used
    request, ports = book.exchange.request, book.ports
    return Candidates(request, ports, ports.now()), ports


def fail(candidates: Candidates, code: Any, **more: Any) -> Any:
    """Let the current attempt fail; return what the law says."""
    attempt = candidates.current
    limits = candidates.ports.deadlines(candidates.request, attempt.backend)
    failure = Failure(code, **more)
    candidates.fail(failure, limits)
    return candidates.verdict(failure)


def test_candidates_are_tried_in_their_order_and_then_there_is_none() -> None:
    candidates, ports = walk(local("a"), local("b"))
    assert [one and one.name for one in (candidates.next(), candidates.next(), candidates.next())] == [
        "a", "b", None,
    ]  # fmt: skip
    assert ports.out == 2


def test_one_that_may_not_be_tried_is_skipped_with_its_reason() -> None:
    candidates, ports = walk(local("a"), local("b"))
    ports.closed["a"] = Skipped("a", "breaker_open", 3.0)
    found = candidates.next()
    assert found is not None
    assert (found.name, candidates.skipped) == ("b", [Skipped("a", "breaker_open", 3.0)])


def test_a_permit_is_settled_once_however_often_an_attempt_ends() -> None:
    candidates, ports = walk(local("a"))
    candidates.next()
    candidates.end("complete", "succeeded")
    candidates.end("upstream_reset", "failed")
    assert (ports.log, ports.out) == ([("a", "succeeded")], 0)


def test_a_request_is_one_failure_of_a_backend_however_often_it_was_tried_there() -> None:
    candidates, ports = walk(local("a"), local("b"))
    candidates.next()
    assert isinstance(fail(candidates, "upstream_reset"), Again)
    candidates.again()
    assert fail(candidates, "upstream_reset") == Next()
    assert ports.log == [("a", "failed"), ("a", "released")]


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("upstream_rate_limited", "released"),
        ("upstream_error", "failed"),
        ("proxy_capacity", "released"),
    ],
)
def test_only_a_backends_own_fault_counts_against_it(code: str, how: str) -> None:
    candidates, ports = walk(local("a"))
    candidates.next()
    fail(candidates, code)
    assert ports.log == [("a", how)]


def test_a_repeat_needs_its_share_of_the_budget() -> None:
    candidates, ports = walk(local("a"), local("b"))
    ports.repeats = 0
    candidates.next()
    assert fail(candidates, "upstream_reset") == Next()


def test_connect_only_gives_up_once_a_byte_was_written() -> None:
    candidates, _ = walk(local("a"), local("b"), retry="connect-only")
    candidates.next()
    candidates.current.bytes_written = True
    assert fail(candidates, "upstream_reset") == GiveUp()


def test_a_prompt_too_long_for_one_goes_to_those_that_take_longer_ones() -> None:
    candidates, _ = walk(
        local("a", context_length=8000),
        local("b", context_length=8000),
        local("c", context_length=32000),
    )
    candidates.next()
    fail(candidates, "upstream_context", status=400)
    found = candidates.next()
    assert found is not None
    assert found.name == "c"


def test_an_attempt_that_is_taken_back_is_none() -> None:
    candidates, ports = walk(local("a"))
    candidates.next()
    candidates.withdraw()
    assert (candidates.log, ports.log) == ([], [("a", "released")])
    assert candidates.skipped == [Skipped("a", "policy_changed")]


@pytest.mark.parametrize(
    ("skipped", "code", "wait_s"),
    [
        (
            [Skipped("a", "breaker_open", 7.0), Skipped("a", "unhealthy", 2.0)],
            "upstreams_unavailable",
            2.0,
        ),
        ([Skipped("a", "credentials_missing")], "credentials_missing", None),
        ([], "no_allowed_upstream", None),
    ],
)
def test_where_none_was_tried_the_error_says_why_and_when_to_come_back(
    skipped: list[Skipped], code: str, wait_s: float | None
) -> None:
    candidates, _ = walk(local("a"))
    candidates.skipped += skipped
    found = candidates.exhausted()
    assert (found.code, found.cause) == (code, code)
    if wait_s is not None:
        assert found.retry_after_s == wait_s


def test_fail_closed_says_no_more_than_that_none_was_allowed() -> None:
    candidates, _ = walk(local("a"), label="pii", fail_closed=True)
    candidates.next()
    fail(candidates, "upstream_connect")
    found = candidates.exhausted()
    assert (found.code, found.cause) == ("no_allowed_upstream", "upstream_connect")
