"""Waiting for what happens elsewhere: always with an end, and no longer than it takes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LOOK_S = 0.005


def eventually(holds: Callable[[], T], seconds: float = 10.0, what: str = "it") -> T:
    """Return what `holds` gives as soon as it is true; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds} s"
        time.sleep(LOOK_S)
    return found
