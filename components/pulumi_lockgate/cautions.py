"""Warnings of a program: among the engine's diagnostics, or among the lines of a plan."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import pulumi

_KEPT: Final[ContextVar[list[str] | None]] = ContextVar("cautions", default=None)


def caution(line: str) -> None:
    """Warn of something that the program may do all the same."""
    kept = _KEPT.get()
    if kept is None:
        pulumi.log.warn(line)
    elif line not in kept:
        kept.append(line)


@contextmanager
def cautions_kept() -> Iterator[list[str]]:
    """Give a list of every warning in the block, none of which is logged."""
    found: list[str] = []
    token = _KEPT.set(found)
    try:
        yield found
    finally:
        _KEPT.reset(token)
