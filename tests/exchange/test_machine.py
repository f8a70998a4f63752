"""The exchange's transcripts: each is one way that a request can go."""

import pytest
from lockgate.exchange import commands as do
from lockgate.exchange import events as on
from lockgate.exchange.attempts import Skipped
from lockgate.exchange.state import ImpossibleEventError
from lockgate.exchange.tokens import Tokens
from lockgate.policy.spec.backends import Timeouts

from tests.exchange.playbook import (
    ANSWER,
    DONE,
    JSON,
    SSE,
    STREAM,
    Playbook,
    cloud,
    dial,
    down,
    event,
    finish,
    local,
    started,
)

HALF = 600 * 1024
LARGE = b'{"pad": "' + b"x" * (2 * HALF) + b'", "choices": [%b]}'
WHOLE = (do.SendDown, do.ReleaseUpstream, do.Ended, do.Finish(close=False))


def test_a_whole_answer_is_passed_on() -> None:
    book = Playbook(local("a")).answered()
    book >> started(200, JSON) >> on.ResponseData(ANSWER) >> on.ResponseEnded()
    length = b"content-length: %d" % len(ANSWER)
    book << (down(b"200 OK", length, b"x-lockgate-backend: a", b"\r\n\r\n" + ANSWER), *WHOLE[1:])
    exchange = book.end()
    assert (exchange.outcome, exchange.terminal, exchange.status) == ("complete", "Ud", 200)
    assert book.ports.log == [("a", "succeeded")]


def test_a_stream_proves_its_backend_at_its_first_content_and_its_death_counts_by_itself() -> None:
    book = Playbook(local("a"), body=STREAM).answered()
    book >> started(200, SSE) >> on.ResponseData(b": here\n\n")
    assert book.ports.commits == []
    book >> event("hi") << down(b"200 OK") << do.Relay
    assert (book.ports.commits, book.ports.log) == (["a"], [])
    book >> on.UpstreamFailed("upstream_reset") << do.DropUpstream << down(b"error") << do.Ended
    book << do.Break
    book.end()
    assert book.ports.log == [("a", "failed")]


def test_the_body_goes_up_with_the_backends_model_and_nothing_else_changed() -> None:
    book = Playbook(local("a"))
    book >> on.Start() << do.Dial
    book >> on.Connected(reused=False)
    book << (lambda c: c.body == b'{"model": "a", "messages": []}')
    assert book.exchange.splices == ("model",)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{}x", b"<html>", b"{}", b"null", b'"text"', b"[]", b'{"choices": []}',
     b'{"choices": null}', b'{"choices": [7]}', b'{"choices": [{"finish_reason": "error"}]}'],
)  # fmt: skip
def test_an_answer_that_is_not_what_the_door_promises_goes_to_nobody_and_comes_no_second_time(
    body: bytes,
) -> None:
    book = Playbook(local("a"), local("b")).answered()
    book >> started(200, JSON)
    if body:
        book >> on.ResponseData(body)
    book >> on.ResponseEnded()
    book << (do.ReleaseUpstream, dial("b"))


@pytest.mark.parametrize(
    "code", ["upstream_connect", "upstream_dns", "upstream_tls", "upstream_address"]
)
def test_a_backend_that_cannot_be_reached_is_not_asked_twice(code: str) -> None:
    book = Playbook(local("a"), local("b"))
    book >> on.Start() << dial("a")
    book >> on.UpstreamFailed(code)
    book << (do.DropUpstream, dial("b"))


def test_a_reset_is_worth_one_more_try_and_then_the_next_backend() -> None:
    book = Playbook(local("a"), local("b")).answered()
    book >> on.UpstreamFailed("upstream_reset") << do.DropUpstream << do.Pause(0.1)
    book >> on.PauseOver() << dial("a")
    book >> on.Connected(reused=False) << do.SendUp
    book >> on.UpstreamFailed("upstream_reset") << do.DropUpstream << dial("b")
    assert book.ports.log == [("a", "failed"), ("a", "released")]  # one failure a request


def test_an_empty_retry_budget_moves_on_at_once() -> None:
    book = Playbook(local("a"), local("b")).answered()
    book.ports.repeats = 0
    book >> on.UpstreamFailed("upstream_reset") << do.DropUpstream << dial("b")


def test_connect_only_never_sends_a_request_twice() -> None:
    book = Playbook(local("a"), local("b"), retry="connect-only").answered()
    book >> on.UpstreamFailed("upstream_reset") << do.DropUpstream << down(b"502") << do.Ended
    book << do.Finish
    book.end()


def test_connect_only_still_moves_on_when_nothing_was_written() -> None:
    book = Playbook(local("a"), local("b"), retry="connect-only")
    book >> on.Start() << dial("a")
    book >> on.UpstreamFailed("upstream_connect") << do.DropUpstream << dial("b")


def test_silence_goes_to_the_next_backend_and_counts_by_its_own_deadline() -> None:
    book = Playbook(local("a"), local("b")).answered()
    assert book.armed["first_token"] == 600.0
    book >> on.DeadlinePassed("first_token") << do.DropUpstream << dial("b")
    assert book.ports.log == [("a", "failed")]
    assert Playbook(local("a"), body=STREAM).answered().armed["first_token"] == 120.0


def test_a_stricter_rules_deadline_is_not_the_backends_fault() -> None:
    book = Playbook(local("a"), local("b"), timeout=8.0).answered()
    assert book.armed["first_token"] == 8.0
    book >> on.DeadlinePassed("first_token") << do.DropUpstream << dial("b")
    assert book.ports.log == [("a", "released")]


def test_a_stricter_rules_connect_deadline_is_not_the_backends_fault() -> None:
    book = Playbook(local("a"), local("b"), timeouts=Timeouts(connect=0.1))
    book >> on.Start() << dial("a")
    book >> on.DeadlinePassed("connect") << do.DropUpstream << dial("b")
    assert book.ports.log == [("a", "released")]


@pytest.mark.parametrize(
    ("of_rule", "of_backend", "how"),
    [(None, None, "failed"), (0.2, None, "released"), (0.2, 0.1, "failed"), (None, 0.1, "failed")],
)  # fmt: skip
def test_a_stricter_rules_idle_deadline_is_not_the_backends_fault(
    of_rule: float | None, of_backend: float | None, how: str
) -> None:
    backend = local("a", timeouts=Timeouts(idle=of_backend))
    book = Playbook(backend, body=STREAM, timeouts=Timeouts(idle=of_rule)).answered()
    book >> started(200, SSE) >> event("one") << do.SendDown << do.Relay
    book >> on.DeadlinePassed("idle")
    book << (do.DropUpstream, down(b"idle_timeout"), do.Ended, do.Break)
    assert book.ports.log == [("a", how)]


def test_408_is_worth_one_more_try_and_never_counts() -> None:
    book = Playbook(local("a"), local("b")).answered()
    book >> started(408, JSON) << do.DropUpstream << do.Pause
    book >> on.PauseOver() << dial("a")
    book >> on.Connected(reused=False) << do.SendUp
    book >> started(408, JSON) << do.DropUpstream << dial("b")
    assert book.ports.log == [("a", "released")] * 2


def test_a_short_retry_after_is_waited_for_and_a_long_one_is_not() -> None:
    for seconds, expected in ((b"2", do.Pause(2.0)), (b"4", dial("b"))):
        book = Playbook(local("a"), local("b")).answered()
        book >> started(429, [(b"retry-after", seconds)]) >> on.ResponseEnded()
        book << (do.ReleaseUpstream, expected)
        assert book.ports.log == [("a", "released")]


def test_429_from_all_stays_429_with_its_retry_after() -> None:
    book = Playbook(local("a")).answered()
    book >> started(429, [(b"retry-after", b"30")]) >> on.ResponseEnded()
    book << (
        do.ReleaseUpstream,
        down(b"429", b"retry-after: 30", b"rate_limit_error"),
        do.Ended,
        do.Finish,
    )
    assert book.end().outcome == "upstream_failed"


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "upstream_auth"), (402, "upstream_auth")],
)
def test_a_refused_key_is_our_fault_and_the_next_backend_serves(status: int, code: str) -> None:
    book = Playbook(cloud("a"), local("b")).answered()
    book >> started(status, JSON) << do.DropUpstream << dial("b")
    assert book.exchange.candidates.log[0].outcome == code
    assert book.ports.log == [("a", "released")]


def test_the_callers_own_error_is_passed_back_and_nobody_else_is_asked() -> None:
    body = b'{"error": {"message": "bad tool", "type": "invalid_request_error", "code": "x", "secret": "s"}}'
    book = Playbook(local("a"), local("b")).answered()
    book >> started(422, JSON) >> on.ResponseData(body) >> on.ResponseEnded()
    book << (do.ReleaseUpstream, down(b"422", b"bad tool"), do.Ended, do.Finish)
    assert b"secret" not in book.down
    assert book.end().outcome == "upstream_refused"
    assert book.ports.log == [("a", "released")]


def test_a_prompt_too_long_goes_to_a_larger_context_only() -> None:
    backends = (
        local("a", context_length=8),
        local("b", context_length=8),
        local("c", context_length=32),
    )
    body = b'{"error": {"message": "too long", "code": "context_length_exceeded"}}'
    book = Playbook(*backends).answered()
    book >> started(400, JSON) >> on.ResponseData(body) >> on.ResponseEnded()
    book << (do.ReleaseUpstream, dial("c"))


def test_a_prompt_too_long_for_all_is_the_callers_400() -> None:
    body = b'{"error": {"message": "too long", "code": "context_length_exceeded"}}'
    book = Playbook(local("a", context_length=8)).answered()
    book >> started(400, JSON) >> on.ResponseData(body) >> on.ResponseEnded()
    told = down(b" 400 ", b"too long", b'"code":"context_length_exceeded"')
    book << (do.ReleaseUpstream, told, do.Ended, do.Finish)
    assert book.end().outcome == "upstream_refused"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (302, JSON),
        (204, []),
        (200, [(b"content-type", b"text/html")]),
        (200, SSE),
        (200, [*JSON, (b"content-encoding", b"gzip")]),
    ],
)
def test_an_answer_of_the_wrong_kind_would_come_again_so_the_next_backend_is_asked(
    status: int, headers: list[tuple[bytes, bytes]]
) -> None:
    book = Playbook(local("a"), local("b")).answered()
    book >> started(status, headers) << do.DropUpstream << dial("b")
    assert book.exchange.candidates.log[0].outcome == "upstream_protocol"
    assert book.ports.log == [("a", "failed")]


@pytest.mark.parametrize("field", [(b"transfer-encoding", b"chunked"), (b"content-length", b"2")])
def test_a_broken_framing_is_worth_one_more_try(field: tuple[bytes, bytes]) -> None:
    book = Playbook(local("a"), local("b")).answered()
    book >> started(200, [*JSON, field]) << do.DropUpstream << do.Pause
    assert book.exchange.candidates.log[0].outcome == "upstream_protocol"


def test_p2_a_sensitive_request_with_all_local_backends_down_is_503() -> None:
    book = Playbook(local("a"), cloud("b"), label="pii")
    book >> on.Start() << dial("a")
    book >> on.UpstreamFailed("upstream_connect") << do.DropUpstream
    book << (down(b" 503 ", b"no_allowed_upstream"), do.Ended, do.Finish)
    assert book.end().terminal == "Uc-connect"


def test_open_breakers_say_when_to_come_back() -> None:
    book = Playbook(local("a"))
    book.ports.closed["a"] = Skipped("a", "breaker_open", 2.5)
    book >> on.Start()
    book << (down(b" 503 ", b"upstreams_unavailable", b"retry-after: 3"), do.Ended, do.Finish)
    assert book.end().outcome == "upstream_failed"


# -- streams


def test_a_stream_is_relayed_event_by_event_from_its_first_content() -> None:
    book = Playbook(local("a"), body=STREAM).answered()
    role = on.ResponseData(b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n')
    book >> started(200, SSE) >> role
    book >> event("hi") << down(b"200 OK", b"chunked", b"assistant", b"hi") << do.Relay
    book >> event("you") << down(b"you")
    book >> finish() << down(b"stop")
    book >> DONE << down(b"[DONE]") << down(b"0\r\n\r\n") << do.ReleaseUpstream << do.Ended
    book << do.Finish(close=False)
    assert book.end().outcome == "complete"


def test_a_stream_that_dies_before_content_is_served_by_the_next_backend() -> None:
    book = Playbook(local("a"), local("b"), body=STREAM).answered()
    book.ports.repeats = 0
    book >> started(200, SSE) >> on.UpstreamFailed("upstream_truncated")
    book << (do.DropUpstream, dial("b"))


@pytest.mark.parametrize(
    ("data", "then"),
    [
        (b'data: {"error": {"message": "x"}}\n\n', do.Pause),
        (b"data: [DONE]\n\n", dial("b")),
        (b"data: {oops\n\n", dial("b")),
        (b"data: 7\n\n", dial("b")),
        (b'data: {"hello": 1}\n\ndata: [DONE]\n\n', dial("b")),
    ],
)
def test_an_error_or_a_bare_done_before_content_fails_the_attempt(
    data: bytes, then: object
) -> None:
    book = Playbook(local("a"), local("b"), body=STREAM).answered()
    book >> started(200, SSE) >> on.ResponseData(data)
    book << (do.DropUpstream, then)


def committed(**rule: object) -> Playbook:
    book = Playbook(local("a"), local("b"), body=STREAM, **rule).answered()
    book >> started(200, SSE) >> event("hi") << do.SendDown << do.Relay
    return book


CUT = (do.DropUpstream, down(b'"error"'), do.Ended, do.Break)


@pytest.mark.parametrize(
    ("what", "outcome", "terminal"),
    [
        (on.ResponseEnded(), "truncated", "Us-truncated"),
        (on.UpstreamFailed("upstream_truncated"), "truncated", "Us-truncated"),
        (on.UpstreamFailed("upstream_reset"), "upstream_died", "Us-reset"),
        (on.ResponseData(b'data: {"error": {"message": "x"}}\n\n'), "upstream_died", "Us-error"),
        (on.DeadlinePassed("idle"), "idle_timeout", "Us-idle"),
        (on.DeadlinePassed("total"), "total_timeout", "Us-total"),
        (on.Interrupted("draining"), "drained", "Ps-drain"),
    ],
)
def test_what_is_cut_after_commit_never_ends_cleanly(
    what: on.Event, outcome: str, terminal: str
) -> None:
    book = committed()
    book >> what
    book << CUT
    exchange = book.end()
    assert (exchange.outcome, exchange.terminal) == (outcome, terminal)
    assert b"[DONE]" not in book.down
    assert b"0\r\n\r\n" not in book.down


def test_s5_a_clean_end_after_a_finish_reason_is_complete_and_gets_its_done() -> None:
    book = committed()
    book >> finish() << down(b"stop")
    book >> on.ResponseEnded() << down(b"[DONE]") << down(b"0\r\n\r\n")
    book << (do.ReleaseUpstream, do.Ended, do.Finish)
    assert book.end().outcome == "complete"


def test_an_event_that_cannot_be_read_may_have_been_content() -> None:
    book = committed()
    book >> on.ResponseData(b"data: {nonsense\n\n")
    book << CUT
    assert b"nonsense" not in book.down
    exchange = book.end()
    assert (exchange.malformed_events, exchange.outcome) == (1, "truncated")


def test_s4_a_partial_event_is_never_given_out() -> None:
    book = committed()
    book >> on.ResponseData(b'data: {"choices":[{"delta":{"content":"par')
    book >> on.UpstreamFailed("upstream_truncated")
    book << CUT
    assert b"par" not in book.down.replace(b"param", b"")


def test_usage_that_the_caller_did_not_ask_for_is_counted_and_hidden() -> None:
    book = committed()
    book >> on.ResponseData(
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n'
    )
    book >> finish() << do.SendDown
    book >> DONE << do.SendDown << do.SendDown << do.ReleaseUpstream << do.Ended << do.Finish
    assert book.end().tokens == Tokens(3, 4, "reported")
    assert b"usage" not in book.down


def test_an_http10_caller_gets_no_chunks_and_a_closed_connection() -> None:
    book = Playbook(local("a"), body=STREAM, chunks=False).answered()
    book >> started(200, SSE) >> event("hi") << down(b"connection: close") << do.Relay
    book >> finish() << do.SendDown
    book >> DONE << do.SendDown << do.ReleaseUpstream << do.Ended << do.Finish(close=True)
    assert b"chunked" not in book.down


@pytest.mark.parametrize("steps", range(5))
def test_a_caller_that_goes_away_cancels_the_upstream_in_every_phase(steps: int) -> None:
    book = Playbook(local("a"), local("b"), body=STREAM)
    played = [on.Start(), on.Connected(reused=False), started(200, SSE), event("x")]
    for step in played[: max(steps, 1)]:
        book >> step
        book.pending.clear()
    book >> on.ClientGone() << do.DropUpstream << do.Ended
    exchange = book.end()
    assert exchange.outcome == "client_gone"
    assert book.ports.log == [("a", "released")]


def test_draining_before_commit_is_a_whole_503() -> None:
    book = Playbook(local("a")).answered()
    book >> on.Interrupted("draining") << do.DropUpstream << down(b" 503 ", b"draining")
    book << (do.Ended, do.Finish(close=True))
    assert book.end().outcome == "drained"


def test_the_total_deadline_ends_the_search_for_a_backend() -> None:
    book = Playbook(local("a"), local("b"), timeouts=Timeouts(total=5.0)).answered()
    assert book.armed["total"] == 5.0
    book >> on.DeadlinePassed("total") << do.DropUpstream << down(b" 504 ")
    book << (do.Ended, do.Finish)
    assert book.end().outcome == "total_timeout"


def test_an_event_that_cannot_happen_is_a_typed_error() -> None:
    book = Playbook(local("a"))
    with pytest.raises(ImpossibleEventError, match="ResponseEnded while new"):
        book >> on.ResponseEnded()


def test_a_large_answer_commits_at_the_limit_and_goes_on() -> None:
    book = Playbook(local("a")).answered()
    data = LARGE % b'{"finish_reason": "stop"}'
    book >> started(200, JSON) >> on.ResponseData(data[:HALF]) >> on.ResponseData(data[HALF:-9])
    book << (down(b"chunked"), do.Relay)
    book >> on.ResponseData(data[-9:]) << do.SendDown
    book >> on.ResponseEnded() << down(b"0\r\n\r\n") << do.ReleaseUpstream << do.Ended << do.Finish
    assert book.end().outcome == "complete"


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (LARGE % b"", "upstream_died"),
        (LARGE % b'{"finish_reason": "error"}', "upstream_died"),
        ((LARGE % b"{}").replace(b"choices", b"error"), "upstream_died"),
        ((LARGE % b"{}")[:-1], "truncated"),
    ],
)
def test_a_large_answer_that_turns_out_to_be_none_never_ends_cleanly(
    data: bytes, outcome: str
) -> None:
    book = Playbook(local("a")).answered()
    book >> started(200, JSON) >> on.ResponseData(data) << down(b"chunked") << do.Relay
    book >> on.ResponseEnded() << do.DropUpstream << do.Ended << do.Break
    assert book.end().outcome == outcome


def test_p6_a_policy_that_changed_during_the_dial_sends_no_byte_there() -> None:
    book = Playbook(local("a"), local("b"))
    book >> on.Start() << dial("a")
    book.ports.forbidden = {"a"}
    book >> on.Connected(reused=False)
    book << (do.DropUpstream, dial("b"))
    book >> on.Connected(reused=False) << do.SendUp
    book >> started(200, JSON) >> on.ResponseData(ANSWER) >> on.ResponseEnded()
    book << WHOLE
    exchange = book.end()
    assert [attempt.backend.name for attempt in exchange.candidates.log] == ["b"]
    assert exchange.candidates.skipped == [Skipped("a", "policy_changed")]


def test_p6_a_dead_connection_is_not_replaced_where_the_policy_has_changed() -> None:
    book = Playbook(local("a")).answered()
    book.ports.forbidden = {"a"}
    book >> on.UpstreamFailed("upstream_stale")
    book << (do.DropUpstream, down(b"503", b"no_allowed_upstream"), do.Ended, do.Finish)
    assert book.end().candidates.log == []
