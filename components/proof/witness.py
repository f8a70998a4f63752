"""Makes a model name that a pattern matches, to show a rule at work."""

from collections.abc import Iterator
from typing import Final

from proxy.policy.glob import compile_glob

PLAIN: Final = "some-model"
_FILLERS: Final = ("", "x", "4o", "example")


def names_for(patterns: tuple[str, ...]) -> Iterator[str]:
    """Yield model names that some pattern matches, simplest first; a plain one for no pattern."""
    if not patterns:
        yield PLAIN
    for pattern in patterns:
        yield from _names(pattern)


def _names(pattern: str) -> Iterator[str]:
    matches = compile_glob(pattern)
    seen = set()
    for filler in _FILLERS:
        name = _filled(pattern, filler)
        if name and name.isprintable() and name not in seen and matches(name):
            seen.add(name)
            yield name


def _filled(pattern: str, filler: str) -> str:
    out, at = [], 0
    while at < len(pattern):
        char = pattern[at]
        if char == "*":
            out.append(filler)
        elif char == "?":
            out.append("x")
        elif char == "\\":
            at += 1
            out.append(pattern[at])
        elif char == "[":
            end = _class_end(pattern, at)
            out.append(_member(pattern[at : end + 1]))
            at = end
        else:
            out.append(char)
        at += 1
    return "".join(out)


def _class_end(pattern: str, at: int) -> int:
    at += 2 if pattern[at + 1] == "^" else 1
    while pattern[at] != "]":
        at += 2 if pattern[at] == "\\" else 1
    return at


def _member(expression: str) -> str:
    """Return one character that a class matches."""
    matches = compile_glob(expression)
    candidates = expression.strip("[]^") + "abcdefghijklmnopqrstuvwxyz0123456789-._"
    return next((char for char in candidates if matches(char)), "")
