"""What an upstream's JSON says: a response, an error in one of a dozen shapes, or neither.

Sources of the shapes: OpenAI's error object and finish reasons
(https://platform.openai.com/docs/api-reference/chat/object); vLLM and SGLang, ``object: "error"``
with the fields at the top; FastAPI's ``detail`` (https://fastapi.tiangolo.com/tutorial/handling-errors/);
TGI's ``error`` text with ``error_type``; Google's array of one error; Cloudflare's ``errors``;
MiniMax's ``base_resp.status_code``.
"""

from typing import Any, Final

from attrs import frozen

from lockgate.bodies.lenient import read_json

MAX_MESSAGE_BYTES: Final = 1024
"""Of an upstream's sentence; so much is enough to say what is wrong."""
MAX_WORDS_BYTES: Final = 8 * 1024
"""Of the text in which words are looked for: gateways put one error into another."""
_TOLD: Final = ("message", "error_message", "detail", "errors")
_WORDED: Final = (*_TOLD, "error_description", "Message", "error")
"""Where the sentence of an error is looked for, in this order."""
_STATUS_FIELDS: Final = ("code", "status", "status_code", "http_status_code")
_PROMPT: Final = ("prompt_tokens", "input_tokens")
_COMPLETION: Final = ("completion_tokens", "output_tokens")
_NUMBERS: Final = (int, float)
_NO_REASON: Final = frozenset({"", "null", "error"})


def is_said(value: object) -> bool:
    """Whether an ``error`` field says anything: empty texts and objects of empties do not."""
    if isinstance(value, str):
        return bool(value.strip())
    if isinstance(value, dict):
        return any(value.values())
    return bool(value)


def usable_choices(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the choices that are objects; an empty list where there are none."""
    choices = document.get("choices")
    if not isinstance(choices, list):
        return []
    for choice in choices:
        if not isinstance(choice, dict):
            return [choice for choice in choices if isinstance(choice, dict)]
    return choices


def finish_reason(choice: dict[str, Any]) -> str | None:
    """Return why a choice ended, None while it has not: some servers write empty reasons."""
    reason = choice.get("finish_reason")
    return reason if isinstance(reason, str) and reason not in _NO_REASON else None


def error_in(document: dict[str, Any]) -> dict[str, Any] | None:
    """Return the object that carries an error, None where `document` is none."""
    if is_said(document.get("error")) or document.get("object") == "error":
        return document
    if usable_choices(document):
        return None
    if any(document.get(key) for key in _TOLD):
        return document
    base = document.get("base_resp")
    if isinstance(base, dict) and base.get("status_code"):
        return document
    return document if _status_of(document, least=400, most=999_999) else None


def error_of(document: object) -> dict[str, Any] | None:
    """Return the object that carries an error in a whole body, None where there is none.

    Google's OpenAI door puts it into an array, OpenRouter into the choice that failed.
    """
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        return None
    for choice in usable_choices(document):
        if choice.get("finish_reason") == "error" and is_said(choice.get("error")):
            return choice
    return error_in(document)


def is_completion(document: object) -> bool:
    """Whether a whole response is what the chat door promises: at least one choice, none failed."""
    if not isinstance(document, dict) or is_said(document.get("error")):
        return False
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices:
        return False
    for choice in choices:
        if not isinstance(choice, dict) or choice.get("finish_reason") == "error":
            return False
    return True


def tokens_used(document: object) -> tuple[int, int] | None:
    """Return (prompt, completion) tokens as the upstream reports them, None when it does not."""
    usage = document.get("usage") if isinstance(document, dict) else None
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(prompt) is int and type(completion) is int:
        return prompt, completion
    prompt, completion = _count(usage, _PROMPT), _count(usage, _COMPLETION)
    if prompt is None and completion is None:
        return None
    return prompt or 0, completion or 0


def _count(usage: dict[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value: Any = usage.get(name)
        if type(value) in _NUMBERS and 0 <= value < 1 << 53:
            return int(value)
    return None


@frozen
class Said:
    """What an error response says, whatever its shape. `status`: the number that it gives itself.

    `text` is its message, type and code in lower case, for words to be looked for in it.
    """

    message: str | None = None
    type: str | None = None
    param: str | None = None
    code: str | None = None
    status: int | None = None
    text: bytes = b""
    flagged: bool = False


def said_in(body: bytes) -> Said:
    """Return what an error body says; all that is not understood is left out."""
    try:
        document = read_json(body)
    except ValueError:
        return Said(text=body[:MAX_WORDS_BYTES].lower())
    return said_by(document)


def said_by(document: object) -> Said:
    """Return what a parsed error says."""
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        words = document if isinstance(document, str) else ""
        return Said(message=_cut(words) or None, text=_lowered(words))
    error = document.get("error")
    inner: dict[str, Any] = error if isinstance(error, dict) else document
    code = inner.get("code")
    words = _message(document, inner)
    kind = _text(inner.get("type")) or _text(document.get("error_type"))
    return Said(
        message=_cut(words) or None,
        type=kind,
        param=_text(inner.get("param")),
        code=_text(code) if isinstance(code, str) and not code.isdecimal() else None,
        status=_status_of(inner) or _status_of(document),
        text=_lowered(f"{words} {kind} {code} {_raw(inner)}"),
        flagged=any(map(_is_flagged, (document, inner))),
    )


def _is_flagged(holder: dict[str, Any]) -> bool:
    """Whether an error says which words of the prompt it is about, or why (OpenRouter, Azure)."""
    places = (holder, holder.get("metadata"), holder.get("innererror"))
    for place in places:
        if isinstance(place, dict):
            if place.get("flagged_input") or place.get("reasons"):
                return True
            if place.get("code") == "ResponsibleAIPolicyViolation":
                return True
    return False


def refusal(said: Said, status: int, code: str | None, request_id: str) -> dict[str, object]:
    """Return an upstream's error for the client whose own it is, in OpenAI's shape.

    Of the upstream's text its message, type, param and code, and nothing else; `code` wins.
    """
    return {
        "message": said.message or f"The backend refused the request with status {status}.",
        "type": said.type or "invalid_request_error",
        "param": said.param,
        "code": code or said.code,
        "request_id": request_id,
    }


def _message(document: dict[str, Any], inner: dict[str, Any]) -> str:
    for holder in (inner, document):
        for key in _WORDED:
            found = _sentence(holder.get(key))
            if found:
                return found
    base = document.get("base_resp")
    return _sentence(base.get("status_msg")) if isinstance(base, dict) else ""


def _raw(inner: dict[str, Any]) -> str:
    """Return a provider's own words, which OpenRouter puts beside its own."""
    metadata = inner.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return raw if isinstance(raw, str) else ""


def _sentence(value: object) -> str:
    """Return the words of a message: a text, or FastAPI's and Cloudflare's lists of them.

    Never an ``input``, which is a piece of the prompt.
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict):
        for key in ("message", "msg", "detail", "error", "text"):
            found = _sentence(value.get(key))
            if found:
                place = value.get("loc")
                at = ".".join(map(str, place)) + ": " if isinstance(place, list) else ""
                return at + found
    if isinstance(value, list):
        return "; ".join(filter(None, (_sentence(item) for item in value[:8])))
    return ""


def _status_of(holder: dict[str, Any], *, least: int = 400, most: int = 599) -> int | None:
    """Return the status that an error gives itself, as a number or its digits."""
    for key in _STATUS_FIELDS:
        value: Any = holder.get(key)
        if isinstance(value, str) and value.isascii() and value.isdecimal():
            value = int(value[:9])
        if type(value) in _NUMBERS and least <= value <= most:
            return int(value)
    return None


def _text(value: object) -> str | None:
    return _cut(value) if isinstance(value, str) and value else None


def _cut(value: str) -> str:
    """Return at most 1 KiB of a text, whole characters, no lone surrogates."""
    data = value[:MAX_MESSAGE_BYTES].encode("utf-8", "replace")
    return data[:MAX_MESSAGE_BYTES].decode("utf-8", "ignore")


def _lowered(words: str) -> bytes:
    return words[:MAX_WORDS_BYTES].lower().encode("utf-8", "replace")
