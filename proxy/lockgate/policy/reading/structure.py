"""Builds the spec's types out of a tree, by the types themselves, and collects every refusal.

Not cattrs: its errors carry no lines, its unions are ours to write anyway, and it coerces where
this must refuse. A refusal is data; `suggestions` words it.
"""

import re
from collections.abc import Mapping as AbstractMapping
from typing import Any, Final, Literal, get_args, get_origin

import attrs

from lockgate.policy.loaded import nearest_line
from lockgate.policy.reading.document import Member, Node
from lockgate.policy.reading.nearest import nearest
from lockgate.policy.reading.paths import joined
from lockgate.policy.reading.problem import Kind, Refusal
from lockgate.policy.reading.unimplemented import BY_PATH, Row
from lockgate.policy.spec.fields import Bytes, Rate, Seconds, bare_kind, wire_name
from lockgate.policy.spec.units import parse_duration, parse_rate, parse_size

_INDEX: Final = re.compile(r"\[[0-9]+\]")
INVALID: Final = object()
"""Stands for a value that could not be built; its refusal is on the list."""


def _substitute(kind: Any) -> Any:
    """Return what stands in for a missing field, so that the rest can still be checked."""
    if attrs.has(kind):
        fields = attrs.fields(attrs.resolve_types(kind))
        needed = (field for field in fields if field.default is attrs.NOTHING)
        return kind(**{field.name: _substitute(field.type) for field in needed})
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if get_origin(kind) is AbstractMapping:
        return {}
    return () if get_origin(kind) is tuple else ""


class TooManyError(Exception):
    """There are more faults than one report holds."""


class Builder:
    """Builds values; `refusals` has what was wrong, `lines` the line of each path seen.

    `reported` holds the paths that need not be checked again: what was refused, and what a misspelt
    field was meant to be. `root` is the type at the top, for saying where a field belongs.
    """

    MOST: Final = 100
    """Refusals that are collected; a file with more is most likely not what it was taken for."""

    def __init__(self, root: Any = None) -> None:
        self.refusals: list[Refusal] = []
        self.lines: dict[str, int] = {}
        self.reported: set[str] = set()
        self.root = root

    def build(self, kind: Any, node: Node, path: str) -> Any:
        """Return `node` as a value of `kind`, or INVALID. TooManyError after MOST refusals.

        An object with faults inside is still built, with defaults or stand-ins in their place, so
        that everything that is wrong with a file is reported at once.
        """
        kind = bare_kind(kind)
        if node.line is not None:
            self.lines[path] = node.line
        if attrs.has(kind):
            return self._object(kind, node, path)
        if get_origin(kind) is tuple:
            return self._list(get_args(kind)[0], node, path)
        if get_origin(kind) is AbstractMapping:
            return self._mapping(get_args(kind)[1], node, path)
        if get_origin(kind) is Literal:
            return self._choice(get_args(kind), node, path)
        return self._scalar(kind, node, path)

    def line_of(self, path: str) -> int | None:
        """Return the line of `path`, or of the nearest thing around it."""
        return nearest_line(self.lines, path)

    def _refuse(
        self,
        kind: Kind,
        path: str,
        got: Node | Member,
        wanted: Any = None,
        choices: tuple[str, ...] = (),
    ) -> Any:
        """Put a refusal on the list; return INVALID."""
        if len(self.refusals) >= self.MOST:
            raise TooManyError
        self.refusals.append(Refusal(kind, path, got.line, got, wanted, choices))
        self.reported.add(path)
        return INVALID

    def _object(self, kind: Any, node: Node, path: str) -> Any:
        if not node.is_mapping:
            return self._refuse("not an object", path, node, kind)
        fields = {wire_name(f): f for f in attrs.fields(attrs.resolve_types(kind))}
        stated = {member.key for member in node.value}
        values: dict[str, Any] = {}
        for member in node.value:
            inner = joined(path, member.key)
            field = fields.get(member.key)
            if field is None:
                meant = self._unknown(member, inner, set(fields) - stated)
                if meant is not None:
                    values.setdefault(fields[meant].name, INVALID)
            elif member.node.value is None:
                values[field.name] = self._refuse("empty", inner, member, field.type)
            elif (row := _unimplemented(member.node.value, inner)) is not None:
                values[field.name] = self._refuse("not implemented", inner, member, row)
            else:
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
                self._refuse("missing", joined(path, name), node, field)
            good[field.name] = _substitute(field.type)
        return kind(**good)

    def _unknown(self, member: Member, path: str, known: set[str]) -> str | None:
        """Refuse an unknown field; return the one that was meant, None where no name is close."""
        meant = nearest(member.key, known)
        if meant is None:
            self._refuse("unknown field", path, member, self.root, tuple(sorted(known)))
        else:
            self.reported.add(path.removesuffix(member.key) + meant)
            self._refuse("misspelt field", path, member, meant)
        return meant

    def _list(self, kind: Any, node: Node, path: str) -> Any:
        if node.is_mapping or not isinstance(node.value, tuple):
            return self._refuse("not a list", path, node)
        items = [self.build(kind, item, f"{path}[{i}]") for i, item in enumerate(node.value)]
        # what is faulty keeps its place, so that what follows it keeps its number
        return tuple(_substitute(kind) if item is INVALID else item for item in items)

    def _mapping(self, kind: Any, node: Node, path: str) -> Any:
        if not node.is_mapping:
            return self._refuse("not a mapping", path, node)
        if kind is Any:
            return {m.key: plain(m.node) for m in node.value}
        built = {m.key: self.build(kind, m.node, f"{path}.{m.key}") for m in node.value}
        return {key: value for key, value in built.items() if value is not INVALID}

    def _choice(self, choices: tuple[Any, ...], node: Node, path: str) -> Any:
        if any(node.value == c and type(node.value) is type(c) for c in choices):
            return node.value
        names = tuple(_written(c) for c in choices if _unimplemented(c, path) is None)
        return self._refuse("not a choice", path, node, choices, names)

    def _scalar(self, kind: Any, node: Node, path: str) -> Any:
        value = node.value
        if kind in _PARSERS:
            return self._parsed(kind, node, path)
        if kind is str and not (isinstance(value, str) and value):
            return self._refuse("wrong type", path, node, kind)
        if kind is bool and not isinstance(value, bool):
            return self._refuse("wrong type", path, node, kind)
        if kind in {int, float}:
            wanted = int if kind is int else int | float
            if isinstance(value, bool) or not isinstance(value, wanted):
                return self._refuse("wrong type", path, node, kind)
            return kind(value)
        return value

    def _parsed(self, kind: Any, node: Node, path: str) -> Any:
        if kind is Seconds and not isinstance(node.value, str):
            return self._refuse("wrong type", path, node, kind)
        try:
            return kind(_PARSERS[kind](str(node.value)))
        except ValueError as problem:
            return self._refuse("wrong value", path, node, kind, (str(problem),))


_PARSERS: Final[dict[Any, Any]] = {Seconds: parse_duration, Bytes: parse_size, Rate: parse_rate}
"""How the text of each of these types is read; ValueError says what is wrong with it."""


def _unimplemented(value: Any, path: str) -> Row | None:
    """Return the row of a field that does not act in this version with this value."""
    row = BY_PATH.get(_INDEX.sub("[]", path))
    return row if row is not None and row.when(value) else None


def _written(choice: object) -> str:
    return str(choice).lower() if isinstance(choice, bool) else str(choice)


def plain(node: Node) -> Any:
    """Return a tree as plain Python data."""
    if node.is_mapping:
        return {member.key: plain(member.node) for member in node.value}
    if isinstance(node.value, tuple):
        return [plain(item) for item in node.value]
    return node.value
