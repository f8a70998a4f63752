"""Builds the spec's types out of a tree, by the types themselves, and collects every fault.

Not cattrs: its errors carry no lines, its unions are ours to write anyway, and it coerces where
this must refuse. What the author of a wrong file reads is half of what this is for.
"""

import difflib
import re
import types
from collections.abc import Mapping as AbstractMapping
from typing import Any, Final, Literal, Union, get_args, get_origin

import attrs

from proxy.policy.document import Member, Node
from proxy.policy.duration import parse_duration
from proxy.policy.fields import Bytes, Seconds, wire_name
from proxy.policy.problem import Problem
from proxy.policy.size import parse_size
from proxy.policy.unimplemented import BY_PATH

_INDEX: Final = re.compile(r"\[[0-9]+\]")
INVALID: Final = object()
"""Stands for a value that could not be built; its problem is on the list."""


def _substitute(kind: Any) -> Any:
    """Return what stands in for a missing field, so that the rest can still be checked."""
    if attrs.has(kind):
        fields = attrs.fields(attrs.resolve_types(kind))
        needed = (field for field in fields if field.default is attrs.NOTHING)
        return kind(**{field.name: _substitute(field.type) for field in needed})
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    return () if get_origin(kind) is tuple else ""


class Builder:
    """Builds values; `problems` has what was wrong, `lines` the line of each path seen."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.lines: dict[str, int | None] = {}

    def build(self, kind: Any, node: Node, path: str) -> Any:
        """Return `node` as a value of `kind`, or INVALID.

        An object with faults inside is still built, with defaults or stand-ins in their place, so
        that everything that is wrong with a file is told at once.
        """
        self.lines[path] = node.line
        if attrs.has(kind):
            return self._object(kind, node, path)
        origin = get_origin(kind)
        if origin in {Union, types.UnionType}:
            return self.build(_not_none(kind), node, path)
        if origin is tuple:
            return self._list(get_args(kind)[0], node, path)
        if origin is AbstractMapping:
            return self._mapping(get_args(kind)[1], node, path)
        return self._scalar(kind, node, path)

    def line_of(self, path: str) -> int | None:
        """Return the line of `path`, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path)

    def refuse(self, node: Node | Member, path: str, message: str, mend: str) -> Any:
        """Put a problem on the list; return INVALID."""
        self.problems.append(Problem(path, node.line, message, mend))
        return INVALID

    def _object(self, kind: Any, node: Node, path: str) -> Any:
        if not node.is_mapping:
            return self.refuse(node, path, f"is {_shown(node)}, not an object", "write fields")
        fields = {wire_name(f): f for f in attrs.fields(attrs.resolve_types(kind))}
        values: dict[str, Any] = {}
        for member in node.value:
            inner = f"{path}.{member.key}" if path else member.key
            field = fields.get(member.key)
            if field is None:
                self._unknown(member, inner, list(fields))
            elif member.node.value is None:
                self.refuse(member, inner, "is empty", "give it a value, or leave it out")
                values[field.name] = INVALID
            elif not self._unimplemented(member, inner):
                values[field.name] = self.build(field.type, member.node, inner)
        return self._made(kind, fields, values, node, path)

    def _made(
        self,
        kind: Any,
        fields: dict[str, Any],
        values: dict[str, Any],
        node: Node,
        path: str,
    ) -> Any:
        good = {name: value for name, value in values.items() if value is not INVALID}
        for name, field in fields.items():
            if field.default is not attrs.NOTHING or field.name in good:
                continue
            if field.name not in values:
                inner = f"{path}.{name}" if path else name
                self.refuse(node, inner, "is missing", f"add {name}")
            good[field.name] = _substitute(field.type)
        return kind(**good)

    def _unknown(self, member: Member, path: str, known: list[str]) -> None:
        close = difflib.get_close_matches(member.key, known, n=1)
        mend = f"did you mean {close[0]}?" if close else "one of " + ", ".join(sorted(known))
        self.refuse(member, path, "is not a field", mend)

    def _unimplemented(self, member: Member, path: str) -> bool:
        row = BY_PATH.get(_INDEX.sub("[]", path))
        if row is None or not row.when(member.node.value):
            return False
        shown = "" if row.note == "any value" else f" ({member.node.value})"
        self.refuse(
            member, path, f"{member.key}{shown} is not implemented in this version", row.mend
        )
        return True

    def _list(self, kind: Any, node: Node, path: str) -> Any:
        if node.is_mapping or not isinstance(node.value, tuple):
            return self.refuse(node, path, f"is {_shown(node)}, not a list", "write a list: [...]")
        items = [self.build(kind, item, f"{path}[{i}]") for i, item in enumerate(node.value)]
        return tuple(item for item in items if item is not INVALID)

    def _mapping(self, kind: Any, node: Node, path: str) -> Any:
        if not node.is_mapping:
            return self.refuse(node, path, f"is {_shown(node)}, not a mapping", "write key: value")
        if kind is Any:
            return {m.key: plain(m.node) for m in node.value}
        built = {m.key: self.build(kind, m.node, f"{path}.{m.key}") for m in node.value}
        return {key: value for key, value in built.items() if value is not INVALID}

    def _scalar(self, kind: Any, node: Node, path: str) -> Any:
        value = node.value
        if kind is Seconds:
            return self._duration(node, path)
        if get_origin(kind) is Literal:
            return self._choice(get_args(kind), node, path)
        if kind is str:
            good = isinstance(value, str) and bool(value)
            mend = f'quote it: "{value}"' if value not in {None, ""} else "write a text"
            return value if good else self._wrong(node, path, "a text", mend)
        if kind is bool:
            good = isinstance(value, bool)
            return (
                value if good else self._wrong(node, path, "true or false", "write true or false")
            )
        if kind is Bytes:
            return self._size(node, path)
        if kind is int:
            good = isinstance(value, int) and not isinstance(value, bool)
            return value if good else self._wrong(node, path, "a whole number", "write one")
        return value

    def _wrong(self, node: Node, path: str, wanted: str, mend: str) -> Any:
        return self.refuse(node, path, f"is {_shown(node)}, not {wanted}", mend)

    def _duration(self, node: Node, path: str) -> Any:
        if not isinstance(node.value, str):
            return self._wrong(node, path, "a duration", 'write one like "30s"')
        try:
            return Seconds(parse_duration(node.value))
        except ValueError as problem:
            return self.refuse(node, path, str(problem), 'write one like "30s" or "1m30s"')

    def _size(self, node: Node, path: str) -> Any:
        try:
            return Bytes(parse_size(str(node.value)))
        except ValueError as problem:
            return self.refuse(node, path, str(problem), 'write one like "96Mi"')

    def _choice(self, choices: tuple[Any, ...], node: Node, path: str) -> Any:
        if node.value in choices:
            return node.value
        listed = ", ".join(str(choice) for choice in choices)
        close = difflib.get_close_matches(str(node.value), [str(c) for c in choices], n=1)
        mend = f"did you mean {close[0]}?" if close else f"use one of {listed}"
        return self.refuse(node, path, f"{_shown(node)} is not one of {listed}", mend)


def _not_none(kind: Any) -> Any:
    return next(arg for arg in get_args(kind) if arg is not type(None))


def _shown(node: Node) -> str:
    """Say what a node is, for a message."""
    if node.is_mapping:
        return "an object"
    if isinstance(node.value, tuple):
        return "a list"
    if node.value is None:
        return "empty"
    if isinstance(node.value, bool):
        return str(node.value).lower()
    text = repr(node.value)
    return text if len(text) <= 60 else text[:57] + "..."


def plain(node: Node) -> Any:
    """Return a tree as plain Python data."""
    if node.is_mapping:
        return {member.key: plain(member.node) for member in node.value}
    if isinstance(node.value, tuple):
        return [plain(item) for item in node.value]
    return node.value
