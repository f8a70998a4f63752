"""What an error looks like to a client: OpenAI's error object, as a body or as an event.

``{"error": {"message", "type", "param", "code"}}``
(https://platform.openai.com/docs/guides/error-codes) with our `code` and the request id.
"""

import orjson

from lockgate.errors.kinds import ErrorKind


def error_object(
    kind: ErrorKind, request_id: str, *, detail: str = "", param: str | None = None
) -> dict[str, dict[str, object]]:
    """Return the ``{"error": ...}`` object in OpenAI's shape."""
    message = f"{kind.sentence} {detail}".rstrip()
    return {
        "error": {
            "message": f"{message} (request {request_id})",
            "type": kind.type,
            "param": param,
            "code": kind.code,
            "request_id": request_id,
        }
    }


def error_body(
    kind: ErrorKind, request_id: str, *, detail: str = "", param: str | None = None
) -> bytes:
    """Return that object as JSON bytes."""
    return orjson.dumps(error_object(kind, request_id, detail=detail, param=param))


def error_event(error: dict[str, object], ending: tuple[str, str]) -> bytes:
    """Return an error as one SSE event, the last thing a broken stream says.

    `ending` is the outcome and the terminal code, as the audit record has them.
    """
    outcome, terminal = ending
    said = {**error, "outcome": outcome, "terminal": terminal}
    return b"data: " + orjson.dumps({"error": said}) + b"\n\n"
