"""What real servers answer, as transcripts: ends, errors, lengths of waiting, and whose fault it is.

Each test names the public report that the rule was made for, where there is one.
"""

import json
from typing import Any

import pytest
from lockgate.exchange import commands as do
from lockgate.exchange import events as on
from lockgate.exchange.relay import GRACE_S, LONG_GRACE_S
from lockgate.policy.spec.backends import Timeouts
from lockgate.policy.spec.rules import Match

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

USAGE = on.ResponseData(
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n'
)
TWO = STREAM.replace(b"}", b', "n": 2}')
ENDS = (do.Ended, do.Finish(close=False))


def chunk(*choices: tuple[int, str | None, str | None]) -> on.ResponseData:
    """One event with (index, content, finish_reason) of each choice."""
    found = [
        {"index": i, "delta": {"content": text} if text else {}, "finish_reason": reason}
        for i, text, reason in choices
    ]
    return on.ResponseData(b"data: %b\n\n" % json.dumps({"choices": found}).encode())


def streaming(*events: on.Event, body: bytes = STREAM, **rule: Any) -> Playbook:
    """A stream that was begun by the first of two backends; what comes down is not asserted."""
    book = Playbook(local("a"), local("b"), body=body, **rule).answered()
    for one in (started(200, SSE), *events):
        book >> one
        for command in book.pending:
            if isinstance(command, do.SendDown):
                book.down += command.data
        book.pending.clear()
    return book


def error(**fields: Any) -> on.ResponseData:
    return on.ResponseData(b"data: %b\n\n" % json.dumps({"error": fields}).encode())


CUT = (do.DropUpstream, down(b'"error"'), do.Ended, do.Break)


def is_cut(book: Playbook, outcome: str) -> None:
    book << CUT
    assert book.end().outcome == outcome
    assert b"[DONE]" not in book.down


# -- ends


@pytest.mark.parametrize("reason", ["", "null", None])
def test_an_empty_finish_reason_is_no_end(reason: str | None) -> None:
    # sgl-project/sglang#3912, ollama/ollama#4357
    book = streaming(chunk((0, "The answer is", reason)))
    book >> on.ResponseEnded()
    is_cut(book, "truncated")


def test_a_prelude_without_choices_commits_nothing_and_is_passed_on() -> None:
    # Azure's prompt_filter_results
    prelude = on.ResponseData(b'data: {"choices":[],"prompt_filter_results":[{}]}\n\n')
    book = streaming(prelude)
    assert book.down == b""
    book >> event("hi") << down(b"prompt_filter_results", b"hi") << do.Relay


def test_an_empty_finish_reason_commits_nothing() -> None:
    book = streaming(chunk((0, None, "")))
    assert book.down == b""
    book >> on.UpstreamFailed("upstream_connect") << do.DropUpstream << dial("b")


def test_every_choice_needs_its_own_reason() -> None:
    # openai/openai-python#434: the choices of one stream end at different times
    book = streaming(chunk((0, "Yes.", None), (1, "It depends", None)), chunk((0, None, "stop")))
    book >> on.ResponseEnded()
    is_cut(book, "truncated")


def test_without_done_as_many_choices_as_were_asked_for_must_have_ended() -> None:
    book = streaming(chunk((0, "Yes.", None)), chunk((0, None, "stop")), body=TWO)
    book >> on.ResponseEnded()
    is_cut(book, "truncated")


def test_with_done_those_that_were_seen_are_enough() -> None:
    book = streaming(chunk((0, "Yes.", None)), chunk((0, None, "stop")), body=TWO)
    book >> DONE
    book << (down(b"[DONE]"), down(b"0\r\n\r\n"), do.ReleaseUpstream, do.Ended, do.Finish)
    assert book.end().outcome == "complete"


def test_done_without_any_reason_is_not_complete() -> None:
    book = streaming(event("half"))
    book >> DONE
    is_cut(book, "truncated")


def test_content_after_a_reason_takes_the_reason_back() -> None:
    book = streaming(event("a"), finish(), event("b"))
    book >> on.ResponseEnded()
    is_cut(book, "truncated")


def test_an_end_that_never_comes_is_made_after_a_grace_and_nobody_is_blamed() -> None:
    # maximhq/bifrost#6784, earendil-works/pi#7954
    book = streaming(event("a"), finish())
    assert book.armed["grace"] == GRACE_S
    book >> on.ResponseData(b": ping\n\n") << do.SendDown
    book >> on.DeadlinePassed("grace")
    book << (down(b"[DONE]"), down(b"0\r\n\r\n"), do.DropUpstream, do.Ended, do.Finish)
    exchange = book.end()
    assert (exchange.outcome, exchange.terminal) == ("complete", "Ud")
    assert book.ports.log == [("a", "succeeded")]


def test_more_content_in_the_grace_is_content() -> None:
    book = streaming(event("a"), finish(), event("b"))
    assert book.armed["idle"] == 300.0
    book >> on.DeadlinePassed("idle")
    is_cut(book, "idle_timeout")


def test_a_server_that_writes_a_reason_into_every_event_is_waited_for() -> None:
    # BerriAI/litellm#2195: Gemini's "stop" in every chunk
    book = streaming(chunk((0, "The ", "stop")))
    assert book.armed.pop("grace") == LONG_GRACE_S
    book >> chunk((0, "answer", "stop")) << down(b"answer")
    assert "grace" not in book.armed
    book >> on.DeadlinePassed("silence")
    book << (down(b"[DONE]"), down(b"0\r\n\r\n"), do.DropUpstream, do.Ended, do.Finish)
    assert book.end().outcome == "complete"


def test_a_last_word_may_come_with_its_reason() -> None:
    book = streaming(event("The "), chunk((0, "answer", "stop")))
    assert book.armed["grace"] == GRACE_S


@pytest.mark.parametrize("code", ["upstream_reset", "upstream_truncated", "upstream_protocol"])
def test_an_odd_end_behind_text_and_usage_is_complete_and_stands_in_the_record(code: str) -> None:
    book = streaming(event("a"), finish(), USAGE)
    book >> on.UpstreamFailed(code)
    book << (down(b"[DONE]"), down(b"0\r\n\r\n"), do.DropUpstream, do.Ended, do.Finish)
    exchange = book.end()
    assert exchange.outcome == "complete"
    assert exchange.terminal == f"Ud-{code.removeprefix('upstream_')}"
    assert book.ports.log == [("a", "succeeded")]


def test_an_odd_end_without_usage_is_cut() -> None:
    book = streaming(event("a"), finish())
    book >> on.UpstreamFailed("upstream_truncated")
    is_cut(book, "truncated")


@pytest.mark.parametrize("tail", [b"data: [DONE]", b"data: [DONE]\n", b"data: [DONE]\r\n"])
def test_a_last_done_needs_no_blank_line(tail: bytes) -> None:
    # NousResearch/hermes-agent#106404
    book = streaming(event("a"), finish(), on.ResponseData(tail))
    book >> on.ResponseEnded()
    book << (down(b"[DONE]"), down(b"0\r\n\r\n"), do.ReleaseUpstream, do.Ended, do.Finish)
    assert book.end().outcome == "complete"


def test_a_reason_without_its_blank_line_was_told_to_nobody() -> None:
    book = streaming(event("a"), on.ResponseData(finish().data[:-2]))
    book >> on.ResponseEnded()
    is_cut(book, "truncated")


# -- events that cannot be read, and errors


def test_an_empty_event_is_none() -> None:
    # NousResearch/hermes-agent#111887
    book = streaming(
        on.ResponseData(b"data: \n\n"), event("a"), on.ResponseData(b"data:\n\n"), finish()
    )
    book >> DONE
    book << (down(b"[DONE]"), down(b"0\r\n\r\n"), do.ReleaseUpstream, do.Ended, do.Finish)
    exchange = book.end()
    assert (exchange.outcome, exchange.malformed_events) == ("complete", 0)
    assert b"data: \n" not in book.down


@pytest.mark.parametrize(
    "broken",
    [
        b'data: {"choices":[{"delta":{"content":" --dry-run"\n\n',
        b"data: error: engine died\n\n",
        b"data: 7\n\n",
        b'data: {"a":1}\ndata: [DONE]\n\n',
    ],
)
def test_a_lost_event_never_makes_another_valid_answer(broken: bytes) -> None:
    # shiaho777/web-to-app#413
    book = streaming(event("delete /srv"))
    book >> on.ResponseData(broken)
    is_cut(book, "truncated")
    assert book.exchange.malformed_events == 1


def test_a_lost_event_before_content_goes_to_the_next_backend_at_once() -> None:
    book = streaming()
    book >> on.ResponseData(b"data: {oops\n\n") << do.DropUpstream << dial("b")
    assert book.exchange.candidates.log[0].outcome == "upstream_protocol"


def test_an_event_named_error_is_one_whatever_its_data() -> None:
    # davidmigloz/ai_clients_dart#88
    book = streaming(event("a"))
    book >> on.ResponseData(b"event: error\ndata: Internal Server Error\n\n")
    is_cut(book, "upstream_died")


@pytest.mark.parametrize(
    ("said", "expected", "told"),
    [
        ({"message": "temperature must be", "code": 400}, do.SendDown, b"temperature must be"),
        ({"message": "bad", "code": "422"}, do.SendDown, b" 422 "),
        ({"message": "prompt is too long", "type": "x"}, dial("b"), b""),
        ({"message": "slow down", "code": 429}, dial("b"), b""),
        ({"message": "busy", "status": 503}, do.Pause, b""),
        ({"message": "who knows"}, do.Pause, b""),
        ({"message": "no", "http_status_code": 422}, do.SendDown, b" 422 "),
        ({"message": "no", "type": "invalid_request_error"}, do.SendDown, b" 400 "),
        ({"message": "later", "type": "overloaded_error"}, do.Pause, b""),
        ({"message": "nothing left", "code": "insufficient_quota"}, dial("b"), b""),
    ],
)
def test_an_error_that_could_not_send_its_status_is_judged_by_it(
    said: dict[str, Any], expected: Any, told: bytes
) -> None:
    # BerriAI/litellm#32237, Aider-AI/aider#3550
    book = streaming()
    book >> error(**said) << do.DropUpstream << expected
    if expected is do.SendDown:
        book << ENDS
    assert told in book.down
    client = not isinstance(expected, type) or expected is do.SendDown
    assert book.ports.log == [("a", "released" if client else "failed")]


def test_a_callers_error_behind_the_commit_point_counts_against_nobody() -> None:
    book = streaming(event("a"))
    book >> error(message="bad", code=400)
    is_cut(book, "upstream_died")
    assert book.ports.log == [("a", "released")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error": {"message": "Provider returned error", "code": 502}}', do.Pause),
        (b'{"error": {"message": "no"}}', do.Pause),
        (b"\xef\xbb\xbf" + ANSWER, do.SendDown),  # as servers on Windows begin
        (b'{"error": {"message": "bad", "code": 400}}', do.SendDown),
        (b'{"detail": "Not Found"}', do.Pause),
        (b'[{"error": {"message": "bad", "code": 400}}]', do.SendDown),
        (b'{"choices": [{"finish_reason": "error", "error": {"code": 429}}]}', dial("b")),
        (b'{"choices": []}', dial("b")),
        (b'{"choices": [{"finish_reason": "error", "message": {}}]}', dial("b")),
        (b"null", dial("b")),
        (b'"no"', dial("b")),
        (b"{oops", dial("b")),
    ],
)
def test_a_200_is_what_its_body_is_a_failed_attempt(body: bytes, expected: Any) -> None:
    # Aider-AI/aider#3550: a 200 whose body is an error object
    book = Playbook(local("a"), local("b")).answered()
    book >> started(200, JSON) >> on.ResponseData(body) >> on.ResponseEnded()
    if ANSWER in body:
        book << expected << do.ReleaseUpstream << ENDS
    else:
        book << do.ReleaseUpstream << expected << (ENDS if expected is do.SendDown else ())
    assert (book.exchange.candidates.log[0].outcome == "complete") == (ANSWER in body)


def test_json_for_a_stream_may_be_an_error_that_came_too_late_for_its_status() -> None:
    book = Playbook(local("a"), local("b"), body=STREAM).answered()
    book >> started(200, JSON) >> on.ResponseData(b'{"error": {"message": "bad", "code": 400}}')
    (
        book
        >> on.ResponseEnded()
        << do.ReleaseUpstream
        << down(b" 400 ", b"bad")
        << do.Ended
        << do.Finish
    )
    book.end()
    events = Playbook(local("a"), local("b"), body=STREAM).answered()
    events >> started(200, JSON) >> event("hi") << down(b"text/event-stream", b"hi") << do.Relay
    again = Playbook(local("a"), local("b"), body=STREAM).answered()
    again >> started(200, JSON) >> on.ResponseData(ANSWER) >> on.ResponseEnded()
    again << (do.ReleaseUpstream, dial("b"))


NAMELESS = [(b"content-length", b"9999")]


@pytest.mark.parametrize(
    ("begin", "then"),
    [
        (b"data: {", None), (b"\xef\xbb\xbf: hi\n", None), (b"\r\n\r\nevent: x", None),
        (b"<html>", (do.DropUpstream, dial("b"))),
    ],
)  # fmt: skip
def test_without_a_telling_type_the_first_bytes_decide(begin: bytes, then: Any) -> None:
    # maximhq/bifrost#3928, sigoden/aichat#651
    book = Playbook(local("a"), local("b"), body=STREAM).answered()
    book >> started(200, NAMELESS) >> on.ResponseData(begin)
    book << (*(then or ()),)
    assert not book.pending


# -- whose fault a status is


def answered(
    status: int, body: bytes = b"{}", *fields: tuple[bytes, bytes], **rule: Any
) -> Playbook:
    """The first of two backends gave this whole answer."""
    book = Playbook(cloud("a"), cloud("b"), **rule).answered()
    book >> started(status, [*JSON, *fields])
    if book.pending:
        return book
    if body:
        book >> on.ResponseData(body)
    book >> on.ResponseEnded()
    return book


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error":{"message":"No endpoints found for x.","code":404}}', "upstream_model"),
        (b'{"error":"model not found: qwen"}', "upstream_model"),
        (b'{"error":{"code":"DeploymentNotFound","message":"no"}}', "upstream_model"),
        (b'{"detail":"Not Found"}', "upstream_path"),
        (b"404 page not found\n", "upstream_path"),
    ],
)
def test_path_and_model_are_ours_so_the_next_backend_serves(
    status: int, body: bytes, code: str
) -> None:
    # openclaw/openclaw#61411
    book = answered(status, body) << (do.ReleaseUpstream, dial("b"))
    assert book.exchange.candidates.log[0].outcome == (code if status == 404 else "upstream_path")
    assert book.ports.log == [("a", "released")]


def test_alone_it_says_which_setting_to_look_at_and_that_no_repeat_helps() -> None:
    book = Playbook(local("a")).answered()
    book >> started(404, JSON) >> on.ResponseData(b'{"detail":"Not Found"}') >> on.ResponseEnded()
    told = down(
        b" 502 ", b"external.url", b"/v1", b"x-should-retry: false", b"x-lockgate-backend: a"
    )
    book << (do.ReleaseUpstream, told, do.Ended, do.Finish)
    book.end()


def test_a_model_of_the_callers_own_choice_that_nobody_has_is_the_callers_404() -> None:
    backends = (local("a", served_model="caller"), local("b", served_model="caller"))
    book = Playbook(*backends).answered()
    missing = on.ResponseData(b'{"error":{"message":"model x not found","type":"api_error"}}')
    book >> started(404, JSON) >> missing >> on.ResponseEnded() << do.ReleaseUpstream << dial("b")
    book >> on.Connected(reused=False) << do.SendUp
    book >> started(404, JSON) >> missing >> on.ResponseEnded() << do.ReleaseUpstream
    book << (down(b" 404 ", b"model_not_found", b"model x not found"), do.Ended, do.Finish)
    assert book.end().outcome == "upstream_refused"


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"code":403,"message":"m","metadata":{"reasons":["x"],"flagged_input":"..."}}}',
        b'{"error":{"message":"m","code":"content_policy_violation"}}',
        b'{"error":{"message":"m","type":"moderation_error"}}',
        b'{"error":{"message":"Your input was flagged","code":"x"}}',
        b'{"error":{"message":"m","reasons":["violence"]}}',
        b'{"error":{"message":"m"},"flagged_input":"..."}',
        b'{"error":{"message":"m","innererror":{"code":"ResponsibleAIPolicyViolation"}}}',
        b'{"code":"x","error":"Content violates usage guidelines. SAFETY_CHECK_TYPE_BIO"}',
    ],
)
def test_a_flagged_prompt_is_the_callers_and_goes_to_nobody_else(body: bytes) -> None:
    # OpenRouter's error page; maximhq/bifrost#3261
    book = answered(403, body) << (do.ReleaseUpstream, down(b" 403 "), do.Ended, do.Finish)
    assert [a.outcome for a in book.end().candidates.log] == ["upstream_refused"]


def test_a_flagged_prompt_stays_one_whatever_else_is_said_of_it() -> None:
    said = b'{"error":{"message":"maximum context length; filtered","code":"content_filter"}}'
    answered(400, said) << (do.ReleaseUpstream, down(b" 400 "), do.Ended, do.Finish)


@pytest.mark.parametrize(
    "body", [b'{"error":{"message":"no identity-based policy allows","type":"AccessDenied"}}', b""]
)
def test_any_other_403_is_about_our_key(body: bytes) -> None:
    book = answered(403, body) << (do.ReleaseUpstream, dial("b"))
    assert book.exchange.candidates.log[0].outcome == "upstream_auth"


@pytest.mark.parametrize("kind", ["code", "type"])
def test_an_empty_account_is_no_rate_limit(kind: str) -> None:
    body = json.dumps({"error": {"message": "quota", kind: "insufficient_quota"}}).encode()
    wait = (b"retry-after", b"1")
    answered(429, body, wait) << (do.ReleaseUpstream, dial("b"))
    alone = Playbook(local("a")).answered()
    alone >> started(429, [*JSON, wait]) >> on.ResponseData(body) >> on.ResponseEnded()
    told = down(b" 429 ", b"insufficient_quota", b"x-should-retry: false")
    alone << (do.ReleaseUpstream, told, do.Ended, do.Finish)
    alone.end()
    assert b"retry-after" not in alone.down


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Your credit balance is too low to access the API", "insufficient_quota"),
        ("API key not valid. Please pass a valid API key.", "upstream_auth"),
    ],
)
def test_our_own_account_is_not_the_callers_fault(message: str, code: str) -> None:
    # anthropics/anthropic-sdk-typescript#618
    body = json.dumps({"error": {"message": message, "type": "invalid_request_error"}}).encode()
    book = answered(400, body) << (do.ReleaseUpstream, dial("b"))
    assert book.exchange.candidates.log[0].outcome == code


@pytest.mark.parametrize(
    "body",
    [
        {"detail": {"error": "WORDS"}}, {"detail": {"message": "WORDS"}}, {"Message": "WORDS"},
        {"error": [{"message": "WORDS"}]}, {"error": {"error": "WORDS"}},
        {"message": {"text": "WORDS"}}, {"error": "invalid", "error_description": "WORDS"},
        {"error": "Bad Request", "message": "WORDS"},
        {"detail": [{"loc": ["body", "n"], "msg": "WORDS", "input": "PROMPT"}]},
    ],
)  # fmt: skip
def test_the_words_of_an_error_reach_the_caller_in_whatever_shape(body: object) -> None:
    book = answered(422, json.dumps(body).encode())
    book << (do.ReleaseUpstream, down(b" 422 ", b"WORDS"), do.Ended, do.Finish)
    assert b"PROMPT" not in book.down


@pytest.mark.parametrize("status", [504, 522, 524])
def test_somebody_elses_first_token_time_out_is_not_asked_twice(status: int) -> None:
    book = answered(status) << (do.DropUpstream, dial("b"))
    assert book.exchange.candidates.log[0].outcome == "first_token_timeout"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (500, "image input is not supported - hint: you may need to provide the mmproj"),
        (501, "This server does not support embeddings. Start it with `--embeddings`"),
        (500, "tools param requires --jinja flag"),
        (500, "JSON schema conversion failed: Unrecognized schema: {}"),  # aaif-goose/goose#4815
        (500, "response_format type must be one of text, but got: json_schema"),
        (500, "System role not supported"),
        (500, "Only user, system and assistant roles are supported!"),
        (500, 'Grammar error: Unimplemented keys: ["propertyNames"]'),
        (500, "Llama model must be created with embedding=True to call this method"),
        (500, "Jinja Exception: Conversation roles must alternate user/assistant"),
        (501, "no such thing"),
        (500, "litellm.InternalServerError: OpenAIException - image input is not supported"),
    ],
)
def test_what_a_server_cannot_do_is_the_callers_400(status: int, message: str) -> None:
    body = json.dumps({"error": {"message": message, "type": "server_error"}}).encode()
    told = down(b" 400 ", message[:20].encode())
    book = answered(status, body) << (do.ReleaseUpstream, told, do.Ended, do.Finish)
    book.end()
    assert book.ports.log == [("a", "released")]


@pytest.mark.parametrize("message", ["CUDA error: feature not supported by this GPU", "boom"])
def test_a_servers_own_trouble_stays_its_own(message: str) -> None:
    body = json.dumps({"error": {"message": message}}).encode()
    answered(500, body) << (do.ReleaseUpstream, do.Pause)


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_a_coded_error_is_believed_by_its_status(status: int) -> None:
    # lablup/backend.ai#5771: a gateway that compresses its error pages
    book = answered(status, b"\x1f\x8b...", (b"content-encoding", b"gzip"))
    book << do.DropUpstream
    seen = {400: do.SendDown, 401: dial("b"), 429: dial("b"), 500: do.Pause}[status]
    book << seen << (ENDS if seen is do.SendDown else ())


def test_the_words_of_an_error_are_not_waited_for_in_vain() -> None:
    for late in (on.DeadlinePassed("error_body"), on.UpstreamFailed("upstream_truncated")):
        book = Playbook(cloud("a"), cloud("b")).answered()
        book >> started(429, JSON)
        assert book.armed["error_body"] == 10.0
        book >> late << do.DropUpstream << dial("b")
        assert book.exchange.candidates.log[0].outcome == "upstream_rate_limited"


def test_a_splice_that_is_refused_is_left_out_and_remembered() -> None:
    # BerriAI/litellm#8978: Mistral's 422 names stream_options, which no caller had sent
    refusal = b'{"detail":[{"loc":["body","stream_options"],"msg":"Extra inputs"}]}'
    book = Playbook(local("a"), body=STREAM)
    book >> on.Start() << do.Dial
    book >> on.Connected(reused=False) << (lambda c: b"stream_options" in c.body)
    book >> started(422, JSON) >> on.ResponseData(refusal) >> on.ResponseEnded()
    book << (do.ReleaseUpstream, dial("a"))
    book >> on.Connected(reused=False) << (lambda c: b"stream_options" not in c.body)
    assert book.ports.log == [("a", "released")]
    assert book.ports.without_usage == {"a"}


@pytest.mark.parametrize("kind", [SSE, JSON])
def test_a_splice_may_be_refused_inside_a_200(kind: list[tuple[bytes, bytes]]) -> None:
    said = b'{"error": {"message": "Unknown parameter: stream_options", "code": 400}}'
    book = Playbook(local("a"), body=STREAM).answered()
    book >> started(200, kind) >> on.ResponseData(b"data: %b\n\n" % said if kind is SSE else said)
    if kind is JSON:
        book >> on.ResponseEnded()
    book << (do.DropUpstream if kind is SSE else do.ReleaseUpstream, dial("a"))
    book >> on.Connected(reused=False) << (lambda c: b"stream_options" not in c.body)


@pytest.mark.parametrize(
    ("usage", "retry"), [(True, "default"), ("auto", "connect-only"), (False, "default")]
)
def test_where_it_may_not_be_asked_again_the_refusal_comes_back(usage: Any, retry: str) -> None:
    refusal = b'{"detail":[{"loc":["body","stream_options"],"msg":"Extra inputs"}]}'
    book = Playbook(local("a", stream_usage=usage), body=STREAM, retry=retry)
    book >> on.Start() << do.Dial
    book >> on.Connected(reused=False) << (lambda c: (b"stream_options" in c.body) is bool(usage))
    book >> started(422, JSON) >> on.ResponseData(refusal) >> on.ResponseEnded()
    book << (do.ReleaseUpstream, down(b" 422 "), do.Ended, do.Finish)
    book.end()


# -- hints and names


def test_a_rate_limits_hints_come_down_and_long_waits_are_cut() -> None:
    # 8monkey-ai/hebo-gateway#128
    book = Playbook(local("a")).answered()
    hints = [(b"retry-after-ms", b"70000"), (b"x-ratelimit-reset", b"4s"), (b"ratelimit", b"r=0")]
    book >> started(429, hints) >> on.ResponseEnded() << do.ReleaseUpstream
    told = down(
        b"retry-after: 60\r\n", b"retry-after-ms: 60000", b"x-ratelimit-reset", b"ratelimit: r"
    )
    book << (told, do.Ended, do.Finish)


def test_an_overloaded_backend_says_when_to_come_back_too() -> None:
    fields = [*JSON, (b"retry-after", b"4"), (b"x-ratelimit-remaining-requests", b"0")]
    book = Playbook(local("a")).answered()
    book >> started(503, fields) << do.DropUpstream
    told = down(b" 502 ", b"upstream_overloaded", b"retry-after: 4", b"x-ratelimit-remaining")
    book << (told, do.Ended, do.Finish)


def test_with_the_capable_backend_down_it_is_no_capable_backend() -> None:
    rule = Match(required_capabilities=("vision",))
    book = Playbook(local("a", capabilities=("vision",)), match=rule)
    book >> on.Start() << dial("a")
    book >> on.UpstreamFailed("upstream_connect") << do.DropUpstream
    book << (down(b" 503 ", b"no_capable_backend", b"retry-after: 1"), do.Ended, do.Finish)
    assert book.end().terminal == "Uc-connect"


def test_what_a_backend_lists_comes_down_and_its_own_id_is_named() -> None:
    fields = [*JSON, (b"x-served-by", b"gpu-7"), (b"x-request-id", b"req_1"), (b"x-other", b"no")]
    book = Playbook(local("a", downward_headers=("X-Served-By",))).answered()
    book >> started(200, fields) >> on.ResponseData(ANSWER) >> on.ResponseEnded()
    book << down(b"x-served-by: gpu-7", b"x-lockgate-upstream-request-id: req_1")
    book << do.ReleaseUpstream << ENDS
    assert b"x-other" not in book.down
    assert book.down.count(b"\r\nx-request-id: ") == 1
    assert book.exchange.candidates.log[0].own_id == "req_1"


def test_an_event_stream_is_neither_cached_nor_buffered_on_its_way() -> None:
    book = streaming(event("a"))
    assert b"cache-control: no-cache, no-transform\r\nx-accel-buffering: no\r\n" in book.down
    assert b"content-type: text/event-stream\r\n" in book.down


# -- time


def test_the_wait_for_a_first_token_is_longer_while_the_backend_shows_that_it_lives() -> None:
    book = Playbook(local("a", timeout=8.0), local("b"), body=STREAM).answered()
    book >> started(200, SSE)
    assert book.armed["first_token"] == 8.0
    book.ports.time += 6
    book >> on.ResponseData(b": processing\n\n")
    assert book.armed["first_token"] == 34.0
    book >> on.DeadlinePassed("first_token") << do.DropUpstream << dial("b")


def test_blank_lines_before_a_whole_answer_are_signs_of_life() -> None:
    # DeepSeek's rate limit page
    book = Playbook(local("a", timeout=1.0)).answered()
    book >> started(200, JSON) >> on.ResponseData(b"\r\n") >> on.ResponseData(b"  ")
    assert book.armed["first_token"] == 5.0
    book >> on.ResponseData(ANSWER) >> on.ResponseEnded() << down(b"\r\n\r\n" + ANSWER)
    book << do.ReleaseUpstream << ENDS


def test_a_silence_says_so() -> None:
    book = streaming(event("a"))
    assert book.armed["silence"] == 60.0
    book >> on.DeadlinePassed("silence")
    is_cut(book, "idle_timeout")
    assert book.exchange.terminal == "Us-silence"


BEAT = on.DeadlinePassed("heartbeat")
HEART = {"timeouts": Timeouts(heartbeat=5.0)}


def test_a_caller_is_shown_that_its_request_is_alive_and_nothing_is_committed_by_it() -> None:
    book = Playbook(local("a"), local("b"), body=STREAM, **HEART).answered()
    assert book.armed["heartbeat"] == 5.0
    book >> BEAT << down(b" 200 OK", b"text/event-stream", b": keep-alive\n")
    book >> BEAT << (lambda c: c.data == b"d\r\n: keep-alive\n\r\n")
    book >> on.UpstreamFailed("upstream_connect") << do.DropUpstream << dial("b")
    book >> BEAT << down(b": keep-alive")
    book >> on.Connected(reused=False) << do.SendUp
    book >> started(200, SSE) >> event("hi") << (lambda c: b"HTTP/" not in c.data) << do.Relay
    book >> BEAT
    book >> finish() << do.SendDown
    book >> DONE << do.SendDown << do.SendDown << do.ReleaseUpstream << do.Ended << do.Finish
    assert book.end().outcome == "complete"


def test_a_head_goes_down_once_also_where_an_answer_is_resumed() -> None:
    book = streaming(event("the "), recovery="resume", **HEART)
    book >> on.UpstreamFailed("upstream_reset") << do.DropUpstream << dial("b")
    book >> BEAT << (lambda c: c.data == b"d\r\n: keep-alive\n\r\n")
    assert book.down.count(b"HTTP/1.1") == 1


def test_an_error_behind_a_sign_of_life_is_an_event_and_no_clean_end() -> None:
    book = Playbook(local("a"), body=STREAM, **HEART).answered()
    book >> BEAT << do.SendDown
    book >> on.UpstreamFailed("upstream_connect") << do.DropUpstream
    book << (down(b'data: {"error"', b"upstream_connect", b'"terminal"'), do.Ended, do.Break)
    book.end()


def test_the_callers_own_error_behind_a_sign_of_life_is_an_event_too() -> None:
    book = Playbook(local("a"), body=STREAM, **HEART).answered()
    book >> BEAT << do.SendDown
    (
        book
        >> started(400, JSON)
        >> on.ResponseData(b'{"error":{"message":"bad"}}')
        >> on.ResponseEnded()
    )
    told = down(b'data: {"error":{"message":"bad"')
    book << (do.ReleaseUpstream, told, do.Ended, do.Break)
    book.end()


def test_white_space_is_the_sign_of_life_of_an_answer_that_is_not_streamed() -> None:
    book = Playbook(local("a"), **HEART).answered()
    book >> BEAT << down(b" 200 OK", b"application/json", b"1\r\n\n\r\n")
    book >> started(200, JSON) >> on.ResponseData(ANSWER) >> on.ResponseEnded()
    book << down(ANSWER) << down(b"0\r\n\r\n") << do.ReleaseUpstream << do.Ended << do.Finish
    assert book.end().outcome == "complete"


def test_a_single_event_may_be_as_large_as_the_field_says() -> None:
    # open-webui/open-webui#20634: a picture in one event
    book = streaming(event("here: "))
    picture = b'data: {"choices":[{"delta":{"images":["%b"]}}]}\n\n' % (b"x" * (3 << 20))
    book >> on.ResponseData(picture[:-9])
    assert book.ports.memory.held_bytes > 3 << 20
    book >> on.ResponseData(picture[-9:]) << down(b"images")
    assert book.ports.memory.held_bytes == 0
