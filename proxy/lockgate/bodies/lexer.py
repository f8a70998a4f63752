r"""Follows one JSON document through slices, without building a value or a text of it.

What it accepts is what Python's `json` accepts (RFC 8259; lone surrogates in escapes too) in UTF-8,
so that a body that comes in pieces is held to the same as one that is read whole. What it keeps is
bounded whatever comes: the open containers, and the beginning of a token that a slice cut.

How it stays linear and quick:
- In a slice that has backslashes, pairs of them and escaped quotes are blanked first (`masked`, of
  the same length), so that every quote left is a string's end. Escapes are never cut by a slice.
- A string's inside is read by orjson, and by Python's C scanner where orjson refuses it.
- A number that a slice cuts is carried as a short one in the same place of the grammar.
- Runs of scalars, flat lists and flat objects are one match of an expression that cannot backtrack.
"""

import re
import sys
from codecs import utf_8_decode
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed lacks it
from typing import Final

import orjson

MAX_DEPTH: Final = 1024
"""Nesting; orjson's own limit, so that every way through a body agrees."""
SLICE_BYTES: Final = 64 * 1024
KEY_BYTES: Final = 256
"""A longer key is none that anybody looks for, however its letters are written."""


def _held(group: bytes, times: bytes) -> bytes:
    """Return a group that matches so many `times` and gives nothing of it back.

    Python below 3.11.5 (Debian 12's is 3.11.2) loses matches of possessive groups, and none of
    atomic ones, which take longer: https://github.com/python/cpython/issues/106052.
    """
    if sys.version_info >= (3, 11, 5):
        return rb"(?:" + group + rb")" + times + rb"+"
    return rb"(?>(?:" + group + rb")" + times + rb")"


_S: Final = rb"[ \t\n\r]*+"
_NUMBER: Final = (
    rb"-?+(?:0|[1-9][0-9]*+)" + _held(rb"\.[0-9]++", rb"?") + _held(rb"[eE][+-]?+[0-9]++", rb"?")
)
_WORD: Final = rb"true|false|null"
_TEXT: Final = rb'[^"\\\x00-\x1f]*+'
_ESCAPE: Final = rb'\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})'
_STRING: Final = rb'"' + _TEXT + _held(_ESCAPE + _TEXT, rb"{0,8}") + rb'"'
_SCALAR: Final = rb"(?:" + _STRING + rb"|" + _NUMBER + rb"|" + _WORD + rb")"
_ELEMENT: Final = _SCALAR + _S
_LIST: Final = rb"\[" + _S + _held(_ELEMENT + _held(rb"," + _S + _ELEMENT, rb"*"), rb"?") + rb"\]"
_FIELD: Final = _STRING + _S + rb":" + _S + _SCALAR + _S
_RECORD: Final = rb"\{" + _S + _held(_FIELD + _held(rb"," + _S + _FIELD, rb"*"), rb"?") + rb"\}"
_FLAT: Final = rb"(?:" + _SCALAR + rb"|" + _LIST + rb"|" + _RECORD + rb")"
_VALUE: Final = re.compile(
    _S + rb"(?:(" + _STRING + rb')|(")|([{\[])|(' + _NUMBER + rb")(?=[^0-9.eE+-])|("
    + _WORD + rb")|(\])|(NaN|-?Infinity))"
)  # fmt: skip
_PLAIN, _QUOTE, _OPEN, _NUM, _LITERAL, _CLOSE, _CONSTANT = range(1, 8)
_KEY: Final = re.compile(_S + rb"(?:(" + _STRING + rb')|(")|(\}))')
_COLON: Final = re.compile(_S + rb":")
_AFTER: Final = re.compile(_S + rb"(?:(,)|([}\]]))")
_BLANK: Final = re.compile(_S)
_ELEMENTS: Final = re.compile(_held(_S + _FLAT + _S + rb",", rb"*"))
_MEMBERS: Final = re.compile(_held(_S + _STRING + _S + rb":" + _S + _FLAT + _S + rb",", rb"*"))
_INSIDE: Final = re.compile(rb'"[^"]*+"')
_EXPONENT: Final = rb"[eE][+-]?+[0-9]*+"
_FRACTION: Final = rb"\." + _held(rb"[0-9]++" + _held(_EXPONENT, rb"?"), rb"?")
_DIGITS_ON: Final = rb"(?:0|[1-9][0-9]*+)" + _held(_FRACTION + rb"|" + _EXPONENT, rb"?")
_CUT: Final = re.compile(
    rb"(-?+" + _held(_DIGITS_ON, rb"?") + rb")"
    rb"|t(?:ru?)?|f(?:a(?:ls?)?)?|n(?:ul?)?|N(?:a)?|-?I(?:n(?:f(?:i(?:n(?:i(?:t)?)?)?)?)?)?"
)
"""What a slice may end with that is no token yet."""
_NUM_ALONE: Final = re.compile(_NUMBER)
_DIGITS: Final = re.compile(rb"[0-9]{2,}")

VALUE, FIRST, KEY, FIRST_KEY, COLON, AFTER, END = range(7)
"""What is due next."""
_ARRAY, _OBJECT = 0x5B, 0x7B


class NotJsonError(ValueError):
    """What came is no JSON document, nor the beginning of one."""


class Lexer:
    """See the module's text. `values` counts commas and openings outside of strings.

    `whole`: the document has ended, and only white space may follow. Offsets are the document's.
    `constants`: NaN and Infinity pass. A subclass is called for what stands at most `watched` deep.
    """

    def __init__(self, *, constants: bool = False, watched: int = 2) -> None:
        self.values = 0
        self.whole = False
        self.stack = bytearray()
        self._constants = constants
        self._watched = watched
        self._due = VALUE
        self._rest = b""  # the beginning of a token, or of an escape, that a slice cut
        self._base = 0  # the offset of the next slice, `_rest` before it
        self._token_at = -1  # the offset of a token that was cut
        self._in_string = False
        self._string_is_key = False

    def feed(self, data: bytes) -> None:
        """Take what came; NotJsonError as soon as it is certain."""
        if len(data) <= SLICE_BYTES:
            self._slice(data)
            return
        for at in range(0, len(data), SLICE_BYTES):
            self._slice(data[at : at + SLICE_BYTES])

    def end(self) -> None:
        """Nothing more comes; NotJsonError unless what came was a whole document."""
        self._slice(b" ")  # ends a number
        if not self.whole or self._rest:
            raise NotJsonError

    # -- for what reads along

    def keyed(self, raw: bytes) -> None:
        """A key stands in the innermost object, as it is written; empty where it is long."""

    def valued(self, start: int, stop: int) -> None:
        """A value stands there, in the innermost container that is still open."""

    def opened(self, start: int) -> None:
        """A container begins; it is the innermost."""

    def closing(self, at: int) -> None:
        """The innermost container ends with the byte at this offset."""

    def counted(self) -> None:
        """`values` grew."""

    # -- slices

    def _slice(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
            self._rest = b""
        valid, broken = _valid_end(data)
        end = _clean_end(data, valid)
        masked = data
        if b"\\" in data:
            masked = data.replace(b"\\\\", b"zz").replace(b'\\"', b"zz")
        at = self._string(data, masked, 0, end) if self._in_string else 0
        while at < end:
            at = self._step(data, masked, at, end)
        if broken:
            self._end_number(self._rest, 0, len(self._rest))
            raise NotJsonError("It is not UTF-8.")
        self._rest += data[end:]
        self._base += len(data) - len(self._rest)

    def _step(self, data: bytes, masked: bytes, at: int, end: int) -> int:
        due = self._due
        if due == AFTER:
            return self._after(data, masked, at, end)
        if due in (KEY, FIRST_KEY):
            return self._key(data, masked, at, end)
        if due == COLON:
            found = _COLON.match(masked, at, end)
            if found is None:
                return self._blank(data, at, end)
            self._due = VALUE
            return found.end()
        if due == END:
            return self._blank(data, at, end)
        return self._value(data, masked, at, end)

    def _value(self, data: bytes, masked: bytes, at: int, end: int) -> int:
        found = _VALUE.match(masked, at, end)
        if found is None:
            return self._cut(data, at, end)
        kind = found.lastindex or 0
        start, stop = found.span(kind)
        if kind == _OPEN:
            self._open(data[start], start)
        elif kind == _QUOTE:
            return self._begin(data, masked, start, end, is_key=False)
        elif kind == _CLOSE:
            if self._due != FIRST:
                raise NotJsonError
            self._close(data[start], start)
        elif kind == _CONSTANT and not self._constants:
            raise NotJsonError
        else:
            self._ended(self._base + start, self._base + stop)
        return stop

    def _key(self, data: bytes, masked: bytes, at: int, end: int) -> int:
        found = _KEY.match(masked, at, end)
        if found is None:
            return self._blank(data, at, end)
        kind = found.lastindex or 0
        start, stop = found.span(kind)
        if kind == 2:
            return self._begin(data, masked, start, end, is_key=True)
        if kind == 3:
            if self._due != FIRST_KEY:
                raise NotJsonError
            self._close(data[start], start)
            return stop
        if len(self.stack) <= self._watched:
            self.keyed(data[start + 1 : stop - 1] if stop - start <= KEY_BYTES else b"")
        self._due = COLON
        return stop

    def _after(self, data: bytes, masked: bytes, at: int, end: int) -> int:
        found = _AFTER.match(masked, at, end)
        if found is None:
            return self._blank(data, at, end)
        stop = found.end()
        if found.lastindex == 2:
            self._close(data[stop - 1], stop - 1)
            return stop
        is_array = self.stack[-1] == _ARRAY
        self._due = VALUE if is_array else KEY
        self.values += 1
        self.counted()
        depth = len(self.stack)
        if depth == MAX_DEPTH or (depth <= self._watched and not is_array):
            return stop
        return self._run(_ELEMENTS if is_array else _MEMBERS, masked, stop, end)

    def _run(self, run: "re.Pattern[bytes]", masked: bytes, at: int, end: int) -> int:
        """Take the plain values that follow one another, each with its comma."""
        found = run.match(masked, at, end)
        stop = found.end() if found is not None else at
        if stop > at:
            text = masked[at:stop]
            if b'"' in text:
                text = _INSIDE.sub(b"", text)
            self.values += text.count(b",") + text.count(b"[") + text.count(b"{")
            self.counted()
        return stop

    def _open(self, kind: int, at: int) -> None:
        self.stack.append(kind)
        if len(self.stack) > MAX_DEPTH:
            raise NotJsonError("It is nested too deeply.")
        self.values += 1
        self.counted()
        self._due = FIRST if kind == _ARRAY else FIRST_KEY
        if len(self.stack) <= self._watched + 1:
            self.opened(self._base + at)

    def _close(self, kind: int, at: int) -> None:
        if kind != self.stack[-1] + 2:  # } and ] stand two behind { and [
            raise NotJsonError
        if len(self.stack) <= self._watched + 1:
            self.closing(self._base + at)
        self.stack.pop()
        self._ended(-1, self._base + at + 1)

    def _ended(self, start: int, stop: int) -> None:
        """A value ended; a container's beginning is known to whom it was told."""
        if self._token_at >= 0:
            start, self._token_at = self._token_at, -1
        if self.stack:
            self._due = AFTER
            if len(self.stack) <= self._watched:
                self.valued(start, stop)
        else:
            self._due = END
            self.whole = True

    # -- strings

    def _begin(self, data: bytes, masked: bytes, at: int, end: int, *, is_key: bool) -> int:
        """Take a string that has escapes, or that goes on in the next slice."""
        if is_key and end - at < KEY_BYTES and masked.find(b'"', at + 1, end) < 0:
            self._rest = data[at:end]  # it may be one that is looked for
            return end
        self._in_string, self._string_is_key = True, is_key
        self._token_at = self._base + at
        return self._string(data, masked, at + 1, end)

    def _string(self, data: bytes, masked: bytes, at: int, end: int) -> int:
        """Take what a slice has of a string."""
        stop = masked.find(b'"', at, end)
        if stop < 0:
            _check_inside(data[at:end])
            return end
        _check_inside(data[at:stop])
        self._in_string = False
        if not self._string_is_key:
            self._ended(self._token_at, self._base + stop + 1)
            return stop + 1
        start, self._token_at = self._token_at - self._base + 1, -1
        if len(self.stack) <= self._watched:
            self.keyed(data[start:stop] if start > 0 and stop - start < KEY_BYTES else b"")
        self._due = COLON
        return stop + 1

    # -- what a slice cut

    def _blank(self, data: bytes, at: int, end: int) -> int:
        """Nothing but white space may be left of the slice."""
        found = _BLANK.match(data, at, end)
        if found is None or found.end() != end:
            raise NotJsonError("Something follows the document." if self.whole else "")
        return end

    def _cut(self, data: bytes, at: int, end: int) -> int:
        """White space, and then maybe the beginning of a number or a word, is left."""
        blank = _BLANK.match(data, at, end)
        start = blank.end() if blank is not None else at
        if start == end:
            return end
        if _CUT.fullmatch(data, start, end) is None:
            self._end_number(data, start, end)
            raise NotJsonError
        if self._token_at < 0:
            self._token_at = self._base + start
        self._rest = _DIGITS.sub(b"1", data[start:end])
        return end

    def _end_number(self, data: bytes, start: int, end: int) -> None:
        """A number may be whole, with something behind it that may not be there."""
        number = _NUM_ALONE.match(data, start, end)
        if number is not None:
            self._ended(self._base + start, self._base + number.end())


def _valid_end(data: bytes) -> tuple[int, bool]:
    """Return how much of a slice is whole characters, and whether what follows can be none."""
    if data.isascii():
        return len(data), False
    try:
        return utf_8_decode(data, "strict", False)[1], False
    except UnicodeDecodeError as error:
        return error.start, True


def _clean_end(data: bytes, end: int) -> int:
    """Return where the last whole escape before `end` ends."""
    last = data.rfind(b"\\", max(end - 6, 0), end)
    if last < 0:
        return end
    run = last + 1 - len(data[: last + 1].rstrip(b"\\"))
    if run % 2 and (last + 1 == end or (data[last + 1] == 0x75 and end - last < 6)):
        return last
    return end


def unescaped(raw: bytes) -> str:
    """Return the text of a string, as it was taken between its quotes."""
    if b"\\" not in raw:
        return raw.decode()
    text: str = scanstring(raw.decode() + '"', 0, True)[0]
    return text


def _check_inside(text: bytes) -> None:
    """NotJsonError unless `text` may stand between quotes."""
    quoted = b'"%b"' % text
    try:
        orjson.loads(quoted)
    except orjson.JSONDecodeError:
        try:
            scanstring(quoted.decode(), 1, True)
        except ValueError as error:
            raise NotJsonError from error
