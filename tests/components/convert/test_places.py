"""Where a LiteLLM deployment runs: what its address says, what the command line states."""

from typing import Any

import pytest
from pulumi_lockgate.convert.litellm.locality import locality
from pulumi_lockgate.convert.litellm.providers import DIALECTS, provider_of
from pulumi_lockgate.convert.tiers import stated_tier, without_a_backend

ITSELF = ["http://10.0.0.5:8000/v1", "http://127.0.0.1:1", "http://localhost:11434", "http://a.b.svc", "http://[fd00::1]/v1"]  # fmt: skip
NAMED = ["http://ollama:11434", "http://host.docker.internal:1", "http://box.local", "http://gpu.internal", "http://llm.home.arpa", "http://100.64.0.9:80", "http://vllm_1:80"]  # fmt: skip
UNKNOWN = ["https://llm.example.com/v1", "http://8.8.8.8/v1", "http://134744072/v1", "http://0x8080808/v1", "https://local.example.com", "https://internal", "http://1.local.example"]  # fmt: skip


@pytest.mark.parametrize("url", ITSELF)
def test_a_private_or_cluster_address_is_local_by_itself(url: str) -> None:
    found = locality(url, None)
    assert found is not None
    assert (found.tier, found.attested, found.note) == ("local", None, None)


@pytest.mark.parametrize("url", NAMED)
def test_a_name_that_cannot_be_public_is_local_by_a_marked_sentence(url: str) -> None:
    found = locality(url, None)
    assert found is not None
    assert found.tier == "local"
    assert (found.attested or "").startswith("written by import, to be confirmed: ")
    assert "attestedLocal is written" in (found.note or "")


@pytest.mark.parametrize("url", [u for u in UNKNOWN if u != "https://internal"])
def test_whatever_may_be_public_is_taken_for_cloud_and_it_is_said(url: str) -> None:
    found = locality(url, None)
    assert found is not None
    assert found.tier == "cloud"
    assert "is taken for cloud" in (found.note or "")


@pytest.mark.parametrize("url", [u for u in UNKNOWN if u != "https://internal"])
def test_local_that_is_stated_becomes_a_marked_sentence(url: str) -> None:
    found = locality(url, "local")
    assert found is not None
    assert (found.tier, "--tier local was stated" in (found.attested or "")) == ("local", True)


@pytest.mark.parametrize("url", [*ITSELF, *NAMED, *UNKNOWN])
def test_cloud_that_is_stated_is_cloud(url: str) -> None:
    found = locality(url, "cloud")
    assert found is not None
    assert (found.tier, found.attested) == ("cloud", None)


PUBLISHED = ["", "https://api.openai.com/v1", *(d.url for d in DIALECTS.values() if d.url)]


@pytest.mark.parametrize("url", PUBLISHED)
def test_a_provider_s_own_address_is_cloud_whatever_is_stated(url: str) -> None:
    found = locality(url, None)
    assert found is not None
    assert (found.tier, found.note) == ("cloud", None)
    assert locality(url, "local") is None


@pytest.mark.parametrize(
    ("model", "params", "found"),
    [
        ("groq/llama", {}, ("groq", "llama")),
        ("openrouter/anthropic/claude", {}, ("openrouter", "anthropic/claude")),
        ("gpt-4o", {}, ("openai", "gpt-4o")),
        ("claude-x", {}, ("anthropic", "claude-x")),
        ("llama2", {}, (None, "llama2")),
        ("meta-llama/L3", {"custom_llm_provider": "openai"}, ("openai", "meta-llama/L3")),
        ("openai/q", {"custom_llm_provider": "openai"}, ("openai", "q")),
    ],
)
def test_the_provider_is_the_one_that_litellm_takes(model: str, params: Any, found: Any) -> None:
    assert provider_of(model, params) == found


def test_a_tier_is_stated_by_name_then_by_the_longest_pattern() -> None:
    tiers = {"*": "cloud", "own-*": "local", "own-7": "cloud"}
    assert stated_tier(tiers, "own-7", "own") == "cloud"
    assert stated_tier(tiers, "own-8", "x") == "local"
    assert stated_tier(tiers, "gpt") == "cloud"
    assert stated_tier({"a": "local"}, "b") is None
    assert without_a_backend({**tiers, "a": "local"}, ["own-7"]) == ["a"]
