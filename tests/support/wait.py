"""Waiting for what happens elsewhere: always with an end, and no longer than it takes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(
    holds: Callable[[], T],
    seconds: float = 10.0,
    what: str | Callable[[], str] = "it",
    every_s: float = 0.005,
) -> T:
    """Return what `holds` gives as soon as it is true; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > deadline:
            words = what if isinstance(what, str) else what()
            raise AssertionError(f"{words} did not happen in {seconds} s")
        time.sleep(every_s)
    return found


def steady(measure: Callable[[], T], for_s: float = 0.3, seconds: float = 30.0) -> T:
    """Return what `measure` gives once it has given the same for so long."""
    until = time.monotonic() + seconds
    last, since = measure(), time.monotonic()
    while time.monotonic() - since < for_s:
        assert time.monotonic() < until, f"it moves after {seconds} s still"
        time.sleep(for_s / 10)
        now = measure()
        if now != last:
            last, since = now, time.monotonic()
    return last


def let_pass(seconds: float) -> None:
    """Let time pass: for a deadline of the product's, or in which something must not happen.

    Where something has to happen, `eventually` waits no longer than it takes.
    """
    time.sleep(seconds)


def pace(seconds: float) -> None:
    """Take time as a scripted peer does between two things that it says."""
    time.sleep(seconds)
