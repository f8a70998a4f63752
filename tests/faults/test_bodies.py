"""Rows R20 to R29: bodies, their lengths and their cost, as public reports tell of them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.rig import PII, Rig, body
from tests.support.client import Answer, unchunked
from tests.support.plain_server import PlainServer, plain_server, well
from tests.support.proxy import Proxy
from tests.support.responses import ANSWER

fault = pytest.mark.fault


@fault("R20", "Model, STREAM, U+017F, U+212A, Api_Base beside the real ones", "400, by name")
@pytest.mark.parametrize(
    "key", ["Model", "\u017ftream", "STREAM", "Stream_Options", "N", "Fallbacks", "api_\u212aey"]
)
def test_r20_a_sensitive_request_cannot_choose_a_model_in_other_letters(rig: Rig, key: str) -> None:
    """golang/go #14750: Go's decoder obeys the last of `model` and `Model`; ours read the first."""
    answer = rig.ask({**body(), key: "gpt-oss:120b-cloud"}, PII)
    assert answer.status == 400
    assert json.loads(answer.body)["error"]["param"] == key
    assert rig.record()["outcome"] == "bad_request"
    assert rig.local.requests == []


POLICY = {
    "backends": [{"name": "mac", "inferenceServiceRef": {"name": "mlx"}}],
    "rules": [{"name": "all", "route": {"backends": ["mac"]}}],
}


@pytest.fixture(scope="module", params=["HTTP/1.0", "HTTP/1.1"])
def plain(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Proxy, PlainServer]]:
    """A proxy before Python's own http.server."""
    with plain_server(request.param) as server:
        address = {"mac": f"http://127.0.0.1:{server.server_port}"}
        proxy = Proxy(tmp_path_factory.mktemp("plain"), POLICY, address)
        yield proxy, server
        assert proxy.stop() == 0
        assert "Traceback" not in proxy.log.read_text()


def asked(
    proxy: Proxy, server: PlainServer, document: dict[str, Any], *, chunked: bool = False
) -> tuple[Answer, dict[str, Any]]:
    """Ask; return the answer and the record."""
    server.bodies.clear()
    server.framings.clear()
    data = json.dumps(document).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    if chunked:
        pieces = [data[at : at + 100_000] for at in range(0, len(data), 100_000)]
        coded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        raw = head + b"transfer-encoding: chunked\r\n\r\n" + coded + b"0\r\n\r\n"
    else:
        raw = head + b"content-length: %d\r\n\r\n" % len(data) + data
    with proxy.connect() as connection:
        connection.sendall(raw)
        answer = Answer.read(connection)
    return answer, proxy.record()


@fault("R21", "http.server, HTTP/1.0 and 1.1; small and large, with a length", "a length goes up")
@fault("R21", "the same bodies chunked by their client", "read whole, or repeated after 411")
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("size", [10, 3 << 20])
def test_r21_a_plain_server_gets_every_body_with_its_length(
    plain: tuple[Proxy, PlainServer], size: int, stream: bool, chunked: bool
) -> None:
    """mostlygeek/llama-swap #11, antirez/ds4 #423, mnfst/llm-gateway #2290: no chunks are read."""
    proxy, server = plain
    document = body(messages=[{"role": "user", "content": "x" * size}], stream=stream)
    answer, record = asked(proxy, server, document, chunked=chunked)
    assert (answer.status, record["outcome"]) == (200, "complete")
    assert answer.clean
    assert len(record["attempts"]) <= 2
    usage = {"stream_options": {"include_usage": True}} if stream else {}
    assert server.bodies == [{**document, "model": "mlx", **usage}]
    if not chunked:
        assert [coding for _, coding in server.framings] == [None]


@fault("R22", "1.5 MB of JSON until the close: whole, and cut", "complete, and cut")
@pytest.mark.parametrize("cut", [0, 1, 100])
def test_r22_a_large_answer_until_the_close_is_whole_with_its_document(
    plain: tuple[Proxy, PlainServer], cut: int
) -> None:
    """Python's http.server and wsgiref send no length unless told: python/cpython, Lib/wsgiref."""
    proxy, server = plain
    data = json.dumps({**ANSWER, "vectors": [[0.25, -1e-5]] * 100_000}).encode()
    server.answer = lambda _: ("application/json", data[: len(data) - cut])
    try:
        answer, record = asked(proxy, server, body())
    finally:
        server.answer = well
    assert answer.status == 200
    if cut:
        assert record["outcome"] in {"truncated", "upstream_died"}
        assert not answer.clean
    else:
        assert record["outcome"] == "complete"
        assert unchunked(answer.body) == data


@fault("R24", "brackets at and about 1,024 levels, in stream_options too", "200 or 400, one record")
def test_r24_no_depth_loses_its_record(rig: Rig) -> None:
    """owasp-modsecurity/ModSecurity #2644: a parser without a bound on depth."""
    for depth in (400, 900, 980, 990, 995, 1000, 1021, 1022, 1023, 1024, 5000):
        for start, end in ((b'"x":', b""), (b'"stream_options":{"a":', b"}")):
            levels = depth + (2 if end else 1)
            data = b'{"model":"m",' + start + b"[" * depth + b"]" * depth + end + b"}"
            answer = rig.proxy.ask(data)
            rig.answers.append(answer)
            assert answer.status == (200 if levels <= 1024 else 400)
            assert rig.record()["status"] == answer.status


COSTLY = {
    "spaces": (b"", b" ", b"1", 200),
    "backslashes": (b'"', b"\\\\", b'"', 200),
    "an emoji": (b'"', b"a", '😀"'.encode(), 200),
    "digits": (b"", b"1", b"", 200),
    "empty strings": (b"[", b'"",', b"1]", 400),
    "nesting": (b"", b"[", b"", 400),
}


def cost(pid: int) -> tuple[float, float]:
    """Return a process's CPU seconds, and the most MiB that it ever had resident."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    status = Path(f"/proc/{pid}/status").read_text()
    return used, int(status.split("VmHWM:")[1].split()[0]) / 1024


@fault("R23", "31 MiB of spaces, backslashes, digits, one emoji, empty strings, nesting", "cheap")
def test_r23_a_body_costs_what_its_bytes_cost(tmp_path: Path) -> None:
    """agentrust-io/cmcp #147: a body in one piece, parsed in one step, before it is known."""
    room = 31 << 20
    with plain_server("HTTP/1.1") as server:
        address = {"mac": f"http://127.0.0.1:{server.server_port}"}
        proxy = Proxy(tmp_path, POLICY, address)
        proxy.ask(b'{"model":"m"}')
        used, most = cost(proxy.process.pid)
        for before, again, after, status in COSTLY.values():
            data = b'{"model":"m","x":' + before + again * (room // len(again)) + after + b"}"
            assert proxy.ask(data).status == status
        used_after, most_after = cost(proxy.process.pid)
        assert used_after - used < 6.0  # all six; 1 s or so on a quiet machine
        assert most_after - most < 93
        assert proxy.stop() == 0
