r"""Reads the few fields of a request body that routing needs, and makes the two splices.

The bytes inspected are the bytes sent: nothing is re-marshalled. So each key that is read must
stand once and in its plain spelling, else a parser further up could read another value.

There are two ways to one verdict, held together by a property test:
- `_glance`: where ``"model"`` stands once in the bytes and no ``\u`` does, no second spelling of
  the key can exist, so a parse and two memchr scans are enough. Most bodies pass here.
- `_walk`: the top level is walked with the standard library's C scanner, which gives the place of
  every key and value. A `str` index is a byte index while the body is ASCII; otherwise it is
  translated.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, Final, final

import orjson

from proxy.exchange.errors import RejectedError
from proxy.exchange.keys import OPTION_KEYS, TOP_KEYS, USUAL_KEYS, check_key, is_harmless
from proxy.exchange.value import Value

MAX_MODEL_CHARS: Final = 1024
MAX_FIELDS: Final = 1_000
"""Fields of the body itself; OpenAI's API has some forty."""
MAX_VALUES: Final = 250_000
"""Values at all depths: a parsed one takes up to a hundred bytes, however short it is written."""
_FEW_BYTES: Final = 1 << 20
"""A body of this size cannot hold enough values to matter."""
MAX_CHOICES: Final = 1 << 20
"""A larger `n` is nobody's."""
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+', re.DOTALL)
_SPACE: Final = " \t\n\r"
_Field = tuple[Any, int, int]
Edit = tuple[int, int, bytes]
"""(start, end, new bytes): what is to stand in a body between two byte offsets."""


def _constant(name: str) -> Any:
    raise ValueError(name)


# integers become floats: a number of 5,000 digits is the caller's own affair
_decode: Final = json.JSONDecoder(parse_constant=_constant, parse_int=float).raw_decode
_ESCAPED: Final = re.compile(rb"\\u")  # finds two bytes twice as fast as `in` does
_MODEL: Final = re.compile(rb'"model"[ \t\n\r]*:[ \t\n\r]*("[^"\\]*")')


@final
class Scan(Value):
    """What routing needs of a body.

    `model_span` is the byte span of the model's JSON string. `include_usage`: the caller asks for
    usage in its stream. `usage_edit` (start, end, new bytes) asks for it; None where the caller
    does not stream, or says itself whether it wants usage. `choices` is how many answers the body
    asks for (`n`): 1 where it says nothing, or nothing that is a positive integer.
    """

    __match_args__: ClassVar = (
        "model",
        "model_span",
        "stream",
        "include_usage",
        "usage_edit",
        "choices",
    )

    def __init__(  # noqa: PLR0913 - what is read of a body
        self,
        model: str,
        model_span: tuple[int, int],
        *,
        stream: bool,
        include_usage: bool,
        usage_edit: Edit | None,
        choices: int = 1,
    ) -> None:
        self.model: Final = model
        self.model_span: Final = model_span
        self.stream: Final = stream
        self.include_usage: Final = include_usage
        self.usage_edit: Final = usage_edit
        self.choices: Final = choices


def scan(body: bytes) -> Scan:
    """Read `body`; RejectedError says what is wrong with it."""
    check_values(body)
    return _glance(body) or walk(body)


def check_values(body: bytes) -> None:
    """Refuse a body that would come to far more memory than it has bytes; RejectedError."""
    if len(body) <= _FEW_BYTES or _separators(body) <= MAX_VALUES:
        return
    if _separators(_STRING.sub(b"", body)) > MAX_VALUES:
        raise RejectedError("too_many_values", f"At most {MAX_VALUES} at all depths.")


def _separators(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _glance(body: bytes) -> Scan | None:
    """Return the scan of a plain body; None for whatever needs a closer look."""
    at = body.find(b'"model"')
    if at < 0 or body.find(b'"model"', at + 7) >= 0:
        return None
    if body.find(b"\\") >= 0 and _ESCAPED.search(body) is not None:
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
    found = _MODEL.match(body, at)
    if found is None or type(model) is not str or type(stream) is not bool:
        return None
    if not model or len(model) > MAX_MODEL_CHARS or not model.isprintable():
        return None
    if ("stream" in document and body.count(b'"stream"') != 1) or (
        "n" in document and body.count(b'"n"') != 1
    ):
        return None
    end = body.rindex(b"}")
    edit = (end, end, b',"stream_options":{"include_usage":true}') if stream else None
    return Scan(
        model,
        found.span(1),
        stream=stream,
        include_usage=False,
        usage_edit=edit,
        choices=_choices(document["n"]) if "n" in document else 1,
    )


def walk(body: bytes) -> Scan:
    """Read `body` key by key; RejectedError says what is wrong with it."""
    if not body:
        raise RejectedError("invalid_json", "There is no body.")
    try:
        text = body.decode()
        at = _skip(text, 0)
        if text[at] != "{":
            _decode(text, at)
            raise RejectedError("not_an_object")
        fields: dict[str, _Field] = {}
        end = _walk(text, at, TOP_KEYS, fields)
        trailing = _skip(text, end + 1) != len(text)
    except UnicodeDecodeError as error:
        raise RejectedError("invalid_json", "It is not UTF-8.") from error
    except (ValueError, RecursionError, IndexError) as error:
        raise RejectedError("invalid_json") from error
    if trailing:
        raise RejectedError("invalid_json", "Something follows the object.")
    return _read(body, text, fields, end)


def read_ahead(prefix: bytes, text: str) -> tuple[str, tuple[int, int]] | None:
    """Return the model and its byte span as the beginning of a body shows them; None before that.

    `text` is `prefix` decoded, but for a character that is not whole. RejectedError when it is
    certain already that the body is refused. All else is for `scan` of the whole body to find.
    """
    check_values(prefix)
    fields: dict[str, _Field] = {}
    with suppress(ValueError, RecursionError, IndexError):  # not whole, or not JSON
        _walk(text, _skip(text, 0), TOP_KEYS, fields)
    if "model" not in fields:
        return None
    model, start, stop = fields["model"]
    _check_model(model)
    place = _places(prefix, text)
    return model, (place(start), place(stop))


def splices(
    scanned: Scan, model: str | None, *, include_usage: bool, prefill: Edit | None = None
) -> tuple[tuple[Edit, ...], tuple[str, ...]]:
    """Return the edits that put `model` and `include_usage` into a body, and their names.

    `model` None leaves the caller's. `prefill` is the one edit more that `recovery: resume` may
    make. Nothing else of the bytes changes.
    """
    edits: list[Edit] = []
    names: tuple[str, ...] = ()
    if prefill is not None:
        edits.append(prefill)
        names = ("messages",)
    if model is not None and model != scanned.model:
        edits.append((*scanned.model_span, orjson.dumps(model)))
        names += ("model",)
    if include_usage and scanned.usage_edit is not None:
        edits.append(scanned.usage_edit)
        names += ("stream_options.include_usage",)
    if len(edits) > 1:
        edits.sort()
    return tuple(edits), names


def last_of_messages(body: bytes) -> int | None:
    """Return the byte offset behind the last of `messages`, where another one may be put.

    None where there is none, or the last one is the assistant's already. `body` was scanned before.
    """
    text = body.decode()
    fields: dict[str, _Field] = {}
    _walk(text, _skip(text, 0), frozenset({"messages"}), fields)
    if "messages" not in fields:
        return None
    messages, _, end = fields["messages"]
    if not isinstance(messages, list) or not messages or not isinstance(messages[-1], dict):
        return None
    if messages[-1].get("role") == "assistant":
        return None
    return _places(body, text)(end - 1)


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in _SPACE and at < len(text):
        at += 1
    return at


def _walk(text: str, at: int, wanted: frozenset[str], fields: dict[str, _Field]) -> int:
    """Walk the object at `at`; put the wanted fields as (value, start, end) into `fields`.

    Returns the place of its ``}``. ValueError or IndexError where it is not whole, or not JSON.
    """
    if text[at] != "{":
        raise ValueError("an object is missing")
    at = _skip(text, at + 1)
    if text[at] == "}":
        return at
    for _ in range(MAX_FIELDS):
        if text[at] != '"':
            raise ValueError("a key is missing")
        key, after = _decode(text, at)
        plain = after - at == len(key) + 2
        at = _skip(text, after)
        if text[at] != ":":
            raise ValueError("a colon is missing")
        start = _skip(text, at + 1)
        value, at = _decode(text, start)
        if check_key(key, wanted, plain=plain, again=key in fields):
            fields[key] = (value, start, at)
        at = _skip(text, at)
        if text[at] == "}":
            return at
        if text[at] != ",":
            raise ValueError("a comma is missing")
        at = _skip(text, at + 1)
    raise RejectedError(
        "too_many_values", f"At most {MAX_FIELDS} fields in an object that is read."
    )


def _read(body: bytes, text: str, fields: dict[str, _Field], end: int) -> Scan:
    if "model" not in fields:
        raise RejectedError("missing_model", param="model")
    model, start, stop = fields["model"]
    _check_model(model)
    streaming = _boolean(fields, "stream")
    include_usage, edit = _usage(text, fields.get("stream_options"), end)
    place = _places(body, text)
    return Scan(
        model=model,
        model_span=(place(start), place(stop)),
        stream=streaming,
        include_usage=include_usage,
        usage_edit=(place(edit[0]), place(edit[1]), edit[2]) if streaming and edit else None,
        choices=_choices(fields["n"][0]) if "n" in fields else 1,
    )


def _places(body: bytes, text: str) -> Callable[[int], int]:
    """Return what turns a `str` index into a byte offset."""
    if len(text) == len(body):
        return lambda index: index
    return lambda index: len(text[:index].encode())


def _check_model(model: object) -> None:
    if not isinstance(model, str) or not model:
        raise RejectedError("invalid_field", '"model" must be a string that names one.', "model")
    if len(model) > MAX_MODEL_CHARS or not model.isprintable():
        raise RejectedError("invalid_field", '"model" is not a model name.', "model")


def _boolean(fields: dict[str, _Field], key: str) -> bool:
    value = fields[key][0] if key in fields else None
    if value is not None and not isinstance(value, bool):
        raise RejectedError("invalid_field", f'"{key}" must be true or false.', key)
    return bool(value)


def _choices(n: object) -> int:
    """Return how many choices an `n` asks for. What is no positive integer is the upstream's."""
    if isinstance(n, bool) or not isinstance(n, int | float) or not 1 <= n <= MAX_CHOICES:
        return 1
    return int(n) if n == int(n) else 1


def _usage(text: str, options: _Field | None, end: int) -> tuple[bool, Edit | None]:
    """Return the caller's include_usage, and the edit (in `str` places) that makes it true.

    There is none where the caller says what it wants: true, false and null are its own.
    """
    if options is None:
        return False, (end, end, b',"stream_options":{"include_usage":true}')
    value, start, _ = options
    if value is None:
        return False, None
    if not isinstance(value, dict):
        raise RejectedError(
            "invalid_field", '"stream_options" must be an object.', "stream_options"
        )
    inner: dict[str, _Field] = {}
    close = _walk(text, start, OPTION_KEYS, inner)
    if "include_usage" in inner:
        return _boolean(inner, "include_usage"), None
    return False, (close, close, (b"," if value else b"") + b'"include_usage":true')
