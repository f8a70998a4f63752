"""How a spec field carries its documentation and its name on the wire.

The reference page, the loader and the writer all read the attrs types through this
module, so that a field stands once: its type, its default, its wire name, its effect.
"""

import types
from typing import Any, Final, NewType, Union, get_args, get_origin

import attrs

Seconds = NewType("Seconds", float)
"""A duration. On the wire it is Go's notation (``1m30s``), greater than zero."""

Bytes = NewType("Bytes", int)
"""A size. On the wire it is a Kubernetes quantity (``256Mi``)."""

Rate = NewType("Rate", int)
"""Bytes a second. On the wire it is a text like ``1KiB/s``; ``0`` is none."""

_DOC: Final = "lockgate.doc"
_WIRE: Final = "lockgate.wire"


def spec_field(doc: str, *, default: Any = attrs.NOTHING, wire: str | None = None) -> Any:
    """Declare one field of the spec: `doc` is its effect in a sentence."""
    return attrs.field(default=default, metadata={_DOC: doc, _WIRE: wire}, kw_only=True)


def wire_name(field: "attrs.Attribute[Any]") -> str:
    """Return the camelCase name under which `field` stands in YAML and JSON."""
    stated: str | None = field.metadata[_WIRE]
    if stated is not None:
        return stated
    head, *rest = field.name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def bare_kind(kind: Any) -> Any:
    """Return the type `kind` without its None."""
    if get_origin(kind) in {Union, types.UnionType}:
        return next(arg for arg in get_args(kind) if arg is not type(None))
    return kind


def doc_of(field: "attrs.Attribute[Any]") -> str:
    """Return the sentence that says what `field` does."""
    doc: str = field.metadata[_DOC]
    return doc
