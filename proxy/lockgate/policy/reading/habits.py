"""What people write out of habit from other products, and what it is called here.

Names of providers that speak OpenAI's dialect at an address of their own, and fields of LiteLLM,
Helm charts and gateways. Addresses are the providers' published ones, as of November 2026:
https://ai.google.dev/gemini-api/docs/openai, https://console.groq.com/docs/openai,
https://docs.mistral.ai/api, https://api-docs.deepseek.com, https://docs.x.ai/docs/api-reference,
https://openrouter.ai/docs/quickstart, https://docs.together.ai/docs/openai-api-compatibility.
"""

from collections.abc import Mapping
from typing import Final

_GEMINI: Final = "https://generativelanguage.googleapis.com/v1beta/openai"
_HOSTED: Final[Mapping[str, str]] = {
    "gemini": _GEMINI,
    "google": _GEMINI,
    "groq": "https://api.groq.com/openai/v1",
    "mistral": "https://api.mistral.ai/v1",
    "deepseek": "https://api.deepseek.com/v1",
    "xai": "https://api.x.ai/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "together": "https://api.together.xyz/v1",
    "together_ai": "https://api.together.xyz/v1",
}
_SERVERS: Final[Mapping[str, int]] = {
    "ollama": 11434,
    "vllm": 8000,
    "hosted_vllm": 8000,
    "llamacpp": 8080,
    "llama.cpp": 8080,
    "llama-cpp": 8080,
    "lmstudio": 1234,
    "lm_studio": 1234,
    "sglang": 30000,
}
_CLOUDS: Final = frozenset({"azure", "aws", "vertex", "sagemaker", "watsonx", "databricks"})
_FALLBACKS: Final = "the others are its fallbacks: write `backends: [FIRST, SECOND]`"
_RETRIES: Final = "a backend is asked once more at most: leave it out, or `retry: connect-only`"
_MATCH: Final = "did you mean match? write `match:`"
_FIELDS: Final[Mapping[str, str]] = {
    "fallbacks": _FALLBACKS,
    "fallback": _FALLBACKS,
    "retries": _RETRIES,
    "maxRetries": _RETRIES,
    "num_retries": _RETRIES,
    "when": _MATCH,
    "condition": _MATCH,
    "if": _MATCH,
    "labels": "did you mean dataClassification? write `dataClassification: [LABEL]`",
}
_AT: Final[Mapping[str, str]] = {
    "when": "rules[]",
    "condition": "rules[]",
    "if": "rules[]",
    "labels": "rules[].match",
    "fallbacks": "rules[].route",
    "fallback": "rules[].route",
}
"""Where a field's sentence is meant, for those that may stand elsewhere too."""
_KEY: Final = (
    "leave it out: its key is the Secret's only one, or is called as the provider's tools do"
)


def provider_habit(name: str) -> str | None:
    """Return what to write for a provider of this name, None where nothing is known of it."""
    lower = name.lower()
    if lower in _SERVERS:
        url = f"http://HOST:{_SERVERS[lower]}/v1"
        return f"it speaks OpenAI's dialect: write `provider: openai`, `url: {url}`, `tier: local`"
    if lower in _HOSTED:
        url = _HOSTED[lower]
        return f"it has an OpenAI-compatible address: write `provider: openai` and `url: {url}`"
    if lower in _CLOUDS:
        return "put a LiteLLM proxy in between and write `provider: litellm` with its `url`"
    return None


def field_habit(name: str, above: str) -> str | None:
    """Return what to write for a field `name` under `above`, a path with ``[]`` for any index."""
    if name == "key" and above.endswith("SecretRef"):
        return _KEY
    said = _FIELDS.get(name)
    return said if said is not None and above.endswith(_AT.get(name, "")) else None
