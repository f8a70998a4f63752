"""The reference page of the spec, out of its types.

``python -m lockgate.policy.reading.reference`` writes it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

import attrs

from lockgate.policy.reading.document import MAX_BYTES, MAX_DEPTH, MAX_VALUES
from lockgate.policy.reading.load import MAX_JSON_BYTES, MOST
from lockgate.policy.reading.unimplemented import BY_PATH
from lockgate.policy.reading.validate import MOST_PATTERN
from lockgate.policy.spec.fields import Bytes, Rate, Seconds, bare_kind, doc_of, wire_name
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.units import format_duration, format_rate

HEAD = """\
# The spec, field by field

Generated from the types by `make docs`. A field marked *refused* is part of the schema and does not
act in this version: a policy that uses it does not load. `[]` stands for any index.

A file may have {bytes} bytes, {depth} levels and {values} values; no anchors, aliases, tags or
second document. A policy may have {rules} rules, {backends} backends, patterns of {pattern}
characters, and {json} bytes as policy.json, since it lies in a ConfigMap. What is larger is
refused with exit status 2.

| place | type | default | effect |
| --- | --- | --- | --- |
"""


def page() -> str:
    """Return the page as Markdown."""
    bounds = {
        "bytes": MAX_BYTES,
        "depth": MAX_DEPTH,
        "values": MAX_VALUES,
        "pattern": MOST_PATTERN,
        "json": MAX_JSON_BYTES,
        **MOST,
    }
    head = HEAD.format(**{name: f"{bound:,}" for name, bound in bounds.items()})
    return head + "".join(f"| {' | '.join(row)} |\n" for row in _rows(RouterSpec, ""))


def _rows(kind: Any, prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for field in attrs.fields(attrs.resolve_types(kind)):
        path = prefix + wire_name(field)
        inner, many = _inner(field.type)
        path += "[]" if many and attrs.has(inner) else ""
        row = BY_PATH.get(path.removesuffix("[]"))
        note = f" *Refused: {row.note}.*" if row else ""
        yield f"`{path}`", _shown(field.type), _default(field), doc_of(field) + note
        if attrs.has(inner) and not (row and row.note == "any value"):
            yield from _rows(inner, f"{path}.")


def _inner(kind: Any) -> tuple[Any, bool]:
    kind = bare_kind(kind)
    if get_origin(kind) is tuple:
        return get_args(kind)[0], True
    return kind, False


def _shown(kind: Any) -> str:
    kind = bare_kind(kind)
    names = {
        str: "text",
        int: "whole number",
        bool: "true, false",
        Seconds: "duration",
        Bytes: "size",
        Rate: "rate",
        float: "number",
    }
    if kind in names:
        return names[kind]
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return f"list of {_shown(get_args(kind)[0])}"
    if get_origin(kind) is Mapping:
        return "mapping"
    return "object"


def _default(field: "attrs.Attribute[Any]") -> str:
    if field.default is attrs.NOTHING:
        return "required"
    default: Any = field.default
    if default is None or attrs.has(type(default)) or default in ((), {}):
        return ""
    if field.type is Seconds:
        return f"`{format_duration(default)}`"
    if field.type is Rate:
        return f"`{format_rate(default)}`"
    if isinstance(default, tuple):
        return ", ".join(f"`{item}`" for item in default)
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - the page is its output
