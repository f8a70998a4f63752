"""A YAML or JSON text as a tree that knows its lines, and refuses what is ambiguous.

YAML is read with PyYAML's composer and YAML 1.2's core rules for plain scalars, so that ``off`` is
a string. Refused: duplicate keys, anchors, aliases and merge keys (one place, one meaning, and no
bomb of aliases), tags, keys that are not strings, more than one document.

JSON is first checked by the standard library, and then composed as YAML for its lines: strict
JSON has raw tabs only between tokens, where YAML wants spaces.
"""

import json
import re
from typing import Any, BinaryIO, Final

import yaml
from attrs import frozen

from lockgate.policy.reading.problem import PolicyRefusedError, Problem

MAX_BYTES: Final = 4 * 1024 * 1024
"""A ConfigMap holds one MiB; four leave room for comments."""
MAX_DEPTH: Final = 64
MAX_VALUES: Final = 250_000
"""Values in one text: ten times what the largest policy has, and a few hundred MiB as a tree."""
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+\Z")
_PAIR: Final = re.compile(
    r"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)
_LOADER: Final[Any] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@frozen
class Node:
    """A value with its line (from 1, None where it has none).

    `value` is None, a bool, an int, a float, a str, a tuple of nodes, or a tuple of `Member`.
    """

    value: Any
    line: int | None
    is_mapping: bool = False


@frozen
class Member:
    """One key of a mapping with its own line."""

    key: str
    line: int | None
    node: Node


class _RefusedError(Exception):
    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def parse(source: bytes, name: str) -> tuple[Node, ...]:
    """Return the documents in `source`; PolicyRefusedError names the place of what is wrong."""
    try:
        return _parse(source)
    except _RefusedError as refused:
        raise PolicyRefusedError(name, (refused.problem,)) from None


def bounded(file: BinaryIO) -> bytes:
    """Return what `file` holds: at most one byte more than `parse` takes, so that it can say so."""
    return file.read(MAX_BYTES + 1)


def _refuse(line: int | None, message: str, suggestion: str, path: str = "") -> _RefusedError:
    return _RefusedError(Problem(path, line, message, suggestion))


def _parse(source: bytes) -> tuple[Node, ...]:
    if len(source) > MAX_BYTES:
        raise _refuse(None, f"larger than {MAX_BYTES} bytes", "a policy fits a ConfigMap: 1 MiB")
    if source.startswith(b"\xef\xbb\xbf"):
        raise _refuse(1, "begins with a byte order mark", "save it as UTF-8 without one")
    try:
        text = source.decode()
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise _refuse(line, "is not UTF-8", "save it as UTF-8") from None
    is_json = text.lstrip()[:1] in {"{", "["} and _is_json(text)
    return _compose(_PAIR.sub(_joined, text.replace("\t", " ")) if is_json else text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text, object_pairs_hook=lambda _: None, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False  # flow-style YAML begins the same way: the composer judges it
    return True


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _compose(text: str) -> tuple[Node, ...]:
    try:
        _check_events(text)
        roots = list(yaml.compose_all(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        raise _syntax(text, error) from None
    except yaml.YAMLError as error:
        message = str(error).splitlines()[0]
        raise _refuse(None, f"is not YAML: {message}", "fix the syntax") from None
    return tuple(_node(root, "") for root in roots if root is not None)


def _syntax(text: str, error: yaml.MarkedYAMLError) -> _RefusedError:
    """Say what is wrong with the YAML, where, and where the thing began that did not end."""
    mark, began = error.problem_mark or error.context_mark, error.context_mark
    line = mark.line if mark else 0
    lines = text.splitlines()
    shown = lines[line] if line < len(lines) else ""
    if "\t" in shown[: len(shown) - len(shown.lstrip())]:
        return _refuse(line + 1, "is indented with a tab", "write spaces")
    if began and began.line < line:
        context = f"{error.context} that begins on line {began.line + 1}"
        suggestion = f"end it, or fix line {began.line + 1}"
        return _refuse(line + 1, f"is not YAML: {error.problem} {context}", suggestion)
    if re.search(r"(^|[\s\[{,])[*&!%@`]", shown):
        suggestion = 'put a text that begins with one of *&!%@` in quotes: `"*"`'
        return _refuse(line + 1, f"is not YAML: {error.problem}", suggestion)
    return _refuse(line + 1, f"is not YAML: {error.problem}", "fix the syntax there")


def _check_events(text: str) -> None:
    """Refuse anchors, aliases, tags and depth before anything recursive meets them."""
    depth = 0
    for values, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if values > MAX_VALUES:
            raise _refuse(None, f"has more than {MAX_VALUES} values", "is this a policy at all?")
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            suggestion = "write the value out; quote a leading * or &"
            raise _refuse(line, "uses an anchor or an alias", suggestion)
        tag = getattr(event, "tag", None)
        if tag:
            raise _refuse(line, f"uses the tag {tag!r}", "leave the tag out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _refuse(line, "is nested too deep", f"at most {MAX_DEPTH} levels")


def _node(node: yaml.Node, path: str) -> Node:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return Node(_members(node, path), line, is_mapping=True)
    if isinstance(node, yaml.SequenceNode):
        children = enumerate(node.value)
        return Node(tuple(_node(child, f"{path}[{n}]") for n, child in children), line)
    return Node(_scalar(node), line)


def _members(node: yaml.MappingNode, path: str) -> tuple[Member, ...]:
    members: dict[str, Member] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise _refuse(line, "has a key that is not a name", "write `name: value`", path)
        key = key_node.value
        inner = f"{path}.{key}" if path else key
        if key in members:
            first = members[key].line
            suggestion = f"keep line {first} or line {line}"
            raise _refuse(line, f"stands twice (first on line {first})", suggestion, inner)
        members[key] = Member(key, line, _node(value_node, inner))
    return tuple(members.values())


def _scalar(node: Any) -> Any:
    text: str = node.value
    if node.style:
        return text
    if text in {"", "~", "null", "Null", "NULL"}:
        return None
    if text in {"true", "True", "TRUE"}:
        return True
    if text in {"false", "False", "FALSE"}:
        return False
    if _INTEGER.match(text) and len(text) < 20:
        return int(text)
    return float(text) if _NUMBER.match(text) else text


def _joined(pair: re.Match[str]) -> str:
    """Return the one character that JSON escapes as a surrogate pair; YAML has no such pairs."""
    halves = pair[2].encode().decode("unicode_escape")
    return pair[1] + halves.encode("utf-16", "surrogatepass").decode("utf-16")


def from_plain(value: object) -> Node:
    """Return plain Python data (a Pulumi config object) as a tree without lines."""
    if isinstance(value, dict):
        members = tuple(Member(str(k), None, from_plain(v)) for k, v in value.items())
        return Node(members, None, is_mapping=True)
    if isinstance(value, list | tuple):
        return Node(tuple(from_plain(child) for child in value), None)
    return Node(value, None)
