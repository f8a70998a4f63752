"""JSON Schema (2020-12) of the spec, out of its types, for editors.

It says what a file may look like: fields, types, choices, notations. What a policy means (a backend
that a rule names, a label that is known) is the loader's business. A field that does not act in
this version is left out, so that an editor marks it as the loader refuses it.

Source: https://json-schema.org/draft/2020-12/schema.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, get_args, get_origin

import attrs

from lockgate.policy.reading.unimplemented import BY_PATH, Row
from lockgate.policy.spec.fields import Bytes, Rate, Seconds, bare_kind, doc_of, wire_name
from lockgate.policy.spec.model_router import RouterSpec

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]
_UNITS: Final[Mapping[Any, Schema]] = {
    Seconds: {
        "type": "string",
        "pattern": r"^\+?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$",
        "examples": ["30s", "1m30s"],
    },
    Bytes: {
        "type": ["string", "integer"],
        "pattern": r"^\d{1,12}([kMGT]|[KMGT]i)?$",
        "minimum": 0,
        "examples": ["256Mi"],
    },
    Rate: {
        "type": ["string", "integer"],
        "pattern": r"^(0|\d{1,9}(B|kB|MB|KiB|MiB)/s)$",
        "maximum": 0,
        "minimum": 0,
        "examples": ["1KiB/s"],
    },
}
_SCALARS: Final[Mapping[Any, Schema]] = {
    str: {"type": "string", "minLength": 1},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
}
Leaf = Callable[[Schema], Schema]


def policy_schema() -> Schema:
    """Return the schema of a policy file."""
    return {"$schema": DIALECT, "title": "A Lockgate policy", **schema_of(RouterSpec, "")}


def schema_of(kind: Any, path: str, leaf: Leaf = lambda schema: schema) -> Schema:
    """Return the schema of a type of the spec at `path`; `leaf` may widen that of each value."""
    kind = bare_kind(kind)
    if attrs.has(kind):
        return _object(kind, path, leaf)
    if get_origin(kind) is tuple:
        return {"type": "array", "items": schema_of(get_args(kind)[0], f"{path}[]", leaf)}
    if get_origin(kind) is Mapping:
        inner = get_args(kind)[1]
        values = True if inner is Any else schema_of(inner, f"{path}.*", leaf)
        return {"type": "object", "additionalProperties": values}
    if get_origin(kind) is Literal:
        row = BY_PATH.get(path)
        acting = [c for c in get_args(kind) if row is None or not row.when(c)]
        return leaf({"enum": acting})
    if kind in _UNITS:
        return leaf(dict(_UNITS[kind]))
    return leaf(dict(_SCALARS.get(kind, {})))


def _object(kind: Any, path: str, leaf: Leaf) -> Schema:
    properties: Schema = {}
    required = []
    for field in attrs.fields(attrs.resolve_types(kind)):
        name = wire_name(field)
        inner = f"{path}.{name}" if path else name
        row = BY_PATH.get(inner)
        if row is not None and _never_acts(row):
            continue
        schema = schema_of(field.type, inner, leaf)
        if bare_kind(field.type) is bool and row is not None:
            schema = {"const": not row.when(True)}
        properties[name] = {**schema, "description": doc_of(field)}
        default = _default(field)
        if default is not None:
            properties[name]["default"] = default
        if field.default is attrs.NOTHING:
            required.append(name)
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": required} if required else made


def _never_acts(row: Row) -> bool:
    return row.note == "any value"


def _default(field: "attrs.Attribute[Any]") -> Any:
    """Return the default as it would be written, None where there is nothing to show."""
    default: Any = field.default
    if default is attrs.NOTHING or attrs.has(type(default)):
        return None
    if bare_kind(field.type) in _UNITS or default in ((), {}):
        return None
    return list(default) if isinstance(default, tuple) else default
