"""Model patterns: Go's `path.Match`, exactly (https://pkg.go.dev/path#Match).

``*`` is any run without ``/``, ``?`` one character that is not ``/``, ``[a-c]`` and ``[^a-c]`` one
character, which may be ``/``; a backslash takes the next character as it is. The whole name must
match; a malformed pattern is an error wherever it is malformed.

Go's matcher commits to the first place where the part after a star fits and never comes back to it.
So each such part but the last is an atomic group here, and the pattern becomes one regular
expression that cannot backtrack over more than one star.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from attrs import define

_STAR: Final = "[^/]*?"


class BadPatternError(ValueError):
    """The pattern is malformed, Go's ErrBadPattern."""


def check(pattern: str) -> str | None:
    """Return what is wrong with `pattern`, None when nothing is."""
    try:
        compile_glob(pattern)
    except BadPatternError as problem:
        return str(problem)
    return None


def escaped(name: str) -> str:
    """Return the pattern that matches `name` and nothing else."""
    return "".join(f"\\{char}" if char in "*?[\\" else char for char in name)


@lru_cache(maxsize=65536)
def compile_glob(pattern: str) -> Callable[[str], object]:
    """Return a test of names against `pattern`; BadPatternError when that is malformed."""
    return re.compile(_Reader(pattern).expression(), re.DOTALL).match


@define
class _Reader:
    text: str
    at: int = 0

    def expression(self) -> str:
        parts: list[str] = []
        while self.at < len(self.text):
            star = self._stars()
            chunk = self._chunk()
            last = self.at == len(self.text)
            if star and not chunk:
                parts.append("[^/]*")
            elif last:
                parts.append((_STAR if star else "") + chunk)
            else:
                parts.append(f"(?>{_STAR if star else ''}{chunk})")
        return "".join(parts) + r"\Z"

    def _stars(self) -> bool:
        start = self.at
        while self.text[self.at : self.at + 1] == "*":
            self.at += 1
        return self.at > start

    def _chunk(self) -> str:
        """Read up to the next star outside a class."""
        out: list[str] = []
        while self.at < len(self.text) and self.text[self.at] != "*":
            char = self._next()
            if char == "[":
                out.append(self._class())
            elif char == "?":
                out.append("[^/]")
            elif char == "\\":
                out.append(re.escape(self._next("a backslash ends the pattern")))
            else:
                out.append(re.escape(char))
        return "".join(out)

    def _next(self, missing: str = "it ends too early") -> str:
        if self.at >= len(self.text):
            raise BadPatternError(missing)
        self.at += 1
        return self.text[self.at - 1]

    def _class(self) -> str:
        negated = self.text[self.at : self.at + 1] == "^"
        self.at += negated
        ranges: list[str] = []
        while True:
            if self.text[self.at : self.at + 1] == "]" and ranges:
                self.at += 1
                break
            low = high = self._member()
            if self.text[self.at : self.at + 1] == "-":
                self.at += 1
                high = self._member()
            if low <= high:
                ranges.append(f"{_in_class(low)}-{_in_class(high)}")
            else:
                ranges.append("")  # an empty range is no error, and matches nothing
        inside = "".join(ranges)
        if not inside:
            return "." if negated else r"(?!)"
        return f"[{'^' if negated else ''}{inside}]"

    def _member(self) -> str:
        char = self._next("a character class is not closed")
        if char in "-]":
            raise BadPatternError(f"{char!r} stands in a character class without a backslash")
        if char == "\\":
            char = self._next("a backslash ends the pattern")
        if self.at >= len(self.text):
            raise BadPatternError("a character class is not closed")
        return char


def _in_class(char: str) -> str:
    return f"\\U{ord(char):08x}"
