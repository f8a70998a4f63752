"""Whatever listens is told apart by what it answers; what runs elsewhere is not local."""

import socket
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.quickstart.servers import PORTS, ModelServer, look, ports_of

from tests.quickstart.model_servers import (
    LLAMA,
    LM_STUDIO,
    LOCKGATE,
    NO_MODELS,
    OLLAMA,
    OTHER,
    SGLANG,
    VLLM,
    Pages,
    serving,
)


@pytest.mark.parametrize(
    ("pages", "product", "models", "elsewhere"),
    [
        (OLLAMA, "Ollama", ("qwen3:8b", "gpt-oss:20b"), ("kimi-k2.5:cloud", "away")),
        (LLAMA, "llama.cpp", ("tiny",), ()),
        (VLLM, "vLLM", ("Qwen/Qwen3-8B",), ()),
        (SGLANG, "SGLang", ("qwen",), ()),
        (LM_STUDIO, "LM Studio", ("qwen3-8b",), ()),
        (OTHER, "OpenAI-compatible", ("m",), ()),
    ],
)
def test_each_product_is_known_by_its_pages(
    pages: Pages, product: str, models: tuple[str, ...], elsewhere: tuple[str, ...]
) -> None:
    with serving(pages) as port:
        found = look([port])
    assert found == [ModelServer(product, f"http://127.0.0.1:{port}/v1", models, elsewhere)]


@pytest.mark.parametrize("pages", [LOCKGATE, NO_MODELS, {}, {"/v1/models": ["a"]}])
def test_what_has_no_models_of_its_own_is_passed_over(pages: Pages) -> None:
    with serving(pages) as port:
        assert look([port]) == []


def test_a_port_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert look([silent.getsockname()[1]]) == []


def test_a_port_that_speaks_something_else_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def serve() -> None:
            connection, _ = other.accept()
            with connection:
                connection.sendall(b"220 mail.example.com ESMTP\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert look([other.getsockname()[1]]) == []
        thread.join(5)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just("vllm"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "models", "id", "name", "version"]), inner)
    ),
    max_leaves=8,
)


@given(anything, anything)
def test_whatever_a_page_holds_it_is_read_or_passed_over(first: Any, other: Any) -> None:
    def get(url: str) -> Any:
        return first if url.endswith("/v1/models") else other

    for server in look([1], get):
        assert all(isinstance(model, str) for model in server.models)


@pytest.mark.parametrize(
    ("stated", "first"),
    [
        ("", 11434),
        ("127.0.0.1:9999", 9999),
        ("http://localhost:9999/", 9999),
        ("0.0.0.0", 11434),
        ("0.0.0.0:12000", 12000),
        ("gpu-box:9999", 11434),
        ("127.0.0.1:port", 11434),
        ("[::1", 11434),
    ],
)
def test_ollama_host_says_where_ollama_is_when_that_is_here(stated: str, first: int) -> None:
    found = ports_of({"OLLAMA_HOST": stated})
    assert found[0] == first
    assert set(PORTS) <= set(found)
