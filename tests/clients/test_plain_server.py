"""Python's own `http.server` as a backend: HTTP/1.0, no chunked coding, streams that end by closing.

Model servers on Macs are often no more than that (mlx-lm's is this class).
"""

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.net.conftest import ANSWER, Proxy

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
POLICY: dict[str, Any] = {
    "backends": [{"name": "mac", "inferenceServiceRef": {"name": "mlx"}}],
    "rules": [{"name": "all", "route": {"backends": ["mac"]}}],
    "defaultRoute": "mac",
}


class Plain(http.server.BaseHTTPRequestHandler):
    """A model server as people write one: what it is told is what its Content-Length says."""

    protocol_version = "HTTP/1.0"
    finishes = True
    asked: list[dict[str, Any]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        length = self.headers["content-length"]
        if length is None:
            self.send_error(411)
            return
        body = json.loads(self.rfile.read(int(length)))
        self.asked.append(body)
        self.send_response(200)
        if body.get("stream"):
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            self.stream()
        else:
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(ANSWER).encode())

    def stream(self) -> None:
        for word in ("one ", "two"):
            self.event({"index": 0, "delta": {"content": word}, "finish_reason": None})
        if self.finishes:
            self.event({"index": 0, "delta": {}, "finish_reason": "stop"})

    def event(self, choice: dict[str, Any]) -> None:
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        self.wfile.write(b"data: " + json.dumps({**chunk, "choices": [choice]}).encode() + b"\n\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Plain)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = {"mac": f"http://127.0.0.1:{server.server_port}"}
    proxy = Proxy(tmp_path_factory.mktemp("plain"), POLICY, address)
    yield proxy
    assert proxy.stop() == 0
    assert "Traceback" not in proxy.log.read_text()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(gateway: Proxy, monkeypatch: pytest.MonkeyPatch) -> openai.OpenAI:
    monkeypatch.setattr(Plain, "asked", [])
    return openai.OpenAI(base_url=f"http://127.0.0.1:{gateway.port}/v1", api_key="x", max_retries=0)


def test_a_whole_answer(client: openai.OpenAI) -> None:
    for _ in range(3):  # each on a connection of its own
        answer = client.chat.completions.create(**ASK)
        assert answer.choices[0].message.content == "hello"


def test_a_stream_that_ends_by_closing_is_whole_with_its_finish_reason(
    client: openai.OpenAI, gateway: Proxy
) -> None:
    raw = client.chat.completions.with_raw_response.create(**ASK, stream=True)
    parts = list(raw.parse())
    assert "".join(c.delta.content or "" for p in parts for c in p.choices) == "one two"
    assert outcome(gateway, raw.headers["x-request-id"]) == "complete"
    assert Plain.asked[0]["stream_options"] == {"include_usage": True}


def test_a_stream_that_ends_without_its_finish_reason_is_cut(
    client: openai.OpenAI, gateway: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Plain, "finishes", False)
    raw = client.chat.completions.with_raw_response.create(**ASK, stream=True)
    with pytest.raises(openai.APIError):
        list(raw.parse())
    assert outcome(gateway, raw.headers["x-request-id"]) != "complete"


@pytest.mark.parametrize("kibibytes", [1, 200, 3000])
@pytest.mark.parametrize("stream", [False, True])
def test_a_body_of_any_size_comes_with_its_length(
    client: openai.OpenAI, kibibytes: int, stream: bool
) -> None:
    messages = [{"role": "user", "content": "x" * (kibibytes * 1024)}]
    asked = {**ASK, "messages": messages, "stream": stream}
    raw = client.chat.completions.with_raw_response.create(**asked)
    assert raw.status_code == 200
    assert Plain.asked[0]["messages"] == messages


def outcome(gateway: Proxy, request_id: str) -> str:
    """Return the outcome in the record of one request."""
    while (record := gateway.record())["request_id"] != request_id:
        pass
    return str(record["outcome"])
