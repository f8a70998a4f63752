"""Rows C: what clients do."""

import gzip
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.faults.rig import PII, POLICY, Rig, body, request
from tests.http1.corpus import BAD, GOOD, JSON, PLAIN_HEAD
from tests.support.client import Answer
from tests.support.proxy import Proxy
from tests.support.responses import ANSWER, DONE, END, SSE_HEAD, http, word
from tests.support.upstream import Upstream, reset
from tests.support.wait import eventually, let_pass

fault = pytest.mark.fault
STREAM = body(stream=True)


def patient(connection: socket.socket, _: bytes) -> None:
    """Answer nothing, and see the proxy go."""
    assert connection.recv(1) == b""
    raise OSError


@fault("C1", "the socket closed after n bytes of a head, every n", "nothing upstream, no record")
def test_c1_a_head_that_is_never_whole_is_nothing(rig: Rig) -> None:
    head = request().partition(b"\r\n\r\n")[0] + b"\r\n\r"
    for size in range(len(head) + 1):
        with rig.connect() as connection:
            connection.sendall(head[:size])
    eventually(lambda: rig.metrics()["lockgate_connections"] == 0)
    assert rig.local.requests == []
    assert rig.grew("lockgate_requests_total") == 0


@fault("C2", "closed at byte k of a body, inside a chunk", "no upstream, one record each: Cb")
def test_c2_a_body_that_is_never_whole_is_one_record(rig: Rig) -> None:
    whole = request()
    begun = [whole[:-size] for size in (1, 2, 40, len(whole.partition(b"\r\n\r\n")[2]) - 1)]
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    begun += [head + b"5\r\nab", head + b"5", head + b"5\r\nabcde\r\n0\r\n"]
    for data in begun:
        with rig.connect() as connection:
            connection.sendall(data)
            let_pass(0.02)
        record = rig.record()
        assert (record["outcome"], record["terminal"]) == ("client_gone", "Cb")
    assert rig.local.requests == []


def full_backlog() -> tuple[socket.socket, list[socket.socket]]:
    """Return a listener that accepts nobody any more."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = []
    for _ in range(4):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(listener.getsockname())
        waiting.append(one)
    let_pass(0.05)
    return listener, waiting


@fault("C4", "closed with the upstream's backlog full", "dial cancelled, Cc, nobody blamed")
def test_c4_a_caller_that_leaves_while_we_dial_cancels_the_dial(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    listener, waiting = full_backlog()
    addresses = {
        "local": f"http://127.0.0.1:{listener.getsockname()[1]}",
        "cloud": f"http://127.0.0.1:{upstreams['cloud'].port}",
    }
    proxy = Proxy(tmp_path, {**POLICY, "proxy": {"timeouts": {"connect": "30s"}}}, addresses)
    rig = Rig(proxy, upstreams["local"], upstreams["cloud"])
    with rig.connect() as connection:
        connection.sendall(request(body("alone")))
        eventually(lambda: rig.metrics()["lockgate_in_flight"] == 1)
    eventually(lambda: rig.metrics()["lockgate_in_flight"] == 0, seconds=1)
    record = rig.record()
    assert (record["terminal"], record["attempts"][0]["outcome"]) == ("Cc", "client_gone")
    rig.hold_the_invariants()
    assert proxy.stop() == 0
    for one in (*waiting, listener):
        one.close()


@fault("C5", "closed while the upstream thinks", "upstream cancelled within 1 s, Cw, no tokens")
@fault("C9", "a reset instead of a close, waiting", "the same as for a close")
@pytest.mark.parametrize("how", ["close", "reset"])
def test_c5_c9_waiting(rig: Rig, how: str) -> None:
    rig.local.script = patient
    connection = rig.connect()
    connection.sendall(request())
    eventually(lambda: rig.local.requests)
    reset(connection) if how == "reset" else connection.close()
    rig.upstream_left_within_a_second(rig.local)
    record = rig.record()
    assert (record["outcome"], record["terminal"], record["tokens"]) == ("client_gone", "Cw", None)


@fault("C6", "closed after k events", "upstream cancelled, Cs, bytes and tokens so far")
@fault("C9", "a reset instead of a close, in the stream", "the same as for a close")
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("events", [1, 5])
def test_c6_c9_streaming(rig: Rig, how: str, events: int) -> None:
    def script(connection: socket.socket, one: bytes) -> None:
        connection.sendall(SSE_HEAD + word("x") * events)
        patient(connection, one)

    rig.local.script = script
    connection = rig.connect()
    connection.sendall(request(STREAM))
    seen = b""
    while seen.count(b"data: ") < events:
        seen += connection.recv(65536)
    reset(connection) if how == "reset" else connection.close()
    rig.upstream_left_within_a_second(rig.local)
    record = rig.record()
    assert (record["outcome"], record["terminal"]) == ("client_gone", "Cs")
    assert record["tokens"]["completion"] == events
    assert record["tokens"]["source"] == "estimated"
    assert record["bytes_out"] > 0


@fault("C7", "closed after [DONE] was read", "complete, no error")
def test_c7_a_caller_that_leaves_after_the_end_had_it_all(rig: Rig) -> None:
    rig.local.script = lambda c, _: c.sendall(SSE_HEAD + word("x") + END + DONE)
    connection = rig.connect()
    connection.sendall(request(STREAM))
    seen = b""
    while b"[DONE]" not in seen:
        seen += connection.recv(65536)
    connection.close()
    assert rig.record()["outcome"] == "complete"


@fault("C8", "the client shuts its sending half", "taken for leaving: upstream cancelled, Cw")
def test_c8_a_half_closed_caller_is_gone(rig: Rig) -> None:
    rig.local.script = patient
    connection = rig.connect()
    connection.sendall(request())
    eventually(lambda: rig.local.requests)
    connection.shutdown(socket.SHUT_WR)
    rig.upstream_left_within_a_second(rig.local)
    assert connection.recv(65536) == b""
    connection.close()
    assert rig.record()["terminal"] == "Cw"


@pytest.mark.slow
@fault("C10", "a byte of a head every second", "408 ten seconds after the first, no record")
def test_c10_a_head_that_drips_meets_its_deadline(rig: Rig) -> None:
    with rig.connect() as connection:
        connection.settimeout(0.9)
        answer = b""
        for number in range(20):
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1"[number : number + 1])
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
            break
    assert answer.startswith(b"HTTP/1.1 408")
    assert 8 <= number <= 13
    assert rig.local.requests == []


@pytest.mark.slow
@fault("C11", "a byte of a body every second", "408 after 30 s, no upstream, one record")
def test_c11_a_body_that_drips_meets_its_deadline(rig: Rig) -> None:
    with rig.connect() as connection:
        connection.sendall(request()[:-40])
        connection.settimeout(1)
        answer = b""
        for _ in range(40):
            try:
                answer = connection.recv(65536)
                break
            except TimeoutError:
                connection.sendall(b" ")
    assert answer.startswith(b"HTTP/1.1 408")
    assert rig.local.requests == []
    assert rig.record()["error"] == "body_timeout"


@pytest.mark.slow
@fault("C12", "a client that never reads", "upstream paused, cut after 30 s: Cs-stall")
def test_c12_a_caller_that_does_not_read_is_cut(rig: Rig) -> None:
    sent = 0

    def script(connection: socket.socket, _: bytes) -> None:
        nonlocal sent
        connection.sendall(SSE_HEAD)
        piece = word("x" * 1000) * 60
        while True:
            sent += connection.send(piece)

    rig.local.script = script
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", rig.proxy.port))
    connection.sendall(request(STREAM))
    let_pass(3)
    after_three = sent
    assert after_three < 16 << 20  # the kernel's buffers on both sides, and one high-water mark
    let_pass(2)
    assert sent == after_three  # paused
    record = rig.record(seconds=40)
    connection.close()
    assert (record["outcome"], record["terminal"]) == ("client_gone", "Cs-stall")


@fault("C13", "2,000 idle connections against a limit of 116", "bounded; another client is served")
def test_c13_a_flood_of_connections_leaves_room_for_others(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    upstreams["local"].reset()
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(tmp_path, POLICY, addresses, descriptors=256)
    rig = Rig(proxy, upstreams["local"], upstreams["cloud"])
    flood = []
    for number in range(2000):
        one = socket.socket()
        one.bind((f"127.0.0.{2 + number % 3}", 0))
        one.connect(("127.0.0.1", proxy.port))
        flood.append(one)
        if number % 500 == 0:
            assert rig.ask().status == 200
    assert rig.ask().status == 200
    assert rig.metrics()["lockgate_connections"] <= 116
    assert rig.metrics()["lockgate_connections_closed_idle"] > 1000
    for one in flood:
        one.close()
    rig.hold_the_invariants()
    assert proxy.stop() == 0


@fault("C14", "100 requests in one write", "answered in order, one record each")
def test_c14_pipelined_requests_are_answered_in_order(rig: Rig) -> None:
    with rig.connect() as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n" * 50 + request() * 50)
        data = b""
        while data.count(b"HTTP/1.1 200") < 100 or not data.endswith(b"}"):
            data += connection.recv(65536)
    doors = [rig.record()["door"] for _ in range(100)]
    assert doors == ["models"] * 50 + ["chat"] * 50


@fault(
    "C14", "60 responses of 1 MB that nobody reads", "the others wait, and come once they are read"
)
def test_c14_nothing_more_is_made_for_a_caller_that_does_not_read(rig: Rig) -> None:
    answer = json.dumps({**ANSWER, "x": "y" * 1_000_000}).encode()
    rig.local.script = lambda c, _: c.sendall(http(200, answer))
    with rig.connect() as connection:
        connection.sendall(request() * 60)
        eventually(lambda: rig.metrics()["lockgate_memory_held_bytes"] > 0)
        let_pass(0.5)
        assert len(rig.local.requests) < 30  # what the kernel's buffers take, and one
        seen, tail = 0, b""
        while seen < 60:
            piece = connection.recv(1 << 20)
            assert piece
            seen += (tail + piece).count(b"HTTP/1.1 200") - tail.count(b"HTTP/1.1 200")
            tail = piece[-20:]
    assert len(rig.local.requests) == 60


@fault("C15", "a good request after an error in a body", "a clean next response")
@fault("C15", "a good request after an error in the framing", "closed")
def test_c15_after_an_error_comes_a_clean_answer_or_the_end(rig: Rig) -> None:
    with rig.connect() as connection:
        for document, status in ((b"{", b"400"), (b'{"model": "m"}', b"200")):
            connection.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b"
                % (len(document), document)
            )
            assert connection.recv(65536).startswith(b"HTTP/1.1 " + status)
    with rig.connect() as connection:
        connection.sendall(BAD["9112-11.2 CL.TE"][0] + request())
        data = b""
        while piece := connection.recv(65536):  # a reset could take the answer with it
            data += piece
    assert data.count(b"HTTP/1.1 ") == 1
    assert len(rig.local.requests) == 1


@fault("C16", "Expect with a body, another value, a refused head", "100 once admitted, 417, no 100")
def test_c16_100_continue_comes_after_the_gates(rig: Rig) -> None:
    data = b'{"model": "m"}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
    with rig.connect() as connection:
        connection.sendall(head + b"connection: close\r\ncontent-length: 14\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(data)
        assert Answer.read(connection).status == 200
    too_large = rig.talk(head + b"content-length: 99999999\r\n\r\n")
    assert (too_large.status, b"100 Continue" in too_large.raw) == (413, False)
    other = request().replace(b"host: x", b"host: x\r\nexpect: magic")
    assert rig.talk(other).status == 417


@fault("C17", "a long line, a long field, many fields, a long head", "414 or 431, then closed")
@pytest.mark.parametrize(
    ("case", "status"),
    [
        ("9112-3 a target of 9,000 bytes", 414),
        ("a start line without an end", 414),
        ("101 fields", 431),
        ("40,000 bytes of one field", 431),
    ],
)
def test_c17_an_oversize_head_has_its_status(rig: Rig, case: str, status: int) -> None:
    answer = rig.talk(BAD[case][0])
    assert answer.status == status
    assert "connection: close" in answer.head


@fault("C18", "32 MiB and a byte, announced or chunked", "413 before the rest is read")
@fault("C18", "more bytes than announced", "the surplus is the next request's, and refused")
def test_c18_a_body_is_as_long_as_it_says_and_not_too_long(rig: Rig) -> None:
    announced = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 33554433\r\n\r\n"
    assert rig.talk(announced).status == 413
    chunked = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    assert rig.talk(chunked, *[chunk] * 33).status == 413
    answer = rig.talk(request() + b"SURPLUS / HTTP/1.1\r\n\r\n")
    assert answer.raw.count(b"HTTP/1.1 200") == 1
    assert answer.raw.count(b"HTTP/1.1 400") == 1
    assert len(rig.local.requests) == 1


def _cases(*words: str) -> list[str]:
    return [case for case in BAD if any(w in case for w in words)]


_SMUGGLING = _cases("CL", "length", "TE", "chunked", "coding", "identity", "gunicorn 02", "digits")
_CHUNKS = [case for case in BAD if BAD[case][0].find(b"Transfer-Encoding: chunked\r\n\r\n") > 0]
_REST = [case for case in BAD if case not in {*_SMUGGLING, *_CHUNKS}]


def refused_without_a_trace(rig: Rig, raw: bytes, status: int) -> None:
    """The bytes earn their status, whole and byte by byte, and reach no upstream.

    A good head of the same form came before: what is remembered of it changes no verdict.
    """
    with rig.connect() as connection:
        connection.sendall(PLAIN_HEAD + JSON)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    rig.local.requests.clear()
    assert rig.talk(raw).status == status
    pieces = [raw[n : n + 1] for n in range(len(raw))] if len(raw) < 400 else raw.splitlines(True)
    assert rig.talk(*pieces).status == status
    assert rig.local.requests == []
    assert rig.cloud.requests == []


@fault("C19", "every ambiguous framing of the corpus", "400 and closed, nothing upstream")
@pytest.mark.parametrize("case", _SMUGGLING)
def test_c19_ambiguous_framing(rig: Rig, case: str) -> None:
    refused_without_a_trace(rig, *BAD[case])


@fault("C20", "every broken chunk of the corpus", "400 and closed, body never forwarded")
@pytest.mark.parametrize("case", _CHUNKS)
def test_c20_broken_chunks(rig: Rig, case: str) -> None:
    refused_without_a_trace(rig, *BAD[case])


@fault("C22", "control characters, folds, odd names of the corpus", "400 and closed")
@fault("C24", "Hosts and targets that disagree, of the corpus", "400 and closed")
@fault("C25", "methods and targets of the corpus", "400 and closed")
@pytest.mark.parametrize("case", _REST)
def test_c22_c24_c25_heads_that_are_none(rig: Rig, case: str) -> None:
    refused_without_a_trace(rig, *BAD[case])


@fault("C19", "every plain request of the corpus", "exactly one request upstream for each")
@pytest.mark.parametrize("case", GOOD)
def test_c19_what_is_accepted_is_one_request(rig: Rig, case: str) -> None:
    raw = GOOD[case].replace(b"Host:", b"Connection: close\r\nHost:", 1)
    assert rig.talk(raw).status == 200
    assert [r.partition(b"\r\n\r\n")[2] for r in rig.local.requests] == [
        JSON.replace(b'"m"', b'"qwen"')
    ]


@fault("C21", "trailers: Content-Length, Host, Authorization", "dropped, never forwarded")
def test_c21_trailers_are_dropped(rig: Rig) -> None:
    raw = GOOD["9112-7.1.2 trailers that would lie"].replace(
        b"Host: x", b"Host: x\r\nConnection: close"
    )
    assert rig.talk(raw).status == 200
    (sent,) = rig.local.requests
    assert b"evil" not in sent
    assert b"Bearer" not in sent


@fault("C22", "forwarded-for, routing and cookie headers", "none of them goes up")
@fault("C23", "Connection names a header, TE, an h2c upgrade", "none goes up; ours stay")
def test_c22_c23_what_hops_and_what_lies_stays_here(rig: Rig) -> None:
    fields = [
        ("x-forwarded-for", "1.2.3.4"), ("forwarded", "for=1.2.3.4"), ("x-real-ip", "1.2.3.4"),
        ("cookie", "a=b"), ("te", "trailers"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABk"),
        ("connection", "x-llmkube-classification, upgrade, x-org"), ("x-lockgate-rule", "all"),
        ("x-org", "this hop's alone"), ("proxy-authorization", "Basic x"), PII,
    ]  # fmt: skip
    assert rig.ask(None, *fields).status == 200
    record = rig.record()
    assert (record["sensitive"], record["rule"]) == (True, "keep")  # a hop cannot strip a label
    names = {
        line.partition(b":")[0]
        for line in rig.local.requests[0].partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    }
    assert names == {
        b"host", b"content-type", b"accept", b"accept-encoding", b"user-agent", b"x-request-id",
        b"content-length",
    }  # fmt: skip


@fault("C25", "TRACE, DELETE, unknown paths", "405 with Allow, or 404")
@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("TRACE /v1/models", 405), ("DELETE /v1/models", 405), ("HEAD /v1/chat/completions", 405),
        ("GET /v1/chat/completions", 405), ("GET /", 404), ("HEAD /", 404), ("GET /v1/models/", 404),
        ("GET /V1/models", 404), ("GET /metrics", 404), ("OPTIONS /v1/unknown", 404),
    ],
)  # fmt: skip
def test_c25_doors_are_byte_equal(rig: Rig, line: str, status: int) -> None:
    answer = rig.talk(f"{line} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    assert answer.status == status
    assert ("allow: " in answer.head) == (status == 405)
    assert bool(answer.body) != line.startswith("HEAD")


@fault("C26", "gzip, deflate, br; a bomb of 1:1000; sensitive", "415, nothing is read of it")
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, identity"])
def test_c26_a_coded_body_is_refused(rig: Rig, coding: str) -> None:
    bomb = gzip.compress(b'{"model": "m", "x": "' + b" " * 10_000_000 + b'"}')
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-encoding: {coding}\r\n"
    head += f"{PII[0]}: {PII[1]}\r\ncontent-length: {len(bomb)}\r\n\r\n"
    assert rig.talk(head.encode() + bomb).status == 415
    assert rig.local.requests == []


@fault("C27", "duplicate keys, escapes, NaN, BOM, UTF-16, depth", "400, or the very bytes go up")
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b'{"model": "a", "model": "b"}', 400),
        (b'{"model": "a", "mod\\u0065l": "b"}', 400),
        (b'{"model": "a", "stream": false, "stream": true}', 400),
        (b'{"model": "a", "t": NaN}', 400),
        (b'{"model": "a", "t": Infinity}', 400),
        (b'\xef\xbb\xbf{"model": "a"}', 400),
        ('{"model": "a"}'.encode("utf-16"), 400),
        (b'{"model": "a", "x": "\xff"}', 400),
        (b'{"model": "a"} {"model": "b"}', 400),
        (b'{"model": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        (b'{"model": "a\\ud800"}', 400),
        (b'{"model": "a", "x": 1' + b"0" * 5000 + b"}", 200),
        (b'{"model": "a", "x": "\\ud800"}', 200),
        (b'{"model": "a", "messages": [' + b",".join([b"{}"] * 100_000) + b"]}", 200),
    ],
)
def test_c27_the_bytes_inspected_are_the_bytes_sent(rig: Rig, data: bytes, status: int) -> None:
    answer = rig.proxy.ask(data)
    rig.answers.append(answer)
    assert answer.status == status
    sent = [one.partition(b"\r\n\r\n")[2] for one in rig.local.requests]
    assert sent == ([data.replace(b'"a"', b'"qwen"')] if status == 200 else [])


@fault("C28", "stream and model of other types; n and max_tokens huge", "400 for ours, else as is")
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"stream": 1}, 400), ({"stream": "true"}, 400), ({"model": 1}, 400), ({"model": ""}, 400),
        ({"model": ["a"]}, 400), ({"stream_options": 1, "stream": True}, 400),
        ({"n": 10**9}, 200), ({"max_tokens": 10**30}, 200), ({"messages": 7}, 200), ({"tools": {}}, 200),
    ],
)  # fmt: skip
def test_c28_types(rig: Rig, fields: dict[str, Any], status: int) -> None:
    assert rig.ask({**body(), **fields}).status == status
