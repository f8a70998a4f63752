"""Builds the spec's types out of a tree, by the types themselves, and collects every fault.

Not cattrs: its errors carry no lines, its unions are ours to write anyway, and it coerces where
this must refuse. What the author of a wrong file reads is half of what this is for.
"""

import re
from collections.abc import Mapping as AbstractMapping
from typing import Any, Final, Literal, get_args, get_origin

import attrs

from lockgate.policy.loaded import nearest_line
from lockgate.policy.reading import suggestions
from lockgate.policy.reading.document import Member, Node
from lockgate.policy.reading.problem import Problem
from lockgate.policy.reading.unimplemented import BY_PATH
from lockgate.policy.spec.duration import parse_duration
from lockgate.policy.spec.fields import Bytes, Rate, Seconds, doc_of, wire_name
from lockgate.policy.spec.size import parse_rate, parse_size

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


class TooManyError(Exception):
    """There are more faults than anybody reads."""


class Builder:
    """Builds values; `problems` has what was wrong, `lines` the line of each path seen.

    `told` holds the paths that need not be judged again: what is faulty, and what a misspelt field
    was meant to be. `root` is the type at the top, for saying where a field stands.
    """

    MOST: Final = 100
    """So many faults are told; a file with more is most likely not what it was taken for."""

    def __init__(self, root: Any = None) -> None:
        self.problems: list[Problem] = []
        self.lines: dict[str, int] = {}
        self.told: set[str] = set()
        self.root = root

    def build(self, kind: Any, node: Node, path: str) -> Any:
        """Return `node` as a value of `kind`, or INVALID.

        An object with faults inside is still built, with defaults or stand-ins in their place, so
        that everything that is wrong with a file is told at once.
        """
        if node.line is not None:
            self.lines[path] = node.line
        if attrs.has(kind):
            return self._object(kind, node, path)
        origin = get_origin(kind)
        if suggestions.bare_kind(kind) is not kind:
            return self.build(suggestions.bare_kind(kind), node, path)
        if origin is tuple:
            return self._list(get_args(kind)[0], node, path)
        if origin is AbstractMapping:
            return self._mapping(get_args(kind)[1], node, path)
        return self._scalar(kind, node, path)

    def line_of(self, path: str) -> int | None:
        """Return the line of `path`, or of the nearest thing around it."""
        return nearest_line(self.lines, path)

    def refuse(self, node: Node | Member, path: str, message: str, instead: str) -> Any:
        """Put a problem on the list; return INVALID. TooManyError once there are too many."""
        self.add(Problem(path, node.line, message, instead))
        self.told.add(path)
        return INVALID

    def add(self, problem: Problem) -> None:
        """Put a problem on the list; TooManyError once there are too many."""
        if len(self.problems) >= self.MOST:
            raise TooManyError
        self.problems.append(problem)

    def _object(self, kind: Any, node: Node, path: str) -> Any:
        if not node.is_mapping:
            return self._no_object(kind, node, path)
        fields = {wire_name(f): f for f in attrs.fields(attrs.resolve_types(kind))}
        stated = {member.key for member in node.value}
        values: dict[str, Any] = {}
        for member in node.value:
            inner = f"{path}.{member.key}" if path else member.key
            field = fields.get(member.key)
            if field is None:
                close = self._unknown(member, inner, set(fields) - stated)
                if close is not None:
                    values.setdefault(fields[close].name, INVALID)
            elif member.node.value is None:
                shown = suggestions.write(inner, suggestions.example(field.type, member.key))
                self.refuse(member, inner, "is empty", f"{shown}, or leave it out")
                values[field.name] = INVALID
            elif self._unimplemented(member, inner):
                values[field.name] = INVALID
            else:
                values[field.name] = self.build(field.type, member.node, inner)
        return self._made(kind, fields, values, node, path)

    def _no_object(self, kind: Any, node: Node, path: str) -> Any:
        whole = suggestions.wrapped(kind, node) or suggestions.example(kind, "")
        shown = (
            suggestions.write(path, whole)
            if path
            else "write `backends:` and what a policy is made of"
        )
        return self.refuse(node, path, f"is {_shown(node)}, not an object", shown)

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
                self.refuse(
                    node, inner, "is missing", suggestions.missing(field.type, name, doc_of(field))
                )
            good[field.name] = _substitute(field.type)
        return kind(**good)

    def _unknown(self, member: Member, path: str, known: set[str]) -> str | None:
        """Refuse a field that is none; return the one that was meant, None when nobody can tell."""
        close = suggestions.nearest(member.key, known)
        if close is not None:
            meant = path.removesuffix(member.key) + close
            self.told.add(meant)
            secret = close == "credentialsSecretRef"
            block = member.node.line != member.line
            line = (
                suggestions.renamed(close)
                if block
                else suggestions.write(meant, suggestions.flow(member.node))
            )
            line = suggestions.write(meant, "{ name: NAME }") if secret else line
            self.refuse(member, path, "is not a field", f"did you mean {close}? {line}")
            return close
        place = suggestions.place_of(member.key, self.root) if self.root else None
        if place is not None:
            instead = f"{member.key} stands at {place}: move it there"
        else:
            instead = "leave it out, or write one of " + ", ".join(sorted(known))
        self.refuse(member, path, "is not a field", instead)
        return None

    def _unimplemented(self, member: Member, path: str) -> bool:
        row = BY_PATH.get(_INDEX.sub("[]", path))
        if row is None or not row.when(member.node.value):
            return False
        shown = "" if row.note == "any value" else f" ({member.node.value})"
        self.refuse(
            member, path, f"{member.key}{shown} is not implemented in this version", row.suggestion
        )
        return True

    def _list(self, kind: Any, node: Node, path: str) -> Any:
        if node.is_mapping or not isinstance(node.value, tuple):
            shown = "[]" if node.value is None else f"[{suggestions.flow(node)}]"
            return self.refuse(
                node, path, f"is {_shown(node)}, not a list", suggestions.write(path, shown)
            )
        items = [self.build(kind, item, f"{path}[{i}]") for i, item in enumerate(node.value)]
        # what is faulty keeps its place, so that what follows it keeps its number
        return tuple(_substitute(kind) if item is INVALID else item for item in items)

    def _mapping(self, kind: Any, node: Node, path: str) -> Any:
        if not node.is_mapping:
            shown = suggestions.write(path, "{ KEY: VALUE }")
            return self.refuse(node, path, f"is {_shown(node)}, not a mapping", shown)
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
            quoted = (
                f'"{suggestions.flow(node)}"' if isinstance(value, bool | int | float) else "TEXT"
            )
            return value if good else self._wrong(node, path, "a text", quoted)
        if kind is bool:
            meant = "false" if str(value).lower() in {"false", "no", "off", "0"} else "true"
            return (
                value
                if isinstance(value, bool)
                else self._wrong(node, path, "true or false", meant)
            )
        if kind is Bytes:
            return self._size(node, path)
        if kind is Rate:
            return self._rate(node, path)
        if kind is float:
            good = isinstance(value, int | float) and not isinstance(value, bool)
            return float(value) if good else self._wrong(node, path, "a number", "0.5")
        if kind is int:
            good = isinstance(value, int) and not isinstance(value, bool)
            meant = str(value) if isinstance(value, str) and value.isdecimal() else "1"
            return value if good else self._wrong(node, path, "a whole number", meant)
        return value

    def _wrong(self, node: Node, path: str, wanted: str, instead: str) -> Any:
        return self.refuse(
            node, path, f"is {_shown(node)}, not {wanted}", suggestions.write(path, instead)
        )

    def _duration(self, node: Node, path: str) -> Any:
        if not isinstance(node.value, str):
            return self._wrong(node, path, "a duration", suggestions.duration(node.value))
        try:
            return Seconds(parse_duration(node.value))
        except ValueError as problem:
            shown = suggestions.write(path, suggestions.duration(node.value))
            return self.refuse(node, path, str(problem), shown)

    def _size(self, node: Node, path: str) -> Any:
        try:
            return Bytes(parse_size(str(node.value)))
        except ValueError as problem:
            return self.refuse(
                node, path, str(problem), suggestions.write(path, suggestions.size(node.value))
            )

    def _rate(self, node: Node, path: str) -> Any:
        try:
            return Rate(parse_rate(str(node.value)))
        except ValueError as problem:
            instead = f"{suggestions.write(path, suggestions.rate(node.value))}, or 0 for none"
            return self.refuse(node, path, str(problem), instead)

    def _choice(self, choices: tuple[Any, ...], node: Node, path: str) -> Any:
        if any(node.value == c and type(node.value) is type(c) for c in choices):
            return node.value
        row = BY_PATH.get(_INDEX.sub("[]", path))
        names = [_written(c) for c in choices if row is None or not row.when(c)]
        close = suggestions.nearest(str(node.value), names)
        asked = f"did you mean {close}? " if close else ""
        listed = ", ".join(names)
        shown = asked + suggestions.write(path, *([close] if close else names))
        return self.refuse(node, path, f"{_shown(node)} is not one of {listed}", shown)


def _written(choice: object) -> str:
    return str(choice).lower() if isinstance(choice, bool) else str(choice)


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
