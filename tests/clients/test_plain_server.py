"""Python's own `http.server` as a backend: HTTP/1.0, no chunked coding, streams that end by closing.

Model servers on Macs are often no more than that (mlx-lm's is this class).
"""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.support.plain_server import PlainServer, cut, plain_server, well
from tests.support.proxy import Proxy

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
POLICY: dict[str, Any] = {
    "backends": [{"name": "mac", "inferenceServiceRef": {"name": "mlx"}}],
    "rules": [{"name": "all", "route": {"backends": ["mac"]}}],
    "defaultRoute": "mac",
}


@pytest.fixture(scope="module")
def mac() -> Iterator[PlainServer]:
    with plain_server("HTTP/1.0") as server:
        yield server


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, mac: PlainServer) -> Iterator[Proxy]:
    address = {"mac": f"http://127.0.0.1:{mac.server_port}"}
    proxy = Proxy(tmp_path_factory.mktemp("plain"), POLICY, address)
    yield proxy
    assert proxy.stop() == 0
    assert "Traceback" not in proxy.log.read_text()


@pytest.fixture
def client(gateway: Proxy, mac: PlainServer) -> openai.OpenAI:
    mac.bodies, mac.answer = [], well
    gateway.flushed()
    return openai.OpenAI(base_url=f"http://127.0.0.1:{gateway.port}/v1", api_key="x", max_retries=0)


def test_a_whole_answer(client: openai.OpenAI) -> None:
    for _ in range(3):  # each on a connection of its own
        answer = client.chat.completions.create(**ASK)
        assert answer.choices[0].message.content == "hello"


def test_a_stream_that_ends_by_closing_is_whole_with_its_finish_reason(
    client: openai.OpenAI, gateway: Proxy, mac: PlainServer
) -> None:
    parts = list(client.chat.completions.create(**ASK, stream=True))
    assert "".join(c.delta.content or "" for p in parts for c in p.choices) == "one two"
    assert gateway.record()["outcome"] == "complete"
    assert mac.bodies[0]["stream_options"] == {"include_usage": True}


def test_a_stream_that_ends_without_its_finish_reason_is_cut(
    client: openai.OpenAI, gateway: Proxy, mac: PlainServer
) -> None:
    mac.answer = cut
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(**ASK, stream=True))
    assert gateway.record()["outcome"] != "complete"


@pytest.mark.parametrize("kibibytes", [1, 200, 3000])
@pytest.mark.parametrize("stream", [False, True])
def test_a_body_of_any_size_comes_with_its_length(
    client: openai.OpenAI, mac: PlainServer, kibibytes: int, stream: bool
) -> None:
    messages = [{"role": "user", "content": "x" * (kibibytes * 1024)}]
    asked = {**ASK, "messages": messages, "stream": stream}
    raw = client.chat.completions.with_raw_response.create(**asked)
    assert raw.status_code == 200
    assert mac.bodies[0]["messages"] == messages
