"""The real llama.cpp server behind the real proxy, asked by the real SDK.

Everything is llama.cpp's own but the model's words, which are noise: at temperature 0 the same noise
each time, so that what comes through the proxy can be held to what the server says when asked directly.
"""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from lockgate.quickstart.servers import ModelServer, look

from tests.clients.llama import Llama
from tests.clients.tiny_model import ONE_CALL, write
from tests.support.proxy import Proxy

SMALL, LARGE = 512, 4096  # tokens; a letter is one
POLICY: dict[str, Any] = {
    "backends": [
        {"name": "small", "inferenceServiceRef": {"name": "tiny"}},
        {"name": "large", "inferenceServiceRef": {"name": "tiny"}},
    ],
    "rules": [
        {"name": "one", "match": {"models": ["small"]}, "route": {"backends": ["small"]}},
        {"name": "both", "match": {"models": ["both"]}, "route": {"backends": ["small", "large"]}},
    ],
    "defaultRoute": "small",
}
SAID = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 8, "temperature": 0}
ASK: dict[str, Any] = {"model": "small", **SAID}
LONG = [{"role": "user", "content": "word " * 200}]
CHOICE = {
    "type": "object",
    "properties": {"a": {"enum": ["one", "two"]}},
    "required": ["a"],
    "additionalProperties": False,
}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "choice", "schema": CHOICE}}
TOOLS: dict[str, Any] = {
    "tools": [{"type": "function", "function": {"name": "pick", "parameters": CHOICE}}],
    "tool_choice": "required",
    "logit_bias": ONE_CALL,
    "max_tokens": 200,
}


PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()
IMAGE = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "what is it?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
        ],
    }
]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Llama]]:
    """Two llama.cpp servers that differ in the context they hold."""
    folder = tmp_path_factory.mktemp("llama")
    model = folder / "tiny.gguf"
    write(model)
    started = {}
    try:
        for name, context in (("small", SMALL), ("large", LARGE)):
            started[name] = Llama(folder, model, context)
        yield started
    finally:
        for server in started.values():
            server.stop()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, servers: dict[str, Llama]) -> Iterator[Proxy]:
    """The proxy in front of both."""
    addresses = {name: server.url for name, server in servers.items()}
    proxy = Proxy(tmp_path_factory.mktemp("gateway"), POLICY, addresses)
    yield proxy
    assert proxy.stop() == 0
    assert "Traceback" not in proxy.log.read_text()


@pytest.fixture
def records(gateway: Proxy) -> Proxy:
    """The proxy, with every older record read."""
    gateway.flushed()
    return gateway


@pytest.fixture
def client(records: Proxy) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{records.port}/v1", api_key="x", max_retries=0)


@pytest.fixture
def direct(servers: dict[str, Llama]) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{servers['small'].url}/v1", api_key="x", max_retries=0)


def text(parts: list[Any]) -> str:
    return "".join(c.delta.content or "" for part in parts for c in part.choices)


def reasons(parts: list[Any]) -> list[str]:
    return [c.finish_reason for part in parts for c in part.choices if c.finish_reason]


def test_a_whole_answer_is_the_servers(
    client: openai.OpenAI, direct: openai.OpenAI, records: Proxy
) -> None:
    raw = client.chat.completions.with_raw_response.create(**ASK)
    assert raw.headers["x-lockgate-backend"] == "small"
    answer, own = raw.parse(), direct.chat.completions.create(**ASK)
    assert answer.choices == own.choices
    assert answer.choices[0].message.content
    assert answer.usage is not None
    record = records.record()
    assert (record["outcome"], record["tokens"]["source"]) == ("complete", "reported")
    assert record["tokens"]["completion"] == answer.usage.completion_tokens == 8


def test_a_stream_is_the_whole_answer_in_pieces(client: openai.OpenAI, records: Proxy) -> None:
    whole = client.chat.completions.create(**ASK)
    records.record()
    parts = list(client.chat.completions.create(**ASK, stream=True))
    assert text(parts) == whole.choices[0].message.content
    assert reasons(parts) == ["length"]
    record = records.record()
    assert (record["outcome"], record["attempts"][0]["backend"]) == ("complete", "small")


def test_usage_is_counted_and_shown_to_nobody_who_did_not_ask(
    client: openai.OpenAI, records: Proxy
) -> None:
    parts = list(client.chat.completions.create(**ASK, stream=True))
    assert [part for part in parts if part.usage or not part.choices] == []
    assert records.record()["tokens"]["source"] == "reported"


def test_usage_that_is_asked_for_is_the_last_event(client: openai.OpenAI, records: Proxy) -> None:
    options = {"include_usage": True}
    parts = list(client.chat.completions.create(**ASK, stream=True, stream_options=options))
    assert parts[-1].choices == []
    assert parts[-1].usage.completion_tokens == 8
    assert [part for part in parts[:-1] if part.usage] == []
    assert records.record()["tokens"]["completion"] == 8


def test_usage_that_is_declined_is_not_asked_for(client: openai.OpenAI, records: Proxy) -> None:
    options = {"include_usage": False}
    parts = list(client.chat.completions.create(**ASK, stream=True, stream_options=options))
    assert [part for part in parts if part.usage or not part.choices] == []
    assert records.record()["tokens"]["source"] == "estimated"


def test_log_probabilities_come_with_each_token(client: openai.OpenAI) -> None:
    asked = {**ASK, "logprobs": True, "top_logprobs": 2}
    whole = client.chat.completions.create(**asked).choices[0]
    assert whole.logprobs is not None
    tokens = [one.token for one in whole.logprobs.content or []]
    assert "".join(tokens) == whole.message.content
    parts = list(client.chat.completions.create(**asked, stream=True))
    found = [c.logprobs.content for part in parts for c in part.choices if c.logprobs]
    assert [one.token for content in found for one in content] == tokens
    assert all(len(one.top_logprobs) == 2 for content in found for one in content)


def test_a_schema_is_held_to(client: openai.OpenAI) -> None:
    asked = {**ASK, "response_format": SCHEMA, "max_tokens": 100}
    whole = client.chat.completions.create(**asked).choices[0]
    assert json.loads(whole.message.content or "")["a"] in {"one", "two"}
    assert whole.finish_reason == "stop"
    parts = list(client.chat.completions.create(**asked, stream=True))
    assert text(parts) == whole.message.content
    assert reasons(parts) == ["stop"]


def test_a_tool_is_called(client: openai.OpenAI, records: Proxy) -> None:
    whole = client.chat.completions.create(**{**ASK, **TOOLS}).choices[0]
    assert whole.finish_reason == "tool_calls"
    (call,) = whole.message.tool_calls or []
    assert call.function.name == "pick"
    assert json.loads(call.function.arguments)["a"] in {"one", "two"}
    parts = list(client.chat.completions.create(**{**ASK, **TOOLS}, stream=True))
    deltas = [d for p in parts for c in p.choices for d in c.delta.tool_calls or []]
    assert "".join(d.function.arguments or "" for d in deltas) == call.function.arguments
    assert deltas[0].function.name == "pick"
    assert reasons(parts) == ["tool_calls"]
    assert [records.record()["outcome"] for _ in range(2)] == ["complete", "complete"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_over_long_prompt_is_the_clients_400(
    client: openai.OpenAI, records: Proxy, stream: bool
) -> None:
    """llama.cpp: 400 with the type `exceed_context_size_error` and the number 400 as its code."""
    asked = {**ASK, "messages": LONG, "stream": stream}
    with pytest.raises(openai.BadRequestError, match="available context size") as raised:
        client.chat.completions.create(**asked)
    assert raised.value.code == "context_length_exceeded"
    assert records.record()["outcome"] == "upstream_refused"


@pytest.mark.parametrize("stream", [False, True])
def test_an_over_long_prompt_is_asked_of_the_larger_server(
    client: openai.OpenAI, records: Proxy, stream: bool
) -> None:
    asked = {**ASK, "model": "both", "messages": LONG, "stream": stream}
    raw = client.chat.completions.with_raw_response.create(**asked)
    assert raw.headers["x-lockgate-backend"] == "large"
    raw.parse() if not stream else list(raw.parse())  # type: ignore[call-overload]
    record = records.record()
    assert record["outcome"] == "complete"
    assert [attempt["backend"] for attempt in record["attempts"]] == ["small", "large"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_image_for_a_text_model_is_the_clients_own_and_takes_no_backend_away(
    client: openai.OpenAI, stream: bool
) -> None:
    """llama.cpp says 500 `image input is not supported`: no repeat and no other time mends it."""
    for _ in range(8):
        with pytest.raises(openai.BadRequestError, match="image input is not supported"):
            client.chat.completions.create(**{**ASK, "messages": IMAGE, "stream": stream})
    assert client.chat.completions.create(**ASK).choices[0].message.content


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"n": 2}, "Field 'n'"),
        ({"response_format": {"type": "yaml"}}, "response_format type must be one of"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "odd"}}}},
            "unrecognized type odd",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "unsupported content"),
    ],
)  # fmt: skip
def test_what_the_server_says_of_a_request_reaches_its_client(
    client: openai.OpenAI, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=said):
        client.chat.completions.create(**{**ASK, **more})


def test_embeddings_have_no_door(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="small", input="hi")


def test_the_models_are_the_policys(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["small", "large"]


def test_clients_wait_their_turn_at_a_server_with_one_slot(records: Proxy) -> None:
    async def ask() -> list[str]:
        url = f"http://127.0.0.1:{records.port}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as client:
            answers = await asyncio.gather(
                *[client.chat.completions.create(**{**ASK, "max_tokens": 64}) for _ in range(8)]
            )
        return [answer.choices[0].message.content or "" for answer in answers]

    said = asyncio.run(ask())
    assert len(said) == 8
    assert all(said)


def test_a_client_that_leaves_frees_the_slot(records: Proxy, client: openai.OpenAI) -> None:
    parts = client.chat.completions.create(**{**ASK, "max_tokens": 450}, stream=True)
    next(parts)
    parts.close()
    assert client.chat.completions.create(**ASK).choices[0].message.content
    outcomes = {records.record()["outcome"] for _ in range(2)}
    assert "complete" in outcomes
    assert outcomes <= {"complete", "client_gone"}  # the noise may have been quicker


def test_it_is_known_by_what_it_answers(servers: dict[str, Llama]) -> None:
    server = next(iter(servers.values()))
    found = look([int(server.url.rpartition(":")[2])])
    assert found == [ModelServer("llama.cpp", f"{server.url}/v1", ("tiny",))]
