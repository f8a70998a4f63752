"""Reads a large body as it arrives: each piece once, and no more of it kept than a few places."""

from typing import Final, final

from lockgate.bodies.keys import OPTION_KEYS, TOP_KEYS, check_key
from lockgate.bodies.lexer import Lexer, NotJsonError, unescaped
from lockgate.bodies.scan import MAX_FIELDS, MAX_VALUES, Fields, Scan, Slice, Span, read
from lockgate.errors.kinds import RejectedError

_OBJECT: Final = 0x7B


@final
class BodyReader(Lexer):
    """Finds the fields that are read, by the rules that a body read whole is held to.

    Its verdict does not depend on how the body came in pieces.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fields: Final = Fields()
        self._is_object = False
        self._count = 0
        self._raw_key = b""
        self._value_start = -1
        self._in_options = False
        self._option_count = 0
        self._option_key = b""
        self._option_start = -1

    def take(self, piece: bytes) -> None:
        """Read on; RejectedError as soon as it is certain that the body is refused."""
        try:
            self.feed(piece)
        except NotJsonError as error:
            raise RejectedError("invalid_json", str(error)) from error

    def finish(self, body: Slice) -> Scan:
        """Nothing more comes: return what it says, or raise RejectedError. `body` reads in it."""
        try:
            self.end()
        except NotJsonError as error:
            raise RejectedError("invalid_json", str(error)) from error
        if not self._is_object:
            raise RejectedError("not_an_object")
        return read(self.fields, body)

    @property
    def model_span(self) -> Span | None:
        """Where the model stands; None before it came."""
        return self.fields.top.get("model")

    # -- what the lexer reports

    def keyed(self, raw: bytes) -> None:
        """A key of the body, or of one of its values."""
        if len(self.stack) == 1:
            self._raw_key = raw
        elif self._in_options:
            self._option_key = raw

    def opened(self, start: int) -> None:
        """A container begins."""
        depth = len(self.stack)
        if depth == 1:
            self._is_object = self.stack[0] == _OBJECT
        elif depth == 2:
            self._value_start = start
            self._in_options = (
                self._is_object and self.stack[1] == _OBJECT and self._raw_key == b"stream_options"
            )
        else:
            self._option_start = start

    def closing(self, at: int) -> None:
        """A container ends."""
        depth = len(self.stack)
        if depth == 1:
            self.fields.end = at
        elif depth == 2 and self._in_options:
            self._in_options = False
            self.fields.close = at
            self.fields.bare = self._option_count == 0

    def valued(self, start: int, stop: int) -> None:
        """A value ends: it may be one that is read."""
        if len(self.stack) == 1:
            if self._is_object:
                self._count += 1
                span = (start if start >= 0 else self._value_start, stop)
                _hold(self.fields.top, TOP_KEYS, self._raw_key, span)
        elif self._in_options:
            self._option_count += 1
            span = (start if start >= 0 else self._option_start, stop)
            if self.fields.fault is None:
                try:
                    _hold(self.fields.options, OPTION_KEYS, self._option_key, span)
                except RejectedError as fault:
                    self.fields.fault = fault

    def counted(self) -> None:
        """One value more."""
        if self.values > MAX_VALUES:
            raise RejectedError("too_many_values", f"At most {MAX_VALUES} at all depths.")
        depth = len(self.stack)
        if depth == 1 and self._count >= MAX_FIELDS:
            raise too_many_fields()
        if self._in_options and depth == 2 and self._option_count >= MAX_FIELDS:
            self.fields.fault = self.fields.fault or too_many_fields()


def too_many_fields() -> RejectedError:
    """Return what is said of an object that is read and has too many fields."""
    return RejectedError(
        "too_many_values", f"At most {MAX_FIELDS} fields in an object that is read."
    )


def _hold(fields: dict[str, Span], wanted: frozenset[str], raw: bytes, span: Span) -> None:
    key = unescaped(raw)
    if check_key(key, wanted, plain=b"\\" not in raw, again=key in fields):
        fields[key] = span
