"""Server-sent events: bytes into whole events, and what an event of a chat stream means.

Facts (WHATWG HTML, section 9.2.6, https://html.spec.whatwg.org/multipage/server-sent-events.html):
a line ends with LF, CR or CRLF; a blank line ends an event; ``data`` lines of one event are joined
with LF; a line that begins with a colon is a comment; one BOM may open the stream.

Events are passed on byte for byte, so the splitter gives raw events with their line ends.
"""

import re
from typing import Any, Final, Literal

import orjson
from attrs import frozen

MAX_EVENT_BYTES: Final = 1 << 20
"""A tool call with its whole arguments in one event is some ten kilobytes."""

_BLANK: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
_LINE: Final = re.compile(rb"\r\n|\n|\r")
_LEADING_BLANKS: Final = b"\r\n"


class EventTooLargeError(Exception):
    """An event is larger than the limit."""


class Splitter:
    """Cuts a stream into whole raw events, however it is chunked."""

    __slots__ = ("_buffer", "_limit", "_searched")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._buffer = b""
        self._searched = 0
        self._limit = max_event_bytes

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished event are held."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the events that are whole now, each with its blank line."""
        buffer = self._buffer + data if self._buffer else data
        if b"\r" in buffer:
            events, rest = self._split_any(buffer)
        else:
            parts = buffer.split(b"\n\n")
            rest = parts.pop()
            events = [part + b"\n\n" for part in parts]
        self._buffer = rest
        if len(rest) > self._limit or any(len(event) > self._limit for event in events):
            raise EventTooLargeError
        return events

    def finish(self) -> list[bytes]:
        """The stream ended: return the event whose last line end might have gone on."""
        buffer, self._buffer = self._buffer, b""
        return [buffer] if buffer.endswith((b"\r\r", b"\n\r")) else []

    @staticmethod
    def _split_any(buffer: bytes) -> tuple[list[bytes], bytes]:
        events, start = [], 0
        held = buffer.endswith(b"\r")  # the LF that may follow belongs to this line end
        end = len(buffer) - held
        for blank in _BLANK.finditer(buffer, 0, end):
            events.append(buffer[start : blank.end()])
            start = blank.end()
        return events, buffer[start:]


@frozen
class Event:
    """What one event means for the exchange.

    kind: "comment" has no data, or is a ping, which some servers send as an event; "done" is
    ``[DONE]``; "error" carries an error object; "malformed" is data that is not a JSON object. For
    "data": `content` is worth a commit, `finished` has a finish_reason, `usage` is (prompt,
    completion) tokens, `usage_only` has no choice at all.
    """

    kind: Literal["comment", "done", "data", "error", "malformed"]
    content: bool = False
    finished: bool = False
    usage: tuple[int, int] | None = None
    usage_only: bool = False


_COMMENT: Final = Event("comment")
_DONE: Final = Event("done")
_ERROR: Final = Event("error")
_MALFORMED: Final = Event("malformed")
_CONTENT: Final = Event("data", content=True)
_EMPTY: Final = Event("data")


def read_event(raw: bytes) -> Event:
    """Return what one raw event means."""
    name, data = _fields(raw)
    if data is None or name == b"ping":
        return _COMMENT
    if data == b"[DONE]":
        return _DONE
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        return _MALFORMED
    if not isinstance(document, dict):
        return _MALFORMED
    if document.get("error") is not None or name == b"error":
        return _ERROR
    return _read_chunk(document)


def document_of(raw: bytes) -> dict[str, Any] | None:
    """Return the JSON object that one raw event carries, None where it carries none."""
    data = _fields(raw)[1]
    if data is None or data == b"[DONE]":
        return None
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _fields(raw: bytes) -> tuple[bytes, bytes | None]:
    """Return the event's name and its joined data; None when there is no data line."""
    if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2:
        return b"", raw[6:-2].strip()
    name, data = b"", []
    for line in _LINE.split(raw.removeprefix(b"\xef\xbb\xbf")):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return name, b"\n".join(data).strip() if data else None


def _read_chunk(document: dict[str, Any]) -> Event:
    choices = document.get("choices")
    usage = tokens_used(document)
    content = finished = False
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            finished = finished or choice.get("finish_reason") is not None
            content = content or _has_content(choice)
    content = content or finished
    if usage is None:
        if not finished:
            return _CONTENT if content else _EMPTY
        return Event("data", content=True, finished=True)
    return Event("data", content, finished, usage, usage_only=choices == [])


def _has_content(choice: dict[str, Any]) -> bool:
    """Whether a choice says anything besides a role: a word, a tool call, a refusal, audio."""
    delta = choice.get("delta")
    if isinstance(delta, dict):
        return any(value for key, value in delta.items() if key != "role")
    return bool(choice.get("text"))


def tokens_used(document: object) -> tuple[int, int] | None:
    """Return (prompt, completion) tokens as the upstream reports them, None when it does not."""
    usage = document.get("usage") if isinstance(document, dict) else None
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens", 0)
    if isinstance(prompt, int) and isinstance(completion, int):
        return prompt, completion
    return None
