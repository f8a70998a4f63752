"""What routing needs of a body, and how it is read off the places where its fields stand.

The places are byte offsets, found by `lockgate.bodies.splices` in a body that is whole or by
`lockgate.bodies.stepwise` in one that arrives. The values are read from the bytes here, once.
"""

import json
from collections.abc import Callable
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed lacks it
from typing import ClassVar, Final, final

from lockgate.errors.kinds import RejectedError
from lockgate.value import Value

MAX_MODEL_CHARS: Final = 1024
MAX_FIELDS: Final = 1_000
"""Fields of the body itself; OpenAI's API has some forty."""
MAX_VALUES: Final = 250_000
"""Values at all depths: a parsed one takes up to a hundred bytes, however short it is written."""
MAX_CHOICES: Final = 1 << 20
"""A larger `n` is nobody's."""
_MODEL_BYTES: Final = 12 * MAX_MODEL_CHARS + 2
"""A character may be written as two escapes of six bytes."""
_NUMBER_BYTES: Final = 1_000
Edit = tuple[int, int, bytes]
"""(start, end, new bytes): what is to stand in a body between two byte offsets."""
Span = tuple[int, int]
Slice = Callable[[int, int], bytes]
"""Returns the bytes of a body between two offsets."""


@final
class Scan(Value):
    """What routing needs of a body.

    `model_span` is the byte span of the model's JSON string. `include_usage`: the client asks for
    usage in its stream. `usage_edit` (start, end, new bytes) asks for it; None where the client
    does not stream, or says itself whether it wants usage. `choices` is how many responses the body
    asks for (`n`): 1 where it says nothing, or nothing that is a positive integer. `end` is the
    offset of the body's last brace.
    """

    __match_args__: ClassVar = (
        "model",
        "model_span",
        "stream",
        "include_usage",
        "usage_edit",
        "choices",
        "end",
    )

    def __init__(  # noqa: PLR0913 - what is read of a body
        self,
        model: str,
        model_span: Span,
        *,
        stream: bool,
        include_usage: bool,
        usage_edit: Edit | None,
        choices: int = 1,
        end: int = -1,
    ) -> None:
        self.model: Final = model
        self.model_span: Final = model_span
        self.stream: Final = stream
        self.include_usage: Final = include_usage
        self.usage_edit: Final = usage_edit
        self.choices: Final = choices
        self.end: Final = end


@final
class Fields:
    """Where the fields that are read stand; `end` is the place of the body's last brace.

    `options`: those of `stream_options` where that is an object, `close` the place of its brace,
    `bare` whether nothing stands in it, `fault` what is wrong in it.
    """

    def __init__(self) -> None:
        self.top: dict[str, Span] = {}
        self.options: dict[str, Span] = {}
        self.end = -1
        self.close = -1
        self.bare = True
        self.fault: RejectedError | None = None


def between(pieces: list[bytes], start: int, stop: int) -> bytes:
    """Return the bytes between two offsets of a body in pieces."""
    out: list[bytes] = []
    base = 0
    for piece in pieces:
        if base >= stop:
            break
        after = base + len(piece)
        if after > start:
            out.append(piece[max(start - base, 0) : stop - base])
        base = after
    return out[0] if len(out) == 1 else b"".join(out)


def read(fields: Fields, body: Slice) -> Scan:
    """Return what the fields say; RejectedError names the first one that is not what it may be."""
    if "model" not in fields.top:
        raise RejectedError("missing_model", param="model")
    span = fields.top["model"]
    model = read_model(span, body)
    streaming = _boolean(fields.top, "stream", body)
    include_usage, edit = _usage(fields, body)
    return Scan(
        model,
        span,
        stream=streaming,
        include_usage=include_usage,
        usage_edit=edit if streaming else None,
        choices=_choices(fields.top, body),
        end=fields.end,
    )


def read_model(span: Span, body: Slice) -> str:
    """Return the model that stands there; RejectedError where it names none."""
    start, stop = span
    if body(start, start + 1) != b'"' or stop - start == 2:
        raise RejectedError("invalid_field", '"model" must be a string that names one.', "model")
    if stop - start <= _MODEL_BYTES:
        model: str = scanstring(body(start, stop).decode(), 1, True)[0]
        if len(model) <= MAX_MODEL_CHARS and model.isprintable():
            return model
    raise RejectedError("invalid_field", '"model" is not a model name.', "model")


def choices_of(n: object) -> int:
    """Return how many choices an `n` asks for. What is no positive integer is the upstream's."""
    if isinstance(n, bool) or not isinstance(n, int | float) or not 1 <= n <= MAX_CHOICES:
        return 1
    return int(n) if n == int(n) else 1


def _choices(top: dict[str, Span], body: Slice) -> int:
    if "n" not in top:
        return 1
    start, stop = top["n"]
    if stop - start > _NUMBER_BYTES or body(start, start + 1) not in _DIGITS:
        return 1
    return choices_of(json.loads(body(start, stop), parse_int=float))


def _boolean(fields: dict[str, Span], key: str, body: Slice) -> bool:
    start, stop = fields.get(key, (0, 0))
    text = body(start, min(stop, start + 6))
    if text not in _BOOLEANS:
        raise RejectedError("invalid_field", f'"{key}" must be true or false.', key)
    return text == b"true"


def _usage(fields: Fields, body: Slice) -> tuple[bool, Edit | None]:
    """Return the client's include_usage, and the edit that makes it true.

    There is none where the client says what it wants: true, false and null are its own.
    """
    if "stream_options" not in fields.top:
        return False, (fields.end, fields.end, USAGE_FIELD)
    start, _ = fields.top["stream_options"]
    first = body(start, start + 1)
    if first == b"n":
        return False, None
    if first != b"{":
        raise RejectedError(
            "invalid_field", '"stream_options" must be an object.', "stream_options"
        )
    if fields.fault is not None:
        raise fields.fault
    if "include_usage" in fields.options:
        return _boolean(fields.options, "include_usage", body), None
    close = fields.close
    return False, (close, close, (b"" if fields.bare else b",") + b'"include_usage":true')


_DIGITS: Final = frozenset(b"%d" % digit for digit in range(10))
_BOOLEANS: Final = frozenset({b"true", b"false", b"null", b""})
USAGE_FIELD: Final = b',"stream_options":{"include_usage":true}'
"""The longest of the edits that ask for usage."""
