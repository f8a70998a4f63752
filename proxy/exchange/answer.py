"""What an upstream's answer head allows, and what of its errors a caller may read.

Facts: RFC 9112 section 6.3 (which framing wins, and that both at once is an attack), RFC 9110
section 15 (status classes) and 10.2.3 (Retry-After).
"""

from typing import Any, ClassVar, Final, Literal, final

import orjson

from proxy.exchange.headers import is_allowed_down
from proxy.exchange.value import Value

CONTEXT_CODES: Final = frozenset({"context_length_exceeded"})
_CONTEXT_WORDS: Final = (
    b"maximum context length",  # OpenAI, vLLM
    b"exceeds the available context size",  # llama.cpp
    b"prompt is too long",  # Anthropic
)
_MODEL_WORDS: Final = (b"model_not_found", b"does not exist", b"not_found_error")
_KEPT: Final = ("message", "type", "param", "code")


class ProtocolError(Exception):
    """The answer breaks HTTP, or is not of the kind that was asked for."""


@final
class AnswerHead(Value):
    """A final answer's head. `passed_on`: rendered header lines that the caller may see."""

    __match_args__: ClassVar = ("status", "framing", "retry_after_s", "passed_on")

    def __init__(
        self,
        status: int,
        framing: Literal["length", "chunked", "close"],
        retry_after_s: float | None,
        passed_on: bytes,
    ) -> None:
        self.status: Final = status
        self.framing: Final = framing
        self.retry_after_s: Final = retry_after_s
        self.passed_on: Final = passed_on


def judge_head(status: int, headers: list[tuple[bytes, bytes]], *, streaming: bool) -> AnswerHead:
    """Check an answer's head; names are lower-case. ProtocolError when it cannot be used."""
    lengths = codings = 0
    content_type = b""
    retry_after: float | None = None
    passed_on = b""
    for name, value in headers:
        if is_allowed_down(name):
            passed_on += b"%b: %b\r\n" % (name, value)
        if name == b"content-length":
            lengths += 1 if value.isdigit() else 2  # two of anything are refused below
        elif name == b"transfer-encoding":
            codings += 1
            if value.lower() != b"chunked":
                raise ProtocolError("transfer-encoding")
        elif name == b"content-type":
            content_type = value
        elif name == b"content-encoding":
            _check_coding(value)
        elif name == b"retry-after":
            retry_after = _seconds(value)
    if lengths + codings > 1:
        raise ProtocolError("framing")
    _check_status(status, content_type, streaming=streaming)
    framing: Final = "chunked" if codings else "length" if lengths else "close"
    return AnswerHead(status, framing, retry_after, passed_on)


def _check_coding(value: bytes) -> None:
    if value.lower() != b"identity":
        raise ProtocolError("content-encoding")


def _check_status(status: int, content_type: bytes, *, streaming: bool) -> None:
    if status >= 400:
        if status > 599:
            raise ProtocolError("status")
        return
    if status not in {200, 201, 202, 203}:
        raise ProtocolError("status")
    kind = content_type.split(b";", 1)[0].strip().lower()
    if streaming:
        fits = kind == b"text/event-stream"
    else:
        fits = kind == b"application/json" or kind.endswith(b"+json")
    if not fits:
        raise ProtocolError("content-type")


def _seconds(value: bytes) -> float | None:
    """Return delta-seconds; a date is not waited for, the next candidate is as good."""
    return float(value) if value.isdigit() and len(value) < 10 else None


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
