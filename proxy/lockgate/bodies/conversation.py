"""What `recovery: resume` must know of a request's body, read when a response has broken off.

Like a body that arrives it is read in slices, and no value of it is built but the small ones.
"""

from collections.abc import Iterable
from typing import Final, final

import orjson

from lockgate.bodies.lexer import Lexer, NotJsonError, unescaped
from lockgate.bodies.scan import between

_ARRAY, _OBJECT = 0x5B, 0x7B
_READ: Final = frozenset({"n", "response_format", "logprobs", "messages"})
_SMALL_BYTES: Final = 4 * 1024
"""A value of these fields that asks for nothing special is shorter."""


@final
class Conversation(Lexer):
    """Reads a body that was scanned before.

    `is_plain`: it asks for one choice of free text without log probabilities, and its messages
    stand once (of two, one backend may have read the first and the next the last).
    `last_message_end` is the offset behind the last of `messages`, where another one may be put:
    None where there is none, or the last one is the assistant's already, or they stand twice.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__(watched=3)
        self.is_plain = True
        self.last_message_end: int | None = None
        self._pieces = list(pieces)
        self._top_key = ""
        self._message_key = ""
        self._top_start = -1
        self._seen: set[str] = set()
        self._role_is_assistant = False
        self._is_object = False
        self._last_is_object = False
        try:
            for piece in self._pieces:
                self.feed(piece)
            self.end()
        except NotJsonError:
            self.is_plain = False
            self.last_message_end = None

    # -- what the lexer reports

    def keyed(self, raw: bytes) -> None:
        """A key of the body or of a message."""
        depth = len(self.stack)
        if depth == 1:
            self._top_key = unescaped(raw)
        elif depth == 3:
            self._message_key = unescaped(raw)

    def opened(self, start: int) -> None:
        """The body, a value of it, or a message begins."""
        depth = len(self.stack)
        if depth == 2:
            self._top_start = start
        elif depth == 3:
            self._is_object = self.stack[2] == _OBJECT
            self._role_is_assistant = False

    def valued(self, start: int, stop: int) -> None:
        """A value of the body, a message, or a field of one ends."""
        depth = len(self.stack)
        if depth == 1:
            self._take_field(start, stop)
        elif self._top_key == "messages" and self.stack[1] == _ARRAY:
            if depth == 2:
                self._last_is_object = start < 0 and self._is_object
                self.last_message_end = stop
            elif self.stack[2] == _OBJECT and self._message_key == "role":
                self._role_is_assistant = self._small(start, stop) == "assistant"

    def _take_field(self, start: int, stop: int) -> None:
        key = self._top_key
        if key not in _READ:
            return
        twice = key in self._seen
        self._seen.add(key)
        if key == "messages":
            self.is_plain = self.is_plain and not twice
            if twice or not self._last_is_object or self._role_is_assistant:
                self.last_message_end = None
            return
        value = self._small(start if start >= 0 else self._top_start, stop)
        if twice or not _asks_for_nothing(key, value):
            self.is_plain = False

    def _small(self, start: int, stop: int) -> object:
        """Return the value that stands there; an object of no use where it is not small."""
        if start < 0 or stop - start > _SMALL_BYTES:
            return self
        try:
            return orjson.loads(between(self._pieces, start, stop))
        except orjson.JSONDecodeError:
            return self


def _asks_for_nothing(key: str, value: object) -> bool:
    """Whether a field asks for one choice of free text without log probabilities."""
    if key == "n":
        return value is None or value == 1
    if key == "logprobs":
        return not value
    return value is None or (isinstance(value, dict) and value.get("type") == "text")
