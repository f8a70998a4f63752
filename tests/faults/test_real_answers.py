"""Rows R1 to R13: what real servers answer, as public reports tell it, through the real process."""

import gzip
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.faults.rig import POLICY, Rig, body
from tests.support.client import unchunked
from tests.support.responses import ANSWER, DONE, END, SSE_HEAD, chunk, http, word
from tests.support.upstream import reset, serve_well
from tests.support.wait import pace

fault = pytest.mark.fault
Script = Callable[[socket.socket, bytes], None]
STREAM = body("alone", stream=True)
BOTH = body("resume", stream=True)


def events(*pieces: bytes) -> Script:
    """Answer with these chunks of a stream, and keep the connection."""
    return lambda connection, _: connection.sendall(SSE_HEAD + b"".join(pieces))


def sdk(rig: Rig) -> openai.OpenAI:
    url = f"http://127.0.0.1:{rig.proxy.port}/v1"
    return openai.OpenAI(base_url=url, api_key="x", max_retries=0)


def said(rig: Rig, model: str) -> str:
    """Return what the real SDK puts together of a stream."""
    messages: Any = [{"role": "user", "content": "hi"}]
    stream = sdk(rig).chat.completions.create(model=model, messages=messages, stream=True)
    deltas = [part.choices[0].delta.content or "" for part in stream if part.choices]
    rig.record()
    return "".join(deltas)


@fault("R1", "a tool call's delta is broken on its way", "the SDK raises; truncated")
def test_r1_a_lost_delta_never_makes_another_valid_command(rig: Rig) -> None:
    """shiaho777/web-to-app#413: a parser that dropped whole chunks."""
    broken = chunk(b'data: {"choices":[{"index":0,"delta":{"content":" --dry-run"\n\n')
    rig.local.script = events(word("delete /srv/data"), broken, END, DONE)
    with pytest.raises(openai.APIError):
        said(rig, "alone")
    record = rig.record()
    assert (record["outcome"], record["malformed_events"]) == ("truncated", 1)


@fault("R2", "finish_reason is the empty string, then a clean end", "truncated")
def test_r2_an_empty_reason_is_no_end(rig: Rig) -> None:
    """sgl-project/sglang#3912, ollama/ollama#4357."""
    half = word("half").replace(b"null", b'""  ')
    rig.local.script = events(half, b"0\r\n\r\n")
    assert b'"upstream_truncated"' in rig.ask(STREAM).body
    assert rig.record()["outcome"] == "truncated"


@fault("R3", "200 with an error that says 400, 429, 502; streamed and whole", "as that status")
@pytest.mark.parametrize(("code", "status", "asked"), [(400, 400, 1), (429, 429, 1), (502, 502, 2)])
@pytest.mark.parametrize("stream", [False, True])
def test_r3_an_error_inside_a_200(
    rig: Rig, code: int, status: int, asked: int, stream: bool
) -> None:
    """Aider-AI/aider#3550, BerriAI/litellm#32237, NousResearch/hermes-agent#65643."""
    error = json.dumps({"error": {"message": "why", "code": code}}).encode()
    if stream:
        rig.local.script = events(chunk(b"data: " + error + b"\n\n"), DONE)
    else:
        rig.local.script = lambda c, _: c.sendall(http(200, error))
    answer = rig.ask(body("alone", stream=stream))
    assert (answer.status, len(rig.local.requests)) == (status, asked)
    assert rig.record()["outcome"] in {"upstream_refused", "upstream_failed"}


@fault("R4", "404 and 405 of a provider; 403 for a flagged prompt", "the next one; nobody else")
def test_r4_what_is_ours_goes_on_and_a_flagged_prompt_goes_nowhere(rig: Rig) -> None:
    """openclaw/openclaw#61411; OpenRouter's error page."""
    rig.local.script = lambda c, _: c.sendall(http(404, b'{"detail":"Not Found"}'))
    assert "x-lockgate-backend: cloud" in rig.ask().head
    assert rig.record()["attempts"][0]["outcome"] == "upstream_path"
    flagged = {"message": "flagged", "code": 403, "metadata": {"reasons": ["violence"]}}
    rig.local.script = lambda c, _: c.sendall(http(403, json.dumps({"error": flagged}).encode()))
    before = len(rig.cloud.requests)
    assert rig.ask().status == 403
    assert len(rig.cloud.requests) == before


@fault("R5", "429 with retry-after-ms and x-ratelimit; compressed", "the hints come down")
def test_r5_the_hints_of_a_rate_limit(rig: Rig) -> None:
    """8monkey-ai/hebo-gateway#128, lablup/backend.ai#5771."""
    fields = ("retry-after-ms: 4200", "x-ratelimit-reset-requests: 4.2s", "content-encoding: gzip")
    packed = gzip.compress(b'{"error": {"message": "slow down"}}')
    rig.local.script = lambda c, _: c.sendall(http(429, packed, *fields))
    answer = rig.ask(body("alone"))
    assert answer.status == 429
    for line in ("retry-after: 5", "retry-after-ms: 4200", "x-ratelimit-reset-requests: 4.2s"):
        assert line in answer.head
    assert "x-lockgate-backend: local" in answer.head


@fault("R6", "no content type, text/plain, octet-stream; UTF-8 in a field", "served")
@pytest.mark.parametrize("kind", ["text/plain; charset=utf-8", "application/octet-stream"])
def test_r6_a_type_that_says_nothing(rig: Rig, kind: str) -> None:
    """maximhq/bifrost#3928, sigoden/aichat#651, mitmproxy/mitmproxy#784."""
    good = json.dumps(ANSWER).encode()
    rig.local.script = lambda c, _: c.sendall(
        http(200, good, "x-channel: 通义", kind=kind).replace(b" X\r\n", b" R\xe9ussi\r\n", 1)
    )
    answer = rig.ask(body("alone"))
    assert answer.body == good
    assert "content-type: application/json" in answer.head
    head = SSE_HEAD.replace(b"text/event-stream", kind.encode())
    rig.local.script = lambda c, _: c.sendall(head + word("hi") + END + DONE)
    assert rig.ask(STREAM).status == 200


@fault("R7", "a strict server refuses the stream_options that we added", "asked again without")
def test_r7_a_splice_that_a_server_refuses(rig: Rig) -> None:
    """openai/openai-agents-python#442, BerriAI/litellm#8978: Mistral's extra_forbidden."""

    def strict(connection: socket.socket, request: bytes) -> None:
        if b"stream_options" in request:
            detail = [{"type": "extra_forbidden", "loc": ["body", "stream_options"]}]
            connection.sendall(http(422, json.dumps({"detail": detail}).encode()))
        else:
            connection.sendall(SSE_HEAD + word("hi") + END + DONE)

    rig.local.script = strict
    assert said(rig, "alone") == "hi"
    assert said(rig, "alone") == "hi"
    assert [b"stream_options" in r for r in rig.local.requests] == [True, False, False]
    assert rig.grew("lockgate_breaker_failures") == 0


@fault("R8", "every choice has finished, only pings follow", "[DONE] after a grace, complete")
def test_r8_an_end_that_never_comes(rig: Rig) -> None:
    """maximhq/bifrost#6784, musistudio/claude-code-router#1271, earendil-works/pi#7954."""

    def pings(connection: socket.socket, _: bytes) -> None:
        connection.sendall(SSE_HEAD + word("whole") + END)
        while True:
            pace(0.1)
            connection.sendall(chunk(b": ping\n\n"))

    rig.local.script = pings
    began = time.monotonic()
    answer = rig.ask(body("strict", stream=True))
    assert b"[DONE]" in answer.raw
    assert time.monotonic() - began < 4
    assert rig.record()["outcome"] == "complete"


@fault("R9", "a picture of 1.5 MB in one event", "it arrives")
def test_r9_a_picture_in_one_event(rig: Rig) -> None:
    """open-webui/open-webui#20634, anomalyco/opencode#36343."""
    picture = b'data: {"choices":[{"index":0,"delta":{"images":["%b"]}}]}\n\n' % (b"x" * 1_500_000)
    rig.local.script = events(word("here: "), chunk(picture), END, DONE)
    answer = rig.ask(STREAM)
    assert picture in unchunked(answer.body)
    assert rig.record()["outcome"] == "complete"
    rig.local.script = serve_well  # on the connection that was paused while its caller read
    assert rig.ask(body("alone")).json == ANSWER


@fault("R10", "NaN, -Infinity and half a character in a response", "byte for byte")
@pytest.mark.parametrize("odd", [b'"logprob":-Infinity', b'"logprob":NaN', b'"content":"\\ud83d"'])
def test_r10_what_pythons_json_writes(rig: Rig, odd: bytes) -> None:
    """sgl-project/sglang#2955, madroidmaq/mlx-omni-server#56."""
    event = b'data: {"choices":[{"index":0,"delta":{"content":"a",%b}}]}\n\n' % odd
    rig.local.script = events(chunk(event), END, DONE)
    assert event in unchunked(rig.ask(STREAM).body)
    whole = b'{"choices":[{"index":0,"message":{%b}}]}' % odd
    rig.local.script = lambda c, _: c.sendall(http(200, whole))
    assert rig.ask(body("alone")).body == whole


@fault("R11", "events with ids, then a death under recovery: resume", "the SDK reads on")
def test_r11_the_comment_of_a_resumed_answer(rig: Rig) -> None:
    """openai/openai-python#2722: a blank line behind a comment is an event to the SDK."""

    def dies(connection: socket.socket, _: bytes) -> None:
        first = word("one ").partition(b"\r\n")[2][:-2]
        connection.sendall(SSE_HEAD + chunk(b"id: 1\n" + first))
        pace(0.1)
        reset(connection)
        raise OSError

    rig.local.script = dies
    rig.cloud.script = events(word("one "), word("two"), END, DONE)
    assert said(rig, "resume") == "one two"


@fault("R12", "only thoughts came, then a death under recovery: resume", "another begins anew")
def test_r12_thoughts_are_no_answer(rig: Rig) -> None:
    """tashfeenahmed/freellmapi#1184."""
    thought = b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}\n\n'

    def dies(connection: socket.socket, _: bytes) -> None:
        connection.sendall(SSE_HEAD + chunk(thought))
        pace(0.1)
        reset(connection)
        raise OSError

    rig.local.script = dies
    rig.cloud.script = events(word("from b"), END, DONE)
    assert said(rig, "resume") == "from b"


@fault(
    "R13", "a backend that thinks for long, with heartbeats asked for", "signs of life, then all"
)
def test_r13_signs_of_life(start: Callable[..., Rig]) -> None:
    """DeepSeek's rate limit page: comments and empty lines while a request waits."""
    proxy = {**POLICY["proxy"], "timeouts": {"heartbeat": "200ms"}}
    rig = start(policy={**POLICY, "proxy": proxy})

    def slow(connection: socket.socket, request: bytes) -> None:
        pace(0.7)
        if json.loads(request.partition(b"\r\n\r\n")[2]).get("stream"):
            connection.sendall(SSE_HEAD + word("late") + END + DONE)
        else:
            serve_well(connection, request)

    rig.local.script = slow
    streamed = unchunked(rig.ask(body(stream=True)).body)
    assert streamed.startswith(b": keep-alive\n: keep-alive\n")
    assert said(rig, "m") == "late"
    whole = unchunked(rig.ask(body()).body)
    assert json.loads(whole) == ANSWER
    assert whole[:2] == b"\n\n"
