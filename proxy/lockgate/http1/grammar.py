"""HTTP/1.1 heads as bytes: gates that hold before any parser's verdict counts, for both sides.

Facts (RFC 9112): lines end with CRLF and nothing else (2.2; a lone LF may be taken, and is not
here); no whitespace before a field's colon (5.1); no obs-fold (5.2); a bare CR is never data (2.2).
RFC 9110, section 5.5: a value is visible text, spaces and tabs.

Decisions: a head is judged when it is whole, but what can never become one is refused with the
first byte that shows it, so that a verdict does not depend on how the bytes came. `faulty_at` says
where that byte is. Values may have obs-text (0x80-0xFF); an upstream's go no further.
"""

import re
from typing import Any, Final

from lockgate.errors.codes import Code
from lockgate.errors.kinds import RejectedError
from lockgate.memo import BoundedMemo

MAX_HEAD_BYTES: Final = 32 * 1024
MAX_LINE_BYTES: Final = 8 * 1024
"""The start line; RFC 9112, section 3, wants at least 8,000."""
MAX_FIELDS: Final = 100
HEAD_END: Final = b"\r\n\r\n"

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE: Final = rb"[A-Z]+ [!-~]+ HTTP/1\.[01]\r\n"
_STATUS_LINE: Final = rb"HTTP/1\.[01] [1-5][0-9][0-9](?: [\t -~\x80-\xff]*)?\r\n"
_REQUEST: Final = re.compile(_REQUEST_LINE + rb"(?:" + _TOKEN + rb":[\t -~\x80-\xff]*\r\n)*\r\n\Z")
_RESPONSE: Final = re.compile(_STATUS_LINE + rb"(?:" + _TOKEN + rb":[\t -~\x80-\xff]*\r\n)*\r\n\Z")
_NEVER: Final = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LENGTH: Final = re.compile(rb"\r\n(?i:content-length):[ \t]*([0-9]+)[ \t]*\r\n")
_USUAL_LENGTHS: Final = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
"""As nearly everybody writes it; found in half the time that the pattern takes."""
_ZERO: Final = 0x30
_NINE: Final = 0x39
Fields = list[tuple[bytes, bytes]]
MEMO_BOUND: Final = 256
MEMO_KEY_BYTES: Final = 4 * 1024


def is_request_head(raw: bytes) -> bool:
    """Whether `raw`, up to and with its blank line, is a request's head and nothing else."""
    return _REQUEST.match(raw) is not None


def is_response_head(raw: bytes) -> bool:
    """Whether `raw`, up to and with its blank line, is a response's head and nothing else."""
    return _RESPONSE.match(raw) is not None


def prefix_fault(raw: bytes, searched: int = 0) -> Code | None:
    """Return the code of `errors.KINDS` that the beginning of a head has earned already.

    `raw` begins with the start line and may go on after the head. `searched` bytes of it were
    found good before. None: it may still become a head.
    """
    bad = _NEVER.search(raw, max(searched - 1, 0))
    faults: list[tuple[int, Code]] = []
    if bad is not None:
        faults.append((bad.start(), "bad_request"))
    line_end = raw.find(b"\r\n", 0, MAX_LINE_BYTES + 2)
    if line_end < 0 and len(raw) > MAX_LINE_BYTES + 1:
        faults.append((MAX_LINE_BYTES + 1, "uri_too_long"))
    if len(raw) > MAX_HEAD_BYTES:
        faults.append((MAX_HEAD_BYTES, "head_too_large"))
    return min(faults)[1] if faults else None


def fields_of(raw: bytes) -> Fields:
    """Return a good head's fields in order, names in lower case, values without outer spaces."""
    lines = raw[:-4].split(b"\r\n")
    if len(lines) - 1 > MAX_FIELDS:
        raise RejectedError("head_too_large", f"At most {MAX_FIELDS} header fields.")
    fields = []
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        fields.append((name.lower(), value.strip(b" \t")))
    return fields


def without_length(raw: bytes) -> tuple[bytes, int | None]:
    """Return `raw` with 0 for the digits of its first Content-Length, and their number.

    Heads of one peer differ in little else, so that is the key of a memo. A second length, or one
    that is not digits, stays in the key, where the gates refuse it. The 0 keeps a head whose length
    is empty from having the key of one whose length was taken out.
    """
    for usual in _USUAL_LENGTHS:
        before, found_usual, after = raw.partition(usual)  # compiled, half as slow as `find`
        if found_usual:
            length, digits = _number_at_start(after)
            if 0 < digits <= 18 and after[digits : digits + 2] == b"\r\n":
                return b"%b%b0%b" % (before, usual, after[digits:]), length
    found = _LENGTH.search(raw)
    if found is None:
        return raw, None
    start, end = found.span(1)
    if end - start > 18:
        return raw, None
    return raw[:start] + b"0" + raw[end:], int(found[1])


def _number_at_start(text: bytes) -> tuple[int, int]:
    """Return the number that `text` begins with, and how many digits it has, 19 at most."""
    number = digits = 0
    end = min(len(text), 19)
    while digits < end and _ZERO <= text[digits] <= _NINE:  # no iterator: compiled, it costs more
        number = number * 10 + text[digits] - _ZERO
        digits += 1
    return number, digits


def remember(memo: BoundedMemo[bytes, Any], key: bytes, head: object) -> None:
    """Keep `head` for the next one with the same key, unless that is long."""
    if len(key) <= MEMO_KEY_BYTES:
        memo.keep(key, head)


class SecondReader:
    """What llhttp reads of a head, to be compared with what we did."""

    def __init__(self) -> None:
        self.target = b""
        self.fields: Fields = []

    def on_url(self, part: bytes) -> None:
        """Collect the request target."""
        self.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect one field."""
        self.fields.append((name.lower(), value.strip(b" \t")))
