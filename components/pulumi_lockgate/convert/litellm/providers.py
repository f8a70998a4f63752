"""LiteLLM's providers: how each is reached from here, at its OpenAI-compatible address."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import frozen
from lockgate.policy.spec.backends import DEFAULT_URLS


@frozen
class Dialect:
    """How one of LiteLLM's providers is reached from here.

    `provider` is ours; `url` the provider's published base URL, None where ours is known or one
    must be stated (`needs_url`); `key` the variable that LiteLLM reads when no api_key is stated;
    `suffix` is added to a stated address, `prefix` to the model's name. `native`: LiteLLM speaks
    the provider's own dialect, so that an address of one's own is not OpenAI-shaped.
    """

    provider: str
    url: str | None = None
    key: str | None = None
    needs_url: bool = False
    suffix: str = ""
    prefix: str = ""
    native: bool = False


_GEMINI: Final = "https://generativelanguage.googleapis.com/v1beta/openai"
_COHERE: Final = Dialect(
    "openai", "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY", native=True
)
_OWN: Final = Dialect("openai", needs_url=True)
_OLLAMA: Final = Dialect("openai", needs_url=True, suffix="/v1")

DIALECTS: Final[Mapping[str, Dialect]] = {
    "openai": Dialect("openai", key="OPENAI_API_KEY"),
    "anthropic": Dialect("anthropic", key="ANTHROPIC_API_KEY"),
    "groq": Dialect("openai", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "openrouter": Dialect("openai", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "mistral": Dialect("openai", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "deepseek": Dialect("openai", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "xai": Dialect("openai", "https://api.x.ai/v1", "XAI_API_KEY"),
    "together_ai": Dialect("openai", "https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
    "cerebras": Dialect("openai", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "nvidia_nim": Dialect("openai", "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    "cohere": _COHERE,
    "cohere_chat": _COHERE,
    "perplexity": Dialect("openai", "https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
    "gemini": Dialect("openai", _GEMINI, "GEMINI_API_KEY", native=True),
    "fireworks_ai": Dialect(
        "openai",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
        prefix="accounts/fireworks/models/",
    ),
    "deepinfra": Dialect("openai", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    "sambanova": Dialect("openai", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    "hosted_vllm": _OWN,
    "lm_studio": _OWN,
    "llamafile": _OWN,
    "openai_like": _OWN,
    "custom_openai": _OWN,
    "litellm_proxy": Dialect("litellm", needs_url=True),
    "ollama": _OLLAMA,
    "ollama_chat": _OLLAMA,
}
"""LiteLLM's provider prefixes that Lockgate can reach."""

IN_THE_CLOUD: Final = frozenset(
    {"azure", "azure_ai", "bedrock", "bedrock_converse", "vertex_ai", "vertex_ai_beta",
     "sagemaker", "sagemaker_chat", "watsonx", "databricks", "snowflake", "github", "replicate",
     "ai21", "dashscope", "zai", "moonshot", "volcengine", "novita", "github_copilot"}
)  # fmt: skip
"""Providers that Lockgate does not speak to, and of which it is known that they are elsewhere."""

_UNPREFIXED: Final = (
    (re.compile(r"(gpt-|chatgpt-|o[0-9])"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
)
"""Model names that LiteLLM takes without a prefix."""


def provider_of(stated: str, params: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return (LiteLLM's provider, the model sent up); the provider None where it is not known."""
    prefix, slash, model = stated.partition("/")
    custom = params.get("custom_llm_provider")
    if isinstance(custom, str) and custom:
        return custom, model if prefix == custom else stated
    if slash:
        return prefix, model
    implied = next((name for pattern, name in _UNPREFIXED if pattern.match(stated)), None)
    return implied, stated


def _hosts() -> frozenset[str]:
    urls = [*DEFAULT_URLS.values(), *(d.url for d in DIALECTS.values() if d.url)]
    return frozenset(host for url in urls if (host := urlsplit(url).hostname))


PUBLISHED_HOSTS: Final = _hosts()
"""The hosts of the published addresses above: never local, whatever is stated."""
