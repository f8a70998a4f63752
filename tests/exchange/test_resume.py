"""Streams that break off after their commit point, under `recovery: resume`.

Each of the sixteen faults of a provider ends in the whole answer or in a plain error, and never in
an answer that looks whole and is not.
"""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.exchange import commands as do
from lockgate.exchange import events as on
from lockgate.policy.spec.backends import Backend

from tests.exchange.playbook import DONE, JSON, SSE, Playbook, cloud, event, finish, local, started

BODY = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true}'
TEXT = "the whole answer"


def said(text: str, **more: Any) -> on.ResponseData:
    delta: dict[str, Any] = {"content": text}
    document = {"id": "one", "model": "x", "choices": [{"index": 0, "delta": delta}], **more}
    return on.ResponseData(b"data: " + orjson.dumps(document) + b"\n\n")


def usage(prompt: int, completion: int) -> on.ResponseData:
    document = {
        "id": "two",
        "choices": [],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion},
    }
    return on.ResponseData(b"data: " + orjson.dumps(document) + b"\n\n")


class Play:
    """A playbook that is played on whatever comes, and read at its end."""

    def __init__(self, *backends: Backend, body: bytes = BODY, **rule: Any) -> None:
        held = backends or (local("a"), local("b"), local("c"))
        self.book = Playbook(*held, body=body, recovery="resume", **rule)
        self.sent: list[tuple[str, bytes]] = []
        self.commands: list[do.Command] = []
        self.feed(on.Start())

    def feed(self, *events: on.Event) -> "Play":
        for one in events:
            if self.book.exchange.state.value == "done":
                break  # as the shell does
            self.book >> one
            for command in self.book.pending:
                self.commands.append(command)
                if isinstance(command, do.SendUp):
                    self.sent.append((command.backend.name, command.body))
                if isinstance(command, do.SendDown):
                    self.book.down += command.data
            self.book.pending.clear()
        return self

    def answered(self, *events: on.Event) -> "Play":
        return self.feed(on.Connected(reused=False), started(200, SSE), *events)

    @property
    def text(self) -> str:
        """The content that the caller put together."""
        found = ""
        for line in self.book.down.split(b"\n"):
            if line.startswith(b"data: {"):
                for choice in json.loads(line[6:]).get("choices") or ():
                    found += choice["delta"].get("content") or ""
        return found

    def ended(self) -> str:
        """How it ended for the caller: "whole", or the code of a plain error."""
        exchange = self.book.end()
        assert isinstance(self.commands[-2], do.Ended)
        down = self.book.down
        if isinstance(self.commands[-1], do.Break):
            assert b"[DONE]" not in down
            assert b"0\r\n\r\n" not in down
            last = [line for line in down.split(b"\n") if line.startswith(b"data: ")][-1]
            error = json.loads(last[6:])["error"]
            assert (error["outcome"], error["terminal"]) == (exchange.outcome, exchange.terminal)
            return str(error["code"])
        assert isinstance(self.commands[-1], do.Finish)
        if b" 200 OK" not in down:
            return str(json.loads(down.partition(b"\r\n\r\n")[2])["error"]["code"])
        assert exchange.outcome == "complete"
        assert down.count(b"[DONE]") == 1
        return "whole"


REST = (said("the whole "), said("answer"), finish(), DONE)


def test_a_stream_that_died_is_asked_anew_and_what_was_sent_is_skipped_word_for_word() -> None:
    play = Play().answered(said("the who"), on.UpstreamFailed("upstream_reset"))
    play.answered(*REST)
    assert play.ended() == "whole"
    assert play.text == TEXT
    assert [name for name, _ in play.sent] == ["a", "b"]
    exchange = play.book.exchange
    assert [a.outcome for a in exchange.candidates.log] == ["upstream_reset", "complete"]
    assert play.book.ports.log == [("a", "failed"), ("b", "succeeded")]


def test_a_backend_with_prefill_is_sent_the_text_so_far_and_goes_on_from_there() -> None:
    play = Play(local("a"), local("b", capabilities=("prefill",)))
    play.answered(said('the "who'), on.UpstreamFailed("upstream_reset"))
    play.answered(said("le answer"), finish(), DONE)
    assert play.ended() == "whole"
    assert play.text == 'the "whole answer'
    messages = json.loads(play.sent[1][1])["messages"]
    assert messages == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": 'the "who'},
    ]
    assert "messages" in play.book.exchange.splices


def test_the_rest_names_the_model_that_goes_on_and_keeps_the_answers_id() -> None:
    play = Play().answered(said("the "), on.UpstreamFailed("upstream_reset"))
    play.answered(said("the end", model="other", id="two"), finish(), DONE)
    assert b": resumed by b\n" in play.book.down
    rest = play.book.down.partition(b"resumed by b")[2]
    assert b'"model":"other"' in rest
    assert b'"id":"one"' in rest
    assert b'"two"' not in rest


def test_usage_is_summed_over_the_attempts_and_says_so() -> None:
    body = BODY.replace(b"true}", b'true, "stream_options": {"include_usage": true}}')
    play = Play(body=body).answered(said("the "), on.UpstreamFailed("upstream_reset"))
    play.answered(said("the end"), finish(), usage(10, 4), DONE)
    assert play.ended() == "whole"
    tokens = play.book.exchange.tokens
    assert tokens is not None
    assert (tokens.completion, tokens.source) == (5, "summed")
    assert tokens.prompt == 10 + -(-len(body) // 4)
    shown = next(
        json.loads(line[6:])["usage"]
        for line in play.book.down.split(b"\n")
        if b'"usage"' in line and line.startswith(b"data")
    )
    assert shown["completion_tokens"] == 5
    assert "summed" in shown["lockgate"]


def test_what_a_lost_attempt_used_is_counted_once_also_where_nobody_goes_on() -> None:
    play = Play(local("a"), local("b"))
    play.answered(said("a"), said("b"), on.ResponseData(b"data: {oops\n\n"))
    play.feed(on.UpstreamFailed("upstream_connect"))
    assert play.ended() == "upstream_connect"
    exchange = play.book.exchange
    tokens = exchange.tokens
    assert tokens is not None
    assert (tokens.completion, tokens.source) == (2, "estimated")
    assert exchange.malformed_events == 1


def test_a_kept_connection_that_is_dead_is_replaced_while_resuming_too() -> None:
    play = Play(local("a"), local("b")).answered(said("the "), on.UpstreamFailed("upstream_reset"))
    play.feed(on.Connected(reused=True), on.UpstreamFailed("upstream_stale")).answered(*REST)
    assert play.ended() == "whole"
    assert [attempt.outcome for attempt in play.book.exchange.candidates.log][1:] == ["complete"]


def test_a_silent_second_backend_counts_by_its_own_deadline() -> None:
    play = Play(local("a"), local("b")).answered(said("the "), on.UpstreamFailed("upstream_reset"))
    play.feed(on.Connected(reused=False), on.DeadlinePassed("first_token"))
    assert play.book.ports.log == [("a", "failed"), ("b", "failed")]


def test_usage_stays_hidden_from_a_caller_who_did_not_ask() -> None:
    play = Play().answered(said("the "), on.UpstreamFailed("upstream_reset"))
    play.answered(said("the end"), finish(), usage(10, 4), DONE)
    assert b'"usage"' not in play.book.down


def test_two_answers_that_differ_are_never_mixed() -> None:
    play = Play().answered(said("the whole"), on.UpstreamFailed("upstream_reset"))
    play.answered(said("the half"))
    assert play.ended() == "resume_diverged"
    assert play.text == "the whole"
    assert play.book.ports.log == [("a", "failed"), ("b", "released")]


@pytest.mark.parametrize("rest", [(said("the"), finish(), DONE), (said("the"), DONE)])
def test_an_answer_that_ends_before_what_was_sent_is_another_one(rest: tuple[on.Event]) -> None:
    play = Play().answered(said("the whole"), on.UpstreamFailed("upstream_reset")).answered(*rest)
    assert play.ended() == "resume_diverged"


def test_a_second_death_is_resumed_on_the_third_and_a_third_is_an_error() -> None:
    play = Play().answered(said("the "), on.UpstreamFailed("upstream_reset"))
    play.answered(said("the whole"), on.UpstreamFailed("upstream_reset"))
    third = play.answered(said("the whole answer"))
    third.feed(on.UpstreamFailed("upstream_reset"))
    assert play.text == TEXT
    assert play.ended() == "upstream_reset"


@pytest.mark.parametrize(
    "event",
    [
        {"delta": {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]}},
        {"delta": {"content": "x"}, "logprobs": {"content": []}},
        {"index": 1, "delta": {"content": "x"}},
        {"delta": {"refusal": "no"}},
        {"delta": {"reasoning_content": "hm"}},
        {"delta": {"content": [{"type": "text"}]}},
    ],
    ids=["tool call", "logprobs", "second choice", "refusal", "reasoning", "parts"],
)
def test_what_is_no_plain_text_is_cut_and_not_spliced(event: dict[str, Any]) -> None:
    raw = b"data: " + orjson.dumps({"choices": [{"index": 0, **event}]}) + b"\n\n"
    play = Play().answered(said("a"), on.ResponseData(raw), on.UpstreamFailed("upstream_reset"))
    assert play.ended() == "upstream_reset"
    assert [name for name, _ in play.sent] == ["a"]


@pytest.mark.parametrize(
    "field",
    ['"n": 2', '"logprobs": true', '"response_format": {"type": "json_object"}'],
)
def test_a_request_for_more_than_plain_text_is_not_resumed(field: str) -> None:
    body = BODY.replace(b'"stream"', field.encode() + b', "stream"')
    play = Play(body=body).answered(said("a"), on.UpstreamFailed("upstream_reset"))
    assert play.ended() == "upstream_reset"


def test_an_answer_that_had_its_finish_reason_is_cut_and_not_asked_again() -> None:
    play = Play().answered(said("a"), finish(), on.UpstreamFailed("upstream_reset"))
    assert play.ended() == "upstream_reset"
    assert [name for name, _ in play.sent] == ["a"]


def test_sensitive_stays_sensitive() -> None:
    play = Play(local("a"), cloud("b"), local("c"), label="pii")
    play.answered(said("the "), on.UpstreamFailed("upstream_reset")).answered(*REST)
    assert [name for name, _ in play.sent] == ["a", "c"]
    assert play.ended() == "whole"


def test_a_caller_that_leaves_while_another_backend_is_asked_cancels_it() -> None:
    play = Play().answered(said("the "), on.UpstreamFailed("upstream_reset"))
    play.feed(on.ClientGone())
    assert isinstance(play.commands[-2], do.DropUpstream)
    assert play.book.exchange.terminal == "Cs"
    assert play.book.ports.out == 0


def test_where_only_thoughts_came_another_backend_begins_anew_and_the_answer_says_so() -> None:
    thought = b'{"id": "one", "choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]}'
    body = BODY.replace(b'"stream"', b'"response_format": {"type": "json_object"}, "stream"')
    play = Play(body=body).answered(on.ResponseData(b"data: %b\n\n" % thought))
    play.feed(on.UpstreamFailed("upstream_reset")).answered(*REST)
    assert play.ended() == "whole"
    assert play.text == TEXT
    assert b"\r\n: resumed by b\n\r\n" in play.book.down


def test_the_halves_of_a_character_that_came_apart_go_on_as_one() -> None:
    halves = [b'data: {"choices":[{"index":0,"delta":{"content":"\\u%b"}}]}\n\n' % half
              for half in (b"d83d", b"de00")]  # fmt: skip
    play = Play(local("a"), local("b", capabilities=("prefill",)))
    play.answered(*map(on.ResponseData, halves), on.UpstreamFailed("upstream_reset"))
    play.answered(said("!"), finish(), DONE)
    assert json.loads(play.sent[1][1])["messages"][-1]["content"] == "\N{GRINNING FACE}"
    assert play.ended() == "whole"
    assert b"\\ud83d" in play.book.down


@pytest.mark.parametrize(
    "odd", ['"n": [1]', '"n": "1"', '"messages": [{"role": "user", "content": "other"}]']
)
def test_an_odd_body_is_not_continued_and_its_dead_backend_counts(odd: str) -> None:
    body = BODY.replace(b'"stream"', odd.encode() + b', "stream"')
    play = Play(body=body).answered(said("a"), on.UpstreamFailed("upstream_truncated"))
    assert play.ended() == "upstream_truncated"
    assert play.book.exchange.outcome == "truncated"
    assert play.book.ports.log == [("a", "failed")]


def test_without_the_field_nothing_is_resumed() -> None:
    book = Playbook(local("a"), local("b"), body=BODY).answered()
    book >> started(200, SSE) >> event("hi") << do.SendDown << do.Relay
    book >> on.UpstreamFailed("upstream_reset") << do.DropUpstream << do.SendDown << do.Ended
    book << do.Break


# -- the sixteen faults of a provider

_HALF = said("the who")
_WRONG = said("the whole ", model="gpt-not-asked-for")
_CONTEXT = b'{"error": {"message": "too long", "code": "context_length_exceeded"}}'
_FILTER = b'{"error": {"message": "no", "code": "content_filter"}}'


def failing(*events: on.Event, before: tuple[on.Event, ...] = ()) -> tuple[on.Event, ...]:
    return (*before, on.Connected(reused=False), *events)


def error(status: int, body: bytes, *fields: tuple[bytes, bytes]) -> tuple[on.Event, ...]:
    data = [on.ResponseData(body)] if body else []
    end = [] if status == 503 else [on.ResponseEnded()]  # which needs no words
    return failing(started(status, [*JSON, *fields]), *data, *end)


def stream(*events: on.Event) -> tuple[on.Event, ...]:
    return failing(started(200, SSE), *events)


FAULTS: dict[str, tuple[tuple[on.Event, ...], str]] = {
    "429 with Retry-After": (error(429, b"", (b"retry-after", b"60")), "whole"),
    "429 without": (error(429, b""), "whole"),
    "500": (error(500, b""), "whole"),
    "503": (error(503, b""), "whole"),
    "reset before the stream": (failing(on.UpstreamFailed("upstream_reset")), "whole"),
    "reset in the stream": (stream(_HALF, on.UpstreamFailed("upstream_reset")), "whole"),
    "silence": (failing(on.DeadlinePassed("first_token")), "whole"),
    "slow first token": (stream(on.DeadlinePassed("first_token")), "whole"),
    "stall midway": (stream(_HALF, on.DeadlinePassed("idle")), "whole"),
    "a malformed event": (stream(_HALF, on.ResponseData(b"data: {oops\n\n")), "whole"),
    "a missing [DONE]": (stream(*REST[:-1], on.ResponseEnded()), "whole"),
    "a missing end": (stream(_HALF, on.ResponseEnded()), "whole"),
    "context length": (error(400, _CONTEXT), "whole"),
    "content filter": (error(400, _FILTER), "content_filter"),
    "a flapping primary": (
        (*failing(on.UpstreamFailed("upstream_reset")), on.PauseOver(),
         *stream(_HALF, on.UpstreamFailed("upstream_reset"))), "whole",
    ),
    "the wrong model's name": (stream(_WRONG, *REST[1:]), "whole"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("prefill", [False, True], ids=["anew", "prefill"])
def test_a_providers_fault_ends_in_the_whole_answer_or_in_a_plain_error(
    fault: str, prefill: bool
) -> None:
    capabilities = ("prefill",) if prefill else ()
    play = Play(local("a", context_length=8), local("b", capabilities=capabilities))
    events, end = FAULTS[fault]
    play.feed(*events)
    if play.book.exchange.state.value == "pausing":
        play.feed(on.PauseOver(), *events)
    if not isinstance(play.commands[-1], do.Finish):
        begun = play.text
        rest = TEXT.removeprefix(begun) if prefill and begun else TEXT
        play.answered(said(rest), finish(), DONE)
    assert play.ended() == end
    if end == "whole":
        assert play.text == TEXT


def test_a_fallback_that_refuses_prefill_is_passed_over() -> None:
    play = Play(local("a"), local("b", capabilities=("prefill",)), local("c"))
    play.answered(_HALF, on.UpstreamFailed("upstream_reset"))
    play.feed(on.Connected(reused=False), started(400, JSON))
    play.answered(*REST)
    assert play.ended() == "whole"
    assert play.text == TEXT


@given(
    cuts=st.lists(st.integers(0, 30), min_size=1, max_size=3),
    pieces=st.lists(st.text(max_size=6), max_size=8),
    second=st.lists(st.text(max_size=6), max_size=8),
    prefill=st.booleans(),
)
def test_what_a_caller_puts_together_is_one_backends_text_or_ends_in_an_error(
    cuts: list[int], pieces: list[str], second: list[str], prefill: bool
) -> None:
    capabilities = ("prefill",) if prefill else ()
    play = Play(local("a"), local("b", capabilities=capabilities))
    head = [said(piece) for piece in ("x", *pieces)]
    play.answered(*head, on.UpstreamFailed("upstream_reset"))
    sent = "x" + "".join(pieces)
    assert play.text == sent
    play.feed(on.Connected(reused=False), started(200, SSE))
    play.feed(*[said(piece) for piece in second], finish(), DONE)
    other = "".join(second)
    if play.ended() == "whole":
        assert play.text == (sent + other if prefill else other)
        assert prefill or other.startswith(sent)
    else:
        assert play.text.startswith(sent)


def test_p6_a_policy_that_changed_while_resuming_sends_no_byte_there() -> None:
    play = Play().answered(said("the "))
    play.feed(on.UpstreamFailed("upstream_reset"))
    play.book.ports.forbidden = {"b", "c"}
    play.feed(on.Connected(reused=False))
    assert [name for name, _ in play.sent] == ["a"]
    play.feed(on.Connected(reused=False))
    assert [name for name, _ in play.sent] == ["a"]
    assert play.ended() == "upstream_reset"
