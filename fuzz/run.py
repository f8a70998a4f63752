"""Coverage-guided fuzzing with atheris: ``python fuzz/run.py [TARGET...] [--seconds N]``.

Each target runs in a process of its own for so many seconds and keeps what reached new code under
fuzz/seeds/TARGET. A crash is written to fuzz/crash-* and ends the run with status 1.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import atheris

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

with atheris.instrument_imports(include=["lockgate"]):
    from lockgate.bodies.edits import edited
    from lockgate.bodies.splices import scan, splices, walk
    from lockgate.bodies.stepwise import BodyReader
    from lockgate.doors import NO_RULES
    from lockgate.errors.kinds import RejectedError
    from lockgate.exchange.relay import StreamRelay
    from lockgate.exchange.sse import EventTooLargeError, Splitter
    from lockgate.http1.framing import ChunkedBody, FramingError
    from lockgate.http1.reader import RequestReader, ResponseReader
    from lockgate.http1.request_head import Heads, read_head
    from lockgate.http1.response_head import ProtocolError, ResponseHeads, read_response_head
    from lockgate.policy.reading.load import load_policy
    from lockgate.policy.reading.problem import PolicyRefusedError

import json

SEEDS = {
    "request_head": [
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\nX-A: b\r\n\r\n",
        b"GET http://x/v1/models HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
    ],
    "requests": [
        (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
            b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
        ),
        (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2;a=b\r\n{}\r\n0\r\nX-A: b\r\n\r\n"
        ),
    ],
    "response": [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ],
    "response_head": [
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    ],
    "chunked": [b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\nrest"],
    "sse": [b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n: c\r\n\r\ndata: [DONE]\r\r'],
    "body": [
        b'{"model": "m", "stream": true, "stream_options": {"include_usage": false}}',
        b'{"mod\\u0065l": "m", "n": 1e5}',
    ],
    "policy": [
        b"""backends:
- name: a
  inferenceServiceRef: { name: a }
rules:
- name: r
  match: { models: ['gpt-*'], headers: { X-A: b } }
  route: { backends: [a] }
  timeout: 8s
defaultRoute: a
"""
    ],
}


def request_head(data: bytes) -> None:
    """A head is refused or read; what is remembered says the same as what is read anew."""
    heads = Heads(NO_RULES)
    try:
        head, length = heads.read(data)
    except RejectedError:
        return
    again, same = heads.read(data)
    assert (again, same) == (head, length)
    assert read_head(data, NO_RULES) == head
    assert data.endswith(b"\r\n\r\n")
    assert data.count(b"\r\n\r\n") == 1
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert not (head.framing == "chunked" and length is not None)


def response_head(data: bytes) -> None:
    """A head is refused or read; two framings are never taken."""
    try:
        head = read_response_head(data)
    except ProtocolError:
        return
    low = data.lower()
    assert not (b"\r\ncontent-length:" in low and b"\r\ntransfer-encoding:" in low)
    assert 100 <= head.status <= 599


def requests(data: bytes) -> None:
    """Whole and byte by byte come to the same heads, bodies, ends and rejection."""
    found = []
    for pieces in ([data], [data[n : n + 1] for n in range(len(data))]):
        reader, seen = RequestReader(Heads(NO_RULES)), []
        for piece in pieces:
            reader.feed(piece)
            while reader.has_more:
                note(seen, reader.next())
        found.append(seen)
    assert found[0] == found[1]


def response(data: bytes) -> None:
    """Whole and byte by byte come to the same head, body and end, or rejection."""
    found = []
    for pieces in ([data], [data[n : n + 1] for n in range(len(data))]):
        reader, seen = ResponseReader(ResponseHeads()), []
        for piece in pieces:
            reader.feed(piece)
            while (event := reader.next()) is not None:
                note(seen, event)
        found.append(seen)
    assert found[0] == found[1]


def note(seen: list[object], event: object) -> None:
    """Note what a reader gave; pieces of one body are one."""
    if isinstance(event, bytes) and seen and isinstance(seen[-1], bytes):
        seen[-1] += event
    elif isinstance(event, RejectedError):
        seen.append(event.kind.code)
    elif isinstance(event, ProtocolError):
        seen.append("rejected")
    elif event is not None:
        seen.append(event)


def chunked(data: bytes) -> None:
    """Whole and byte by byte come to the same body, end and surplus."""
    found = []
    for pieces in ([data], [data[n : n + 1] for n in range(len(data))]):
        body = ChunkedBody()
        try:
            out = b"".join(body.feed(piece) for piece in pieces)
        except FramingError:
            found.append(None)
        else:
            found.append((out, body.done, body.surplus))
    assert found[0] == found[1]


def sse(data: bytes) -> None:
    """Whole and byte by byte come to the same events; a relay ends once, and with content."""
    found = []
    for pieces in ([data], [data[n : n + 1] for n in range(len(data))]):
        splitter, events = Splitter(), []
        try:
            for piece in pieces:
                events += splitter.feed(piece)
        except EventTooLargeError:
            return
        found.append((events + splitter.finish(), splitter.held_bytes))
    assert found[0] == found[1]
    relay = StreamRelay(show_usage=True, max_event_bytes=1 << 20)
    out = relay.feed(data)
    if not (relay.done or relay.broken):
        out += relay.end()
    assert relay.done != bool(relay.broken)
    assert relay.committed or not out


def body(data: bytes) -> None:
    """The quick reading and the careful one agree; a splice gives the same document but for it."""
    try:
        found = scan(data)
    except RejectedError:
        return
    reader = BodyReader()
    for at in range(0, len(data), 7):
        reader.take(data[at : at + 7])
    assert walk(data) == found == reader.finish(lambda start, stop: data[start:stop])
    edits, _ = splices(found, "other", include_usage=True)
    before, after = json.loads(data), json.loads(b"".join(edited(data, edits)))
    assert after["model"] == "other"
    before.pop("model"), after.pop("model")
    before.pop("stream_options", None), after.pop("stream_options", None)
    assert json.dumps(before) == json.dumps(after)


def policy(data: bytes) -> None:
    """A policy loads or is refused with a place; its canonical bytes load to the same."""
    try:
        loaded = load_policy(data, "fuzz")
    except PolicyRefusedError as refused:
        assert refused.problems
        return
    assert load_policy(loaded.json, "again").digest == loaded.digest


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one
    for one in (request_head, response_head, requests, response, chunked, sse, body, policy)
}


def fuzz(name: str, seconds: int) -> int:
    """Run one target in a process of its own; return its status."""
    kept = HERE / "seeds" / name
    kept.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (kept / f"seed-{number}").write_bytes(seed)
    command = [sys.executable, __file__, "--target", name, str(kept), f"-max_total_time={seconds}"]
    command += [
        "-max_len=4096",
        "-timeout=10",
        "-rss_limit_mb=1024",
        f"-artifact_prefix={HERE}/crash-",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [
        line
        for line in done.stderr.splitlines()
        if line.startswith(("#", "Done", "==", " ===")) or "Error" in line
    ]
    print(f"{name:<14} {'ok' if done.returncode == 0 else 'CRASHED'}  {lines[-1] if lines else ''}")
    if done.returncode:
        print(done.stderr[-3000:])
    return done.returncode


def main() -> None:
    """Run the targets one after the other."""
    if sys.argv[1:2] == ["--target"]:
        atheris.Setup([sys.argv[0], *sys.argv[3:]], TARGETS[sys.argv[2]])
        atheris.Fuzz()
        return
    seconds = int(sys.argv[sys.argv.index("--seconds") + 1]) if "--seconds" in sys.argv else 20
    chosen = [name for name in sys.argv[1:] if name in TARGETS] or list(TARGETS)
    sys.exit(max(fuzz(name, seconds) for name in chosen))


if __name__ == "__main__":
    main()
