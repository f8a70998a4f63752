"""Whatever is found, its policy loads, is proved, and serves each model by its name."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.policy.deciding.decide import decide
from lockgate.policy.deciding.decision import Refuse, Request, Route
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.load import load_policy
from lockgate.quickstart.first_policy import (
    Found,
    as_text,
    namespace_of,
    providers_in,
    spec_of,
    stack_of,
)
from lockgate.quickstart.servers import ModelServer
from pulumi_lockgate.proof.checks import prove
from pulumi_lockgate.stack.read import load_source

OLLAMA = ModelServer("Ollama", "http://127.0.0.1:11434/v1", ("qwen3:8b", "gpt-oss:20b"))
BOTH = Found((OLLAMA,), ("openai", "anthropic"))
PII = {"x-llmkube-classification": ("pii",)}


def policy(found: Found) -> LoadedPolicy:
    return load_policy(as_text(spec_of(found), "found").encode(), "lockgate.yaml")


def first(found: Found, model: str, headers: Any = None) -> str:
    decision = decide(policy(found), Request(model, headers or {}))
    return decision.candidates[0].name if isinstance(decision, Route) else decision.code


names = st.text("abcXYZ*?[\\0:/-. é", min_size=1, max_size=12).filter(str.strip) | st.sampled_from(
    ["gpt-oss:20b", "o3-mini", "claude-ish", "qwen3:8b"]
)
servers = st.builds(
    ModelServer,
    product=st.sampled_from(["Ollama", "vLLM", "LM Studio", "OpenAI-compatible"]),
    url=st.sampled_from(["http://127.0.0.1:11434/v1", "http://127.0.0.1:8000/v1"]),
    models=st.lists(names, max_size=10, unique=True).map(tuple),
)
founds = st.builds(
    Found,
    servers=st.lists(servers, max_size=3).map(tuple),
    providers=st.sampled_from([(), ("openai",), ("anthropic",), ("openai", "anthropic")]),
).filter(lambda found: not found.is_empty)


@given(founds)
def test_it_loads_is_proved_and_keeps_what_is_sensitive(found: Found) -> None:
    loaded = policy(found)
    assert prove(loaded).proved
    for model in ("gpt-5", "claude-opus-4-7", "anything"):
        decision = decide(loaded, Request(model, PII))
        if isinstance(decision, Refuse):
            assert decision.code == "refused_by_rule"
            assert all(backend.tier == "cloud" for backend in loaded.spec.backends)
        else:
            assert all(backend.tier == "local" for backend in decision.candidates)


@given(founds)
def test_each_local_model_is_served_by_its_own_name(found: Found) -> None:
    loaded = policy(found)
    for backend in loaded.spec.backends:
        if backend.tier == "local":
            decision = decide(loaded, Request(backend.published_id, {}))
            assert isinstance(decision, Route)
            assert decision.candidates[0].name == backend.name


@pytest.mark.parametrize(
    ("found", "model", "name"),
    [
        (BOTH, "gpt-5", "openai"),
        (BOTH, "o3", "openai"),
        (BOTH, "claude-opus-4-7", "anthropic"),
        (BOTH, "gpt-oss:20b", "ollama-gpt-oss-20b"),
        (BOTH, "whatever", "ollama-qwen3-8b"),
        (Found((), ("openai",)), "whatever", "openai"),
        (Found((OLLAMA,), ()), "gpt-5", "ollama-qwen3-8b"),
    ],
)
def test_a_request_goes_where_its_model_says(found: Found, model: str, name: str) -> None:
    assert first(found, model) == name


def test_without_a_local_model_what_is_sensitive_is_refused() -> None:
    assert first(Found((), ("openai",)), "gpt-5", PII) == "refused_by_rule"


@pytest.mark.parametrize(
    ("environment", "providers"),
    [
        ({}, ()),
        ({"OPENAI_API_KEY": "sk-1"}, ("openai",)),
        ({"OPENAI_API_KEY": "", "ANTHROPIC_API_KEY": "sk-2\n"}, ("anthropic",)),
        ({"OPENAI_API_KEY": "two words"}, ()),
        ({"OPENAI_API_KEY": "é"}, ()),
    ],
)
def test_a_provider_is_found_by_a_key_that_can_be_one(
    environment: dict[str, str], providers: tuple[str, ...]
) -> None:
    assert providers_in(environment) == providers


@pytest.mark.parametrize("found", [BOTH, Found((), ())])
def test_a_stack_loads_and_is_proved(found: Found) -> None:
    text = as_text({"config": stack_of(found, "dev")}, "the stack")
    assert prove(load_source(text.encode(), "Pulumi.dev.yaml")).proved


@given(st.from_regex(r"[A-Za-z0-9._-]{1,80}", fullmatch=True))
def test_a_stacks_namespace_is_one_that_kubernetes_takes(stack: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", namespace_of(stack))
