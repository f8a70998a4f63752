r"""Reads the few fields of a request body that routing needs, and makes the two splices.

The bytes inspected are the bytes sent: nothing is re-marshalled. So each key that is read must
stand once and in its plain spelling, else a parser further up could read another value.

There are three ways to one verdict, held together by property tests:
- `_glance`: where ``"model"`` stands once in the bytes and no ``\u`` does, no second spelling of
  the key can exist, so a parse and two memchr scans are enough. Most bodies pass here.
- `_walk`: the top level is walked with the standard library's C scanner, which gives the place of
  every key and value. A `str` index is a byte index while the body is ASCII; otherwise it is
  translated.
- `lockgate.bodies.stepwise`: for a body that is large, or that has many values or deep ones, which
  would come to far more memory than it has bytes.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import orjson

from lockgate.bodies.keys import OPTION_KEYS, TOP_KEYS, USUAL_KEYS, check_key, is_harmless
from lockgate.bodies.scan import (
    MAX_FIELDS,
    MAX_MODEL_CHARS,
    MAX_VALUES,
    USAGE_FIELD,
    Edit,
    Fields,
    Scan,
    choices_of,
    read,
)
from lockgate.bodies.stepwise import BodyReader, too_many_fields
from lockgate.errors.kinds import RejectedError

WHOLE_BYTES: Final = 1 << 20
"""A larger body is read in steps."""
_FEW_OPENINGS: Final = 400
"""So many cannot bring Python's own scanner near its limit."""
_SPACE: Final = " \t\n\r"
_BRACE: Final = 0x7D
_BACKSLASH: Final = 0x5C
_Field = tuple[Any, int, int]


def _constant(name: str) -> Any:
    raise ValueError(name)


# integers become floats: a number of 5,000 digits is the client's own affair
_decode: Final = json.JSONDecoder(parse_constant=_constant, parse_int=float).raw_decode
_ESCAPED: Final = re.compile(rb"\\u")  # finds two bytes twice as fast as `in` does
_MODEL: Final = re.compile(rb'"model"[ \t\n\r]*:[ \t\n\r]*("[^"\\]*")')


def scan(body: bytes) -> Scan:
    """Read `body`; RejectedError says what is wrong with it."""
    size = len(body)
    if size <= WHOLE_BYTES and (size <= MAX_VALUES or _separators(body) <= MAX_VALUES):
        found = _glance(body)
        if found is not None:
            return found
        if body.count(b"[") + body.count(b"{") <= _FEW_OPENINGS:
            return walk(body)
    reader = BodyReader()
    reader.take(body)
    return reader.finish(lambda start, stop: body[start:stop])


def _separators(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _glance(body: bytes) -> Scan | None:
    """Return the scan of a plain body; None for whatever needs a closer look."""
    found = _MODEL.search(body)
    if found is None:
        return None
    start, stop = found.span(1)
    if body.count(b'"model"') != 1:
        return None
    if _BACKSLASH in body and _ESCAPED.search(body) is not None:
        return None
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if type(document) is not dict or len(document) > MAX_FIELDS:
        return None
    if not USUAL_KEYS.issuperset(document) and not all(map(is_harmless, document)):
        return None
    model, stream = document.get("model"), document.get("stream", False)
    if type(model) is not str or type(stream) is not bool:
        return None
    if not model or len(model) > MAX_MODEL_CHARS or not model.isprintable():
        return None
    if ("stream" in document and body.count(b'"stream"') != 1) or (
        "n" in document and (body.count(b'"n"') != 1 or type(document["n"]) is float)
    ):
        return None
    end = _last_brace(body)
    edit = (end, end, USAGE_FIELD) if stream else None
    return Scan(
        model,
        (start, stop),
        stream=stream,
        include_usage=False,
        usage_edit=edit,
        choices=choices_of(document["n"]) if "n" in document else 1,
        end=end,
    )


def _last_brace(body: bytes) -> int:
    last = len(body) - 1
    return last if body[last] == _BRACE else body.rindex(b"}")


def walk(body: bytes) -> Scan:
    """Read `body` key by key; RejectedError says what is wrong with it."""
    if not body:
        raise RejectedError("invalid_json", "There is no body.")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        with suppress(ValueError, IndexError):  # what stands before it may be refused already
            _walk_all(body, body[: error.start].decode() + "\0")
        raise RejectedError("invalid_json", "It is not UTF-8.") from error
    try:
        fields = _walk_all(body, text)
    except (ValueError, RecursionError, IndexError) as error:
        raise RejectedError("invalid_json", str(error)) from error
    return read(fields, lambda start, stop: body[start:stop])


def _walk_all(body: bytes, text: str) -> Fields:
    at = _skip(text, 0)
    if text[at] != "{":
        _, end = _decode(text, at)
        if _skip(text, end) == len(text):
            raise RejectedError("not_an_object")
        raise ValueError
    found: dict[str, _Field] = {}
    end = _walk(text, at, TOP_KEYS, found)
    if _skip(text, end + 1) != len(text):
        raise ValueError("Something follows the document.")
    fields, place = Fields(), _places(body, text)
    fields.end = place(end)
    fields.top = {key: (place(start), place(stop)) for key, (_, start, stop) in found.items()}
    options = found.get("stream_options")
    if options is not None and isinstance(options[0], dict):
        _walk_options(fields, text, options, place)
    return fields


def _walk_options(fields: Fields, text: str, options: _Field, place: Callable[[int], int]) -> None:
    value, start, _ = options
    inner: dict[str, _Field] = {}
    try:
        fields.close = place(_walk(text, start, OPTION_KEYS, inner))
    except RejectedError as fault:
        fields.fault = fault
    fields.bare = not value
    fields.options = {key: (place(at), place(stop)) for key, (_, at, stop) in inner.items()}


def splices(
    scanned: Scan, model: str | None, *, include_usage: bool, prefill: Edit | None = None
) -> tuple[tuple[Edit, ...], tuple[str, ...]]:
    """Return the edits that put `model` and `include_usage` into a body, and their names.

    `model` None leaves the client's. `prefill` is the one edit more that `recovery: resume` may
    make. Nothing else of the bytes changes.
    """
    edits: list[Edit] = []
    names: tuple[str, ...] = ()
    if prefill is not None:
        edits.append(prefill)
        names = ("messages",)
    if model is not None and model != scanned.model:
        start, end = scanned.model_span
        edits.append((start, end, orjson.dumps(model)))
        names += ("model",)
    if include_usage and scanned.usage_edit is not None:
        edits.append(scanned.usage_edit)
        names += ("stream_options.include_usage",)
    if len(edits) > 1:
        edits.sort()
    return tuple(edits), names


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in _SPACE and at < len(text):
        at += 1
    return at


def _walk(text: str, at: int, wanted: frozenset[str], fields: dict[str, _Field]) -> int:
    """Walk the object at `at`; put the wanted fields as (value, start, end) into `fields`.

    Returns the place of its ``}``. ValueError or IndexError where it is not whole, or not JSON.
    """
    if text[at] != "{":
        raise ValueError
    at = _skip(text, at + 1)
    if text[at] == "}":
        return at
    for _ in range(MAX_FIELDS):
        if text[at] != '"':
            raise ValueError
        key, after = _decode(text, at)
        plain = after - at == len(key) + 2
        at = _skip(text, after)
        if text[at] != ":":
            raise ValueError
        start = _skip(text, at + 1)
        value, at = _decode(text, start)
        if check_key(key, wanted, plain=plain, again=key in fields):
            fields[key] = (value, start, at)
        at = _skip(text, at)
        if text[at] == "}":
            return at
        if text[at] != ",":
            raise ValueError
        at = _skip(text, at + 1)
    raise too_many_fields()


def _places(body: bytes, text: str) -> Callable[[int], int]:
    """Return what turns a `str` index into a byte offset."""
    if len(text) == len(body):
        return lambda index: index
    return lambda index: len(text[:index].encode())
