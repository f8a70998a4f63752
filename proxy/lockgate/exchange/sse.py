"""Server-sent events: bytes into whole events, and what an event of a chat stream means.

Facts (WHATWG HTML, section 9.2.6, https://html.spec.whatwg.org/multipage/server-sent-events.html):
a line ends with LF, CR or CRLF; a blank line ends an event; ``data`` lines of one event are joined
with LF; a line that begins with a colon is a comment; one BOM may open the stream; an event whose
data is empty is not dispatched, and neither is one that the end of the stream cuts short.

Decisions: an event is passed on byte for byte, so the splitter gives raw events with their line
ends. An event that cannot be read may have been content: it is "malformed", never skipped.
"""

import re
from typing import Any, Final, Literal

from attrs import frozen

from lockgate.bodies.lenient import read_json
from lockgate.exchange.response_body import (
    error_in,
    error_of,
    finish_reason,
    tokens_used,
    usable_choices,
)

MAX_EVENT_BYTES: Final = 8 << 20
"""Models that draw send a picture as one event; `proxy.maxEventBytes` says otherwise."""

_BLANK: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
_LINE: Final = re.compile(rb"\r\n|\n|\r")
_CR: Final = 0x0D
_LF: Final = 0x0A
"""As numbers, which are looked for faster than texts of one byte."""
_DONE_DATA: Final = b"[DONE]"


_NO_WORDS: Final = frozenset(
    {"role", "name", "annotations", "provider_specific_fields", "token_ids", "stop_reason"}
)
"""Parts of a delta that say nothing: about it, not of it (LiteLLM, OpenRouter, vLLM)."""


class EventTooLargeError(Exception):
    """An event is larger than the limit."""


class Splitter:
    """Cuts a stream into whole raw events, however it is chunked; each byte is looked at once."""

    __slots__ = ("_any_end", "_held", "_limit", "_searched")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._held = bytearray()
        self._searched = 0
        self._limit = max_event_bytes
        self._any_end = False  # a CR was seen: lines may end in all three ways

    @property
    def held_bytes(self) -> int:
        """How many bytes of an unfinished event are kept."""
        return len(self._held)

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the events that are whole now, each with its blank line."""
        if not self._any_end and _CR in data:
            self._any_end = True
        if self._held or self._any_end:
            return self._add(data)
        parts = data.split(b"\n\n")
        rest = parts.pop()
        if rest:
            self._held += rest
            self._searched = len(rest)
        events = [part + b"\n\n" for part in parts]
        if len(data) > self._limit:
            self._check(events)
        return events

    def finish(self) -> list[bytes]:
        """The stream ended: return the event whose last line end might have gone on."""
        if not self._held.endswith((b"\r\r", b"\n\r")):
            return []
        return [self.unfinished()]

    def unfinished(self) -> bytes:
        """Return what is left of an event whose blank line never came, and hold it no more."""
        rest = bytes(self._held)
        self._held.clear()
        return rest

    def _add(self, data: bytes) -> list[bytes]:
        unread = self._held
        unread += data
        ends = self._any_ends() if self._any_end else self._plain_ends()
        self._searched = len(unread)
        if not ends:
            if len(unread) > self._limit:
                raise EventTooLargeError
            return []
        events, start = [], 0
        for end in ends:
            events.append(bytes(unread[start:end]))
            start = end
        del unread[:start]
        self._searched = len(unread)
        self._check(events)
        return events

    def _plain_ends(self) -> list[int]:
        """Return where events end, lines ending with LF; the last byte searched may be one."""
        ends, unread = [], self._held
        end = unread.find(b"\n\n", max(self._searched - 1, 0)) + 2
        while end > 1:
            ends.append(end)
            end = unread.find(b"\n\n", end) + 2
        return ends

    def _any_ends(self) -> list[int]:
        unread = self._held
        # the LF that may follow a last CR belongs to that line end
        end = len(unread) - unread.endswith(b"\r")
        begin = max(self._searched - 3, 0)
        return [blank.end() for blank in _BLANK.finditer(unread, begin, end)]

    def _check(self, events: list[bytes]) -> None:
        if len(self._held) > self._limit or any(len(event) > self._limit for event in events):
            raise EventTooLargeError


@frozen
class Event:
    """What one event means for the exchange.

    kind: "comment" has no data, or is a ping, which some servers send as an event; "nothing" has
    empty data; "done" is ``[DONE]``; "error" carries an error, `document` where that is an object;
    "malformed" is data that is not a JSON object. For "data": `seen` are the indices of its
    choices, `said` of those that say something, `finished` of those with a finish_reason, `failed`
    that one gives "error" as its reason;
    `usage` is (prompt, completion) tokens; `usage_only`: it has no choice that says anything.
    """

    kind: Literal["comment", "nothing", "done", "data", "error", "malformed"]
    seen: tuple[int, ...] = ()
    said: tuple[int, ...] = ()
    finished: tuple[int, ...] = ()
    failed: bool = False
    usage: tuple[int, int] | None = None
    usage_only: bool = False
    document: Any = None

    @property
    def content(self) -> bool:
        """Whether the event is worth a commit."""
        return bool(self.said or self.finished)


_COMMENT: Final = Event("comment")
_NOTHING: Final = Event("nothing")
_DONE: Final = Event("done")
_MALFORMED: Final = Event("malformed")
CONTENT: Final = Event("data", seen=(0,), said=(0,))
"""Almost every event: the one choice says something."""


def read_event(raw: bytes) -> Event:
    """Return what one raw event means."""
    name, data = _fields(raw)
    if name == b"error":
        return Event("error", document=_object(data or b""))
    if data is None or name == b"ping":
        return _COMMENT
    if not data:
        return _NOTHING
    if data.startswith(_DONE_DATA):
        return _DONE
    try:
        document = read_json(data)
    except ValueError:
        return _MALFORMED
    if not isinstance(document, dict):
        error = error_of(document)
        return _MALFORMED if error is None else Event("error", document=error)
    error = error_in(document)
    if error is not None:
        return Event("error", document=error)
    return _read_chunk(document)


def document_of(raw: bytes) -> dict[str, Any] | None:
    """Return the JSON object that one raw event carries, None where it carries none."""
    data = _fields(raw)[1]
    return _object(data) if data else None


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        document = read_json(data)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _fields(raw: bytes) -> tuple[bytes, bytes | None]:
    """Return the event's name and its joined data; None when there is no data line."""
    if raw.startswith(b"data: ") and raw.endswith(b"\n\n"):
        usual = raw[6:-2]
        if _LF not in usual:
            return b"", usual.strip()
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
    choices = usable_choices(document)
    usage = document.get("usage")
    if usage is None and len(choices) == 1:
        choice = choices[0]
        if not choice.get("index") and choice.get("finish_reason") is None:
            delta = choice.get("delta")
            if isinstance(delta, dict) and delta.get("content"):
                return CONTENT
    return _read_choices(document, choices, usage)


def _read_choices(document: dict[str, Any], choices: list[dict[str, Any]], usage: object) -> Event:
    """Read a chunk choice by choice."""
    seen, said, finished = [], [], []
    shown = False
    failure: dict[str, Any] | None = None
    for place, choice in enumerate(choices):
        index = choice.get("index")
        index = index if isinstance(index, int) else place
        seen.append(index)
        if _says(choice):
            said.append(index)
        shown = shown or bool(_part(choice).get("role") or choice.get("logprobs"))
        reason = finish_reason(choice)
        if reason is not None:
            finished.append(index)
        if choice.get("finish_reason") == "error":
            failure = choice
    return Event(
        "data",
        tuple(seen),
        tuple(said),
        tuple(finished),
        failure is not None,
        tokens_used(document),
        usage_only=usage is not None and not (said or finished or shown),
        document=failure,
    )


def _part(choice: dict[str, Any]) -> dict[str, Any]:
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        delta = choice.get("message")  # some servers send a whole response as one chunk
    return delta if isinstance(delta, dict) else {}


def _says(choice: dict[str, Any]) -> bool:
    """Whether a choice says anything besides a role: a word, a tool call, a refusal, audio."""
    for key, value in _part(choice).items():
        if value and key not in _NO_WORDS:
            return True
    return bool(choice.get("text"))
