"""The keys of a body that mean something here, and how each must be spelled.

The bytes inspected are the bytes sent, so a parser further up must find the values that were found
here. Go's `encoding/json` takes a key for a field whatever its case, with U+017F for s and U+212A
for k (`foldName` in its source), and the last one wins. So a key that only folds to one of these is
refused, in whatever spelling.
"""

from typing import Final

from lockgate.errors.kinds import RejectedError

ROUTING_KEYS: Final = frozenset(
    {"fallbacks", "models", "route", "provider", "api_base", "base_url", "api_key"}
    | {"context_window_fallbacks", "content_policy_fallbacks", "max_fallbacks"}
    | {"router_settings_override", "user_config", "litellm_credential_name"}
)
"""Keys that a router further up would obey: LiteLLM's and OpenRouter's ways to choose a backend.

Those of LiteLLM were seen to act, or to be read, in LiteLLM 1.110.2's proxy.
"""
READ_KEYS: Final = frozenset({"model", "stream", "stream_options", "n"})
OPTION_KEYS: Final = frozenset({"include_usage"})
"""Of `stream_options`."""
_RESUME_KEYS: Final = frozenset({"messages", "response_format", "logprobs"})
"""What `recovery: resume` reads: it finds by itself whether they stand twice."""
TOP_KEYS: Final = READ_KEYS | ROUTING_KEYS
_TOP_FOLDED: Final = TOP_KEYS | _RESUME_KEYS
USUAL_KEYS: Final = frozenset(
    {"model", "messages", "stream", "n", "max_tokens", "max_completion_tokens", "temperature"}
    | {"top_p", "stop", "tools", "tool_choice", "parallel_tool_calls", "response_format", "seed"}
    | {"user", "metadata", "store", "logprobs", "top_logprobs", "logit_bias", "presence_penalty"}
    | {"frequency_penalty", "reasoning_effort", "service_tier", "modalities", "audio"}
    | {"prediction", "web_search_options", "functions", "function_call", "verbosity"}
    | {"safety_identifier", "prompt_cache_key", "top_k", "min_p", "chat_template_kwargs"}
)
"""Keys of everyday bodies that need no closer look."""


def folded(key: str) -> str:
    """Return what a reader without regard to case takes `key` for."""
    return key.replace("\u017f", "s").replace("\u212a", "k").lower()


def is_harmless(key: str) -> bool:
    """Whether a key of the body itself cannot be taken for one that is read or refused.

    It may be one of the everyday keys that are read.
    """
    return key in USUAL_KEYS or folded(key) not in _TOP_FOLDED


def check_key(key: str, wanted: frozenset[str], *, plain: bool, again: bool) -> bool:
    """Return whether `key` is one of `wanted`; RejectedError where it may not stand there.

    `plain`: it has no escapes. `again`: it stood there before.
    """
    if key not in wanted:
        meant = folded(key)
        if meant in wanted or (wanted is TOP_KEYS and not is_harmless(key)):
            _refuse_folded(key, meant)
        return False
    if key in ROUTING_KEYS:
        raise RejectedError("client_routing", f'Remove "{key}".', key)
    if again:
        raise RejectedError("duplicate_key", f'"{key}" stands twice.', key)
    if not plain:
        raise RejectedError("escaped_key", f'Write "{key}" without escapes.', key)
    return True


def _refuse_folded(key: str, meant: str) -> None:
    if meant in ROUTING_KEYS:
        raise RejectedError("client_routing", f'Remove "{key}".', key)
    raise RejectedError("folded_key", f'Write "{key}" as "{meant}".', key)
