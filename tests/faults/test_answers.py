"""Rows H and S: what upstreams answer."""

import itertools
import json
import socket
import threading
from collections.abc import Callable

import pytest

from tests.faults.rig import HARD, Rig, body, request
from tests.http1.corpus import BAD_ANSWERS, GOOD_ANSWERS
from tests.support.client import Answer, unchunked
from tests.support.responses import ANSWER, DONE, END, SSE_HEAD, chunk, http, word
from tests.support.upstream import reset, serve_well
from tests.support.wait import eventually, let_pass, pace

fault = pytest.mark.fault
Script = Callable[[socket.socket, bytes], None]
STREAM = body("alone", stream=True)
LEAST = b'{"choices":[{"message":{}}]}'
"""The least that is an answer."""
END_EVENT = END.partition(b"\r\n")[2][:-2]


def says(*pieces: bytes, then: str = "keep") -> Script:
    """Send pieces, then keep the connection, close it, or reset it."""

    def script(connection: socket.socket, _: bytes) -> None:
        for piece in pieces:
            connection.sendall(piece)
            if len(pieces) > 1:
                pace(0.02)
        if then == "reset":
            reset(connection)
        if then in {"close", "reset"}:
            raise OSError

    return script


def of(case_starts: str) -> list[str]:
    return [case for case in BAD_ANSWERS if case.startswith(case_starts)]


def failed_as(rig: Rig, code: str, *, stream: bool = False) -> None:
    """The one backend failed as `code`: 502 or 504, with nothing of the answer before it."""
    answer = rig.ask(body("alone", stream=stream))
    assert answer.code == code, answer.raw
    assert answer.status in {502, 504}
    assert "x-lockgate-backend: local" in answer.head


@fault("H1", "closed, reset in the status line, in a field, after the head", "502, one repeat each")
@pytest.mark.parametrize("size", [0, 5, 14, 30, 60])
@pytest.mark.parametrize("then", ["close", "reset"])
def test_h1_a_head_that_breaks(rig: Rig, size: int, then: str) -> None:
    whole = http(200, json.dumps(ANSWER).encode())
    rig.local.script = says(whole[:size], then=then)
    failed_as(rig, "upstream_reset")
    assert len(rig.record()["attempts"]) == 2
    assert "x-lockgate-backend: cloud" in rig.ask().head


@fault("H2", "every status line of the corpus that is none", "502 upstream_protocol")
@fault("H3", "every ambiguous framing of the corpus", "502, the connection is not used again")
@fault("H4", "control characters, 101 and 5,000 fields, 40 KiB", "502 upstream_protocol")
@fault("H5", "an unsolicited 101, nine interim responses", "502 upstream_protocol")
@pytest.mark.parametrize("case", [*of("H2"), *of("H3"), *of("H4"), *of("H5")])
def test_h2_to_h5_an_answer_that_cannot_be_trusted(rig: Rig, case: str) -> None:
    rig.local.script = says(BAD_ANSWERS[case])
    failed_as(rig, "upstream_protocol")
    assert len(rig.local.requests) == 2
    assert rig.metrics()["lockgate_idle_upstreams"] == 0
    assert "x-lockgate-backend: cloud" in rig.ask().head


@fault("H5", "100, 102 and 103, up to eight", "swallowed")
@pytest.mark.parametrize("case", GOOD_ANSWERS)
def test_h5_a_plain_answer_is_passed_on(rig: Rig, case: str) -> None:
    size = len(LEAST)
    raw = GOOD_ANSWERS[case].replace(b"2;a=b", b"%x;a=b" % size).replace(b"{}", LEAST)
    raw = raw.replace(b"Content-Length: 2", b"Content-Length: %d" % size)
    raw = raw.replace(b"2\r\n" + LEAST, b"%x\r\n" % size + LEAST)
    rig.local.script = says(raw, then="close" if "HTTP/1.0" in case else "keep")
    answer = rig.ask()
    assert (answer.status, answer.body) == (200, LEAST)


@fault("H6", "204 with a body; a whole response before our 8 MiB were read", "502; upload stopped")
def test_h6_answers_that_are_too_early_or_too_long(rig: Rig) -> None:
    rig.local.script = says(b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\n{}")
    failed_as(rig, "upstream_protocol")
    rig.record()
    while rig.metrics()["lockgate_idle_upstreams"]:  # kept by the test before: a failure ends one
        failed_as(rig, "upstream_protocol")
        rig.record()
    early = threading.Event()

    def answer_early(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(http(200, LEAST))
        early.wait(timeout=60)
        connection.close()

    real, rig.local._serve = rig.local._serve, answer_early  # type: ignore[method-assign, assignment]
    try:
        big = rig.ask({**body("alone"), "x": "y" * (8 << 20)})
    finally:
        rig.local._serve = real  # type: ignore[method-assign]
        early.set()
    assert (big.status, big.body) == (200, LEAST)
    assert rig.metrics()["lockgate_idle_upstreams"] == 0


@fault("H7", "Set-Cookie, Server, CORS, Alt-Svc; a redirect inside", "not passed on; not followed")
def test_h7_an_answers_own_headers_stay_here(rig: Rig) -> None:
    lies = ["set-cookie: a=b", "server: nginx", "alt-svc: h3", "access-control-allow-origin: *",
            "location: http://10.0.0.1/", "x-ratelimit-limit-requests: 5", "x-secret: s"]  # fmt: skip
    rig.local.script = says(http(200, LEAST, *lies))
    names = {line.partition(":")[0] for line in rig.ask().head.lower().split("\r\n")[1:]}
    assert names == {
        "content-type", "content-length", "x-request-id", "x-ratelimit-limit-requests",
        "connection", "x-lockgate-backend", "x-lockgate-rule", "x-lockgate-policy",
    }  # fmt: skip
    rig.local.script = says(http(307, b"", f"location: http://127.0.0.1:{rig.cloud.port}/"))
    failed_as(rig, "upstream_protocol")
    assert rig.cloud.requests == []


ERROR = b'{"error": {"message": "secret sk-CANARY", "type": "x", "code": "y"}}'


@fault("H8", "401, 403, 402, 404 of the model, 429, 500, 503, 529", "the retry law; no text leaks")
@pytest.mark.parametrize(
    ("status", "fields", "attempts", "last"),
    [
        (401, (), 2, "upstream_auth"), (402, (), 2, "upstream_auth"), (403, (), 2, "upstream_auth"),
        (429, (), 2, "upstream_rate_limited"), (429, ("retry-after: 1",), 3, "upstream_rate_limited"),
        (429, ("retry-after: 60",), 2, "upstream_rate_limited"), (500, (), 3, "upstream_error"),
        (503, (), 3, "upstream_error"), (503, ("retry-after: 60",), 2, "upstream_overloaded"),
        (529, (), 3, "upstream_error"), (408, (), 3, "upstream_error"),
    ],
)  # fmt: skip
def test_h8_statuses_follow_the_retry_law(
    rig: Rig, status: int, fields: tuple[str, ...], attempts: int, last: str
) -> None:
    rig.cloud.script = says(http(status, ERROR, *fields))
    assert "x-lockgate-backend: local" in rig.ask(None, HARD).head
    record = rig.record()
    assert len(record["attempts"]) == attempts
    assert record["attempts"][0]["outcome"] == last
    if status == 429 or 401 <= status <= 403:
        assert rig.grew("lockgate_breaker_failures") == 0


@fault("H8", "404 of the model, 404 of anything else", "our alarm and the next candidate")
def test_h8_a_404_is_ours(rig: Rig) -> None:
    rig.cloud.script = says(
        http(404, b'{"error": {"message": "m does not exist", "code": "model_not_found"}}')
    )
    assert "x-lockgate-backend: local" in rig.ask(None, HARD).head
    assert rig.record()["attempts"][0]["outcome"] == "upstream_model"
    assert rig.grew("lockgate_configuration_alarms_total") == 1
    rig.cloud.script = says(http(404, b'{"error": {"message": "no such file"}}'))
    assert "x-lockgate-backend: local" in rig.ask(None, HARD).head
    assert rig.record()["attempts"][0]["outcome"] == "upstream_path"


@fault(
    "H9", "JSON for a stream, a stream for JSON, HTML", "502 upstream_protocol, never mislabelled"
)
@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (True, http(200, b"{}")),
        (False, SSE_HEAD + word("x") + DONE),
        (False, http(200, b"<html></html>", kind="text/html")),
        (True, http(200, b"<html></html>", kind="text/html")),
        (False, http(200, b"<html></html>")),
        (False, http(200, b"")),
        (False, http(200, b"{}")),
    ],
)
def test_h9_another_type_than_was_asked_for(rig: Rig, stream: bool, said: bytes) -> None:
    rig.local.script = says(said)
    failed_as(rig, "upstream_protocol", stream=stream)
    assert len(rig.local.requests) == 1, "it would come again"


# -- streams


_asked = itertools.count()


def streamed(rig: Rig, model: str = "alone") -> Answer:
    """Ask for a stream, with a body of its own: one that failed alike before would be no news."""
    return rig.ask(body(model, stream=True, seed=next(_asked)))


def cut(rig: Rig, answer: Answer, *outcomes: str) -> None:
    """The stream was cut with both signals, and the record says how."""
    assert answer.status == 200
    assert not answer.clean
    assert b"[DONE]" not in answer.body
    event = [line for line in answer.body.split(b"\n") if line.startswith(b'data: {"error"')][-1]
    said = json.loads(event[6:].rstrip(b"\r"))["error"]
    record = rig.record()
    assert record["outcome"] in outcomes
    assert (said["outcome"], said["terminal"]) == (record["outcome"], record["terminal"])
    assert said["request_id"] == record["request_id"]


@fault("S1", "silence after the head", "the first-token deadline: the next candidate, else 504")
def test_s1_silence_after_the_head(rig: Rig) -> None:
    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(SSE_HEAD + chunk(b": hello\n\n"))
        connection.recv(1)

    rig.local.script = script
    rig.cloud.script = says(SSE_HEAD + word("x") + END + DONE)
    assert "x-lockgate-backend: cloud" in streamed(rig, "twice").head
    answer = streamed(rig, "strict")
    assert (answer.status, answer.code) == (504, "first_token_timeout")


@fault("S2", "a word, then silence, comments or ping events", "cut by the idle deadline: Us-idle")
@pytest.mark.parametrize(
    "beat", [b"", b": ping\n\n", b'event: ping\ndata: {"type": "ping"}\n\n', b"event: ping\n\n"]
)
def test_s2_comments_do_not_keep_a_stream_alive(rig: Rig, beat: bytes) -> None:
    rig.local.script = beats(beat)
    cut(rig, streamed(rig, "strict"), "idle_timeout")


@fault("S2", "words for ever, comments for ever", "cut by the total deadline: Us-total, Uw-total")
@pytest.mark.parametrize(("first", "terminal"), [("one", "Us-total"), ("", "Uw-total")])
def test_s2_the_total_deadline_bounds_everything(rig: Rig, first: str, terminal: str) -> None:
    rig.local.script = beats(plain(word("more")) if first else b": ping\n\n", first)
    answer = streamed(rig, "bounded")
    record = rig.record()
    assert (record["outcome"], record["terminal"]) == ("total_timeout", terminal)
    assert b'"total_timeout"' in answer.body
    assert answer.status == (200 if first else 504)


def beats(beat: bytes, first: str = "one") -> Script:
    """Return a stream that sends `beat` until it is cut."""

    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(SSE_HEAD + (word(first) if first else b""))
        while beat or not connection.recv(1):
            pace(0.05)
            connection.sendall(chunk(beat))

    return script


CLOSE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


def plain(chunked: bytes) -> bytes:
    return chunked.partition(b"\r\n")[2][:-2]


HALF = word("two")[:-20]


@fault("S4", "an end before the blank line of the last event", "the same")
def test_s4_an_event_without_its_blank_line_is_a_part(rig: Rig) -> None:
    rig.local.script = says(CLOSE_HEAD + plain(word("one")), END_EVENT[:-1], then="close")
    answer = streamed(rig)
    assert b'finish_reason":"stop' not in answer.body
    cut(rig, answer, "truncated")


@fault("S3", "a reset in an event", "the part is withheld, error event, breaker +1")
@fault("S4", "an end in an event", "the same")
@pytest.mark.parametrize("then", ["reset", "close"])
def test_s3_s4_a_part_of_an_event_is_never_given_out(rig: Rig, then: str) -> None:
    rig.local.script = says(SSE_HEAD + word("one"), HALF, then=then)
    answer = streamed(rig)
    assert b"two" not in answer.body
    cut(rig, answer, "truncated", "upstream_died")
    assert rig.grew("lockgate_breaker_failures") == 1


@fault("S5", "a clean end without [DONE] after a finish_reason", "complete, [DONE] is added")
@fault("S5", "a clean end without either", "truncated, error event")
@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize("finished", [True, False])
def test_s5_an_end_without_done(rig: Rig, framing: str, finished: bool) -> None:
    events = [word("one"), *([END] if finished else [])]
    if framing == "chunked":
        rig.local.script = says(SSE_HEAD + b"".join(events) + b"0\r\n\r\n")
    else:
        rig.local.script = says(CLOSE_HEAD + b"".join(map(plain, events)), then="close")
    answer = streamed(rig)
    if not finished:
        cut(rig, answer, "truncated")
        return
    assert answer.clean
    assert answer.body.count(b"[DONE]") == 1
    assert rig.record()["outcome"] == "complete"


@fault("S6", "[DONE] and then more, the connection kept open", "finished at once, not used again")
def test_s6_done_is_the_end(rig: Rig) -> None:
    rig.local.script = says(
        SSE_HEAD + word("one") + END + chunk(b"data: [DONE]\n\n") + word("late")
    )
    answer = streamed(rig)
    assert answer.clean
    assert b"late" not in answer.body
    assert rig.record()["outcome"] == "complete"
    assert rig.metrics()["lockgate_idle_upstreams"] == 0


@fault("S7", "broken chunks in a stream; lengths too short and too long", "error event; never more")
@pytest.mark.parametrize(
    "broken", [b"xyz\r\n", b"-1\r\n", b"\r\n", b"5\r\nab", b"ffffffffffffffffff\r\n"]
)
def test_s7_broken_chunks_in_a_stream(rig: Rig, broken: bytes) -> None:
    rig.local.script = says(SSE_HEAD + word("one"), broken, then="close")
    cut(rig, streamed(rig), "truncated", "upstream_died")


@fault("S7", "broken chunks in a stream; lengths too short and too long", "error event; never more")
def test_s7_lengths_that_lie(rig: Rig) -> None:
    data = json.dumps(ANSWER).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    rig.local.script = says(head % (len(data) + 5) + data, then="close")
    failed_as(rig, "upstream_truncated")
    rig.record()
    rig.local.script = says(head % len(data) + data + http(200, LEAST))
    assert rig.ask(body("alone")).json == ANSWER
    rig.record()
    assert rig.metrics()["lockgate_idle_upstreams"] == 0


@fault("S8", "one event of 9 MiB; a line without an end", "error event or 502, bounded")
def test_s8_events_are_bounded(rig: Rig) -> None:
    rig.local.script = says(SSE_HEAD + word("one"), word("x" * (9 << 20)), then="close")
    cut(rig, streamed(rig), "upstream_died", "truncated")
    rig.local.script = says(SSE_HEAD + chunk(b"data: " + b"x" * (9 << 20)), then="close")
    assert streamed(rig).code == "upstream_protocol"


@fault("S8", "CR, LF, CRLF, a BOM, data on two lines, one byte at a time", "byte-identical")
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_s8_line_ends_of_all_kinds(rig: Rig, end: bytes) -> None:
    first = '{"id":"c","choices":[{"index":0,"delta":{"content":"grüße ☺"}}]}'.encode()
    split = b'data: {"id":"c",' + end + b'data: "choices":[{"index":0,"delta":{"content":"x"}}]}'
    last = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
    events = b"\xef\xbb\xbf" + (end * 2).join(
        [b"data: " + first, split, last, b"data: [DONE]", b""]
    )
    rig.local.script = says(
        SSE_HEAD + b"".join(chunk(events[n : n + 1]) for n in range(len(events))) + b"0\r\n\r\n"
    )
    answer = streamed(rig)
    assert answer.clean
    assert unchunked(answer.body) == events


@fault(
    "S9", "an error event before a word, after a word", "the next candidate; error event, blamed"
)
def test_s9_an_error_event(rig: Rig) -> None:
    oops = chunk(b'data: {"error": {"message": "sk-CANARY overloaded"}}\n\n')
    rig.cloud.script = says(SSE_HEAD + word("x") + END + DONE)
    rig.local.script = says(SSE_HEAD + oops)
    assert "x-lockgate-backend: cloud" in streamed(rig, "twice").head
    rig.record()
    rig.local.script = says(SSE_HEAD + word("one") + oops)
    cut(rig, streamed(rig), "upstream_died")
    assert rig.grew("lockgate_breaker_failures") == 2  # one a request


@fault("S10", "64 MiB at full speed against a client of 2 MiB/s", "paused upstream, bounded, whole")
def test_s10_a_slow_caller_slows_its_upstream(rig: Rig) -> None:
    piece = word("x" * 1000) * 64
    total = 0

    def script(connection: socket.socket, _: bytes) -> None:
        nonlocal total
        connection.sendall(SSE_HEAD)
        for _ in range(256):
            connection.sendall(piece)
            total += len(piece)
        connection.sendall(END + DONE)

    rig.local.script = script
    before = rig.metrics()["process_resident_memory_bytes"]
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.connect(("127.0.0.1", rig.proxy.port))
    connection.sendall(request(STREAM, close=True))
    let_pass(0.5)
    assert total < 16 << 20  # it waits; the kernel's buffers hold some of it
    assert rig.metrics()["lockgate_memory_held_bytes"] <= 4 * 65536
    data = bytearray()
    while piece_read := connection.recv(65536):
        data += piece_read
    connection.close()
    assert data.endswith(b"0\r\n\r\n")
    assert data.count(b"data: {") == 256 * 64 + 1
    assert rig.metrics()["process_resident_memory_bytes"] - before < 16 << 20
    assert rig.record()["outcome"] == "complete"


@fault("S11", "a gzip stream, gzip JSON, unasked", "502, nothing of it passed on")
def test_s11_a_coded_answer(rig: Rig) -> None:
    coded = SSE_HEAD.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")
    rig.local.script = says(coded + word("one"))
    failed_as(rig, "upstream_protocol", stream=True)
    rig.local.script = says(http(200, LEAST, "content-encoding: gzip"))
    failed_as(rig, "upstream_protocol")


@fault("S12", "two responses to one request, at once, late", "the second is never delivered")
def test_s12_a_second_answer(rig: Rig) -> None:
    second = LEAST.replace(b"}}", b'"n": 2}}')
    rig.local.script = says(http(200, LEAST) + http(200, second))
    assert rig.ask().body == LEAST
    rig.local.script = says(http(200, LEAST), http(200, second))
    assert rig.ask().body == LEAST
    eventually(lambda: rig.metrics()["lockgate_idle_upstreams"] == 0)
    rig.local.script = serve_well
    assert rig.ask().json == ANSWER


class Relay:
    """A chaos relay: latency with jitter, slices, both ways."""

    def __init__(self, port: int, latency_s: float, slice_bytes: int) -> None:
        self._to = port
        self._latency_s, self._slice = latency_s, slice_bytes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                one, _ = self._listener.accept()
            except OSError:
                return
            other = socket.create_connection(("127.0.0.1", self._to))
            for a, b in ((one, other), (other, one)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    def _pump(self, a: socket.socket, b: socket.socket) -> None:
        number = 0
        try:
            while data := a.recv(65536):
                for at in range(0, len(data), self._slice):
                    number += 1
                    pace(self._latency_s * (number % 3) / 2)
                    b.sendall(data[at : at + self._slice])
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def stop(self) -> None:
        """Accept nobody any more."""
        self._listener.close()


@fault("S13", "latency, jitter and slices of 7 bytes on the client's side", "byte-identical")
def test_s13_slices_change_nothing(rig: Rig) -> None:
    pieces = [word(f"w{n}") for n in range(20)]
    rig.local.script = says(
        *[p[at : at + 11] for p in (SSE_HEAD, *pieces, END, DONE) for at in range(0, len(p), 11)]
    )
    relay = Relay(rig.proxy.port, 0.0005, 7)
    with socket.create_connection(("127.0.0.1", relay.port), timeout=30) as connection:
        connection.sendall(request(STREAM, close=True))
        answer = Answer.read(connection)
    rig.answers.append(answer)
    relay.stop()
    events = b"".join(map(plain, (*pieces, END))) + b"data: [DONE]\n\n"
    assert unchunked(answer.body) == events
