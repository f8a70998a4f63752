"""What an upstream's error comes to: the client's own fault, or a failed attempt of a kind.

One law for a status line, for an error that came inside a 200, and for an error event: `judge`
takes the status and what was said. Servers say the same thing in different words; the words stand
here, each with the server that says so.
"""

import re
from typing import Final

from attrs import frozen

from lockgate.errors.codes import Code
from lockgate.exchange.response_body import Said, said_by
from lockgate.exchange.retry import Failure

CONTEXT_WORDS: Final[dict[str, tuple[bytes, ...]]] = {
    # sources: vllm-project/vllm#20409 and vllm/renderers/params.py; sgl-project/sglang#4048 and its
    # tokenizer_manager.py; llama.cpp tools/server/server-common.cpp; ollama llm/llama_server.go;
    # TGI router/src/validation.rs; google-gemini/gemini-cli#6678; anthropics/claude-code#12186;
    # aws-samples/bedrock-chat#95; mckaywrigley/chatbot-ui#102; cline/cline#5474;
    # refly-ai/refly#1177
    "OpenAI, Azure": (
        b"context_length_exceeded",
        b"maximum context length",
        b"context window",
        b"input tokens exceed the configured limit",
    ),
    "vLLM V0": (b"maximum context length", b"max_tokens must be at least 1, got -"),
    "vLLM V1": (
        b"longer than the maximum model length",
        b"too long to fit into the model",
        b"context length is only",
        b"maximum input length of",
        b"exceeds the max_model_len",
    ),
    "SGLang": (
        b"longer than the model's context length",
        b"exceeds the maximum allowed length",
        b"exceeds the kv memory budget",
    ),
    "llama.cpp": (
        b"available context size",
        b"exceed_context_size_error",
        b"is too large to process",
    ),
    "Ollama": (
        b"longer than the context length",
        b"exceeds the context length",
        b"exceeded max context length",
        b"exceeded context length",
    ),
    "LM Studio": (b"with context length of only", b"greater than the context length"),
    "TGI": (b"`inputs` tokens + `max_new_tokens` must be", b"`inputs` must have less than"),
    "Gemini": (
        b"exceeds the maximum number of tokens allowed",
        b"input token count is",
    ),
    "Mistral": (b"too large for model with",),
    "Anthropic": (b"prompt is too long", b"exceed context limit"),
    "Bedrock": (
        b"input is too long for requested model",
        b"too many input tokens",
        b"number of input tokens exceeds",
        b"expected maxlength",
    ),
    "OpenRouter, Groq, Cerebras": (b"reduce the length of",),
    "LiteLLM, Azure's GitHub Models": (b"contextwindowexceeded", b"tokens_limit_reached"),
    "DashScope, z.ai": (b"range of input length", b"exceeds max length"),
    "xAI, Copilot, Kimi": (
        b"maximum prompt length",
        b"max_prompt_tokens_exceeded",
        b"exceeded model token limit",
    ),
}
"""Lower-case words of an error that says that the prompt does not fit the model."""
_ABOUT_RATE: Final = (b"tokens per minute", b"(tpm)")
UNSUPPORTED_WORDS: Final = (
    b"not supported",  # llama.cpp: "image input is not supported"; TGI
    b"does not support",  # llama.cpp: embeddings, reranking; vLLM; Ollama
    b"doesn't support",  # Bedrock
    b"unsupported",
    b"not a multimodal model",  # vLLM
    b"at most 0 ",  # vLLM
    b"missing data required for image",  # Ollama
    b"requires --jinja",  # llama.cpp: tools
    b"schema conversion failed",  # llama.cpp (aaif-goose/goose#4815)
    b"unrecognized schema",  # the same
    b"failed to parse grammar",  # the same
    b"input should be",  # llama-cpp-python (ggml-org/llama.cpp#23463)
    b"response_format type must be one of",  # ikawrakow/ik_llama.cpp#778
    b"not implemented",
    b"unimplemented",  # llama.cpp: keys of a schema
    b"supported!",  # templates: "Only user, system and assistant roles are supported!"
    b"is supported",  # "Only 'text' content type is supported"
    b"roles must alternate",  # templates (janhq/jan#6254)
    b"message must be at the beginning",  # templates (ollama/ollama#18241)
    b"jinja exception",  # llama.cpp: a template's own word about the messages
    b"embedding=true",  # llama-cpp-python: embeddings of a chat model
    b"not appear to be an embedding model",  # SGLang
    b"is not enabled for models/",  # Gemini
    b"only supported by",  # OpenAI
)
"""Words of a 500 or 501 that says: this server cannot do that."""
_ASKED: Final = re.compile(
    rb"image|audio|video|vision|multimodal|tool|function|schema|grammar|response_format|embedding"
    rb"|rerank|modality|input|content|logprobs|thinking|parameter|role|message|template|request"
)
"""What a client asked for; without one of these it is the server's own trouble."""
_QUOTA: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_FLAGGED: Final = re.compile(r"content|moderation|safety|policy|flagged|guardrail", re.IGNORECASE)
"""In the code or type of a 403 (OpenRouter's error page, DashScope, Mistral)."""
_FILTERED: Final = re.compile(r"content_(filter|policy)|moderation|safety|guardrail", re.IGNORECASE)
"""The same for a 400, where other things are named so too."""
_FLAGGED_WORDS: Final = (b"was flagged", b"usage guidelines", b"safety_check", b"content policy")
"""In the sentence of one, where the code says nothing (OpenRouter, xAI)."""
_MODEL: Final = re.compile(rb"model|deployment|no endpoints found")
_OURS: Final[tuple[tuple[bytes, Code], ...]] = (
    # a key or an account of ours, told with the client's status (Gemini, xAI; Anthropic:
    # anthropics/anthropic-sdk-typescript#618; OpenAI; DashScope)
    (b"api_key_invalid", "upstream_auth"),
    (b"api key not valid", "upstream_auth"),
    (b"incorrect api key", "upstream_auth"),
    (b"credit balance is too low", "insufficient_quota"),
    (b"billing_hard_limit_reached", "insufficient_quota"),
    (b"arrearage", "insufficient_quota"),
    # https://docs.litellm.ai/docs/proxy/error_diagnosis
    (b"invalid model name", "upstream_model"),
    (b"no_db_connection", "upstream_auth"),
    (b"no connected db", "upstream_auth"),
    (b"all_deployments_in_cooldown", "upstream_rate_limited"),
    (b"no deployments available for selected model", "upstream_rate_limited"),
)
_AS_STATUS: Final = {
    # what an error says of itself in words, where it has no number (OpenAI, Anthropic, TGI, vLLM)
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "overloaded": 429,
    "overloaded_error": 529,
    "api_error": 500,
    "context_length_exceeded": 400,
    "exceed_context_size_error": 400,
    "content_filter": 400,
    "content_policy_violation": 400,
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "validation": 422,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
}
_SOMEBODYS_TIMEOUT: Final = frozenset({504, 522, 524})
"""A gateway's or CDN's own wait for a first byte is over (RFC 9110, 15.6.5; Cloudflare's 5xx)."""
_NOT_THERE: Final = frozenset({404, 405, 410})
"""410: a model that its provider has retired."""
_KEYS: Final = frozenset({401, 402, 407})


@frozen
class Refused:
    """The client's own error: passed back with `status`, and nobody else is asked.

    `code` stands instead of the upstream's own.
    """

    status: int
    said: Said
    code: str | None = None


def status_of(said: Said) -> int | None:
    """Return the status that an error would have had, were it not inside a 200; None: unknown."""
    if said.status is not None:
        return said.status
    for word in (said.code, said.type):
        if word is not None and word.lower() in _AS_STATUS:
            return _AS_STATUS[word.lower()]
    return 400 if _is_context(said) else None


def is_clients(error: object) -> bool:
    """Whether an error in a stream says that it is the client's own: a status below 500."""
    if error is None:
        return False
    status = status_of(said_by(error))
    return status is not None and status < 500


def judge(
    status: int | None, said: Said, *, retry_after_s: float | None = None
) -> Refused | Failure:
    """Return what an error with `status` comes to; None where nobody knows its status."""
    if status is None:
        return Failure("upstream_error")
    code = _ours(said.text)
    if code is not None:
        waits_s = retry_after_s if code == "upstream_rate_limited" else None
        return Failure(code, status, waits_s)
    if status < 500:
        return _below_500(status, said, retry_after_s)
    if status in {500, 501}:
        if _is_context(said):
            return Failure("upstream_context", status)
        if _is_unsupported(status, said):
            return Refused(400, said)
    if status in _SOMEBODYS_TIMEOUT:
        return Failure("first_token_timeout", status)
    overloaded = status == 503 and retry_after_s is not None
    return Failure("upstream_overloaded" if overloaded else "upstream_error", status, retry_after_s)


def _below_500(status: int, said: Said, retry_after_s: float | None) -> Refused | Failure:
    if status in _KEYS or (status == 403 and not _is_flagged(said)):
        return Failure("upstream_auth", status)
    if status in _NOT_THERE:
        about_model = status != 405 and _MODEL.search(said.text) is not None
        return Failure("upstream_model" if about_model else "upstream_path", status)
    if status == 411:
        return Failure("upstream_protocol", status)  # the framing is ours
    if status in {408, 424}:  # 424: TGI's generation failed
        return Failure("upstream_error", status)
    if status == 429:
        if said.code in _QUOTA or said.type in _QUOTA:
            return Failure("insufficient_quota", status)
        return Failure("upstream_rate_limited", status, retry_after_s)
    if status == 413 and said.code == "rate_limit_exceeded":  # Groq: more than a minute's tokens
        return Failure("upstream_rate_limited", status)
    if said.code == "model_not_found":
        return Failure("upstream_model", status)
    if _is_context(said) and not (said.flagged or _names(said, _FILTERED)):
        return Failure("upstream_context", status)
    return Refused(status, said)


def _is_context(said: Said) -> bool:
    text = said.text
    found = any(words in text for group in CONTEXT_WORDS.values() for words in group)
    return found and not any(words in text for words in _ABOUT_RATE)


def _is_unsupported(status: int, said: Said) -> bool:
    """Whether a 500 or 501 says that the server cannot do what was asked for.

    A 501 says so by itself (RFC 9110, 15.6.2), once it has words at all.
    """
    if b"not_supported" in said.text or (status == 501 and said.message):  # llama.cpp's type
        return True
    found = any(words in said.text for words in UNSUPPORTED_WORDS)
    return found and _ASKED.search(said.text) is not None and b"cuda" not in said.text


def _is_flagged(said: Said) -> bool:
    """Whether a 403 is about the prompt and not about the key."""
    if said.flagged or any(words in said.text for words in _FLAGGED_WORDS):
        return True
    return _names(said, _FLAGGED)


def _names(said: Said, words: "re.Pattern[str]") -> bool:
    """Whether the code or the type of an error names one of `words`."""
    return any(
        word is not None and words.search(word) is not None for word in (said.code, said.type)
    )


def _ours(text: bytes) -> Code | None:
    for words, code in _OURS:
        if words in text:
            return code
    return None
