"""What of an upstream's error answer is read, and what of it a caller may read."""

from typing import Any, Final

import orjson

CONTEXT_CODES: Final = frozenset({"context_length_exceeded"})
_CONTEXT_WORDS: Final = (
    b"maximum context length",  # OpenAI, vLLM
    b"exceeds the available context size",  # llama.cpp
    b"prompt is too long",  # Anthropic
)
_MODEL_WORDS: Final = (b"model_not_found", b"does not exist", b"not_found_error")
_KEPT: Final = ("message", "type", "param", "code")


def is_context_length(body: bytes) -> bool:
    """Whether a 400 says that the prompt does not fit the model."""
    if _error_of(body).get("code") in CONTEXT_CODES:
        return True
    return any(words in body for words in _CONTEXT_WORDS)


def is_model_not_found(status: int, body: bytes) -> bool:
    """Whether a 404 says that the provider lacks the model, which our configuration named."""
    return status == 404 and any(words in body for words in _MODEL_WORDS)


def caller_error(body: bytes, status: int, request_id: str) -> bytes:
    """Return the upstream's error object, and nothing else of its text, in OpenAI's shape."""
    said = _error_of(body)
    error: dict[str, Any] = {key: said.get(key) for key in _KEPT}
    if not isinstance(error["message"], str):
        error["message"] = f"The backend refused the request with status {status}."
    if not isinstance(error["type"], str):
        error["type"] = "invalid_request_error"
    return orjson.dumps({"error": {**error, "request_id": request_id}})


def _error_of(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(document, dict):
        return {}
    error = document.get("error", document)
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}
