"""What a readiness probe is told: each check with its state, and whether the proxy is ready.

An alarm does not make it unready: a backend without its key is no candidate, and the others serve.
"""

from collections.abc import Iterable
from typing import Final

from attrs import frozen

ALARM: Final = "[!] "
"""How the line of an alarm begins, which a supervisor passes on."""


@frozen
class Check:
    """One thing that was looked at: `problem` is None where it is as it should be."""

    name: str
    problem: str | None = None
    is_alarm: bool = False

    @property
    def line(self) -> str:
        """The check as a line."""
        if self.problem is None:
            return f"[+] {self.name}"
        return f"{ALARM if self.is_alarm else '[-] '}{self.name}: {self.problem}"


def problems_of(checks: Iterable[Check]) -> list[str]:
    """Return what keeps a proxy from taking requests."""
    return [c.problem for c in checks if c.problem is not None and not c.is_alarm]


def told(checks: list[Check], *, verbose: bool) -> tuple[int, str]:
    """Return the status and the text of the page; `verbose`: a line for each check."""
    problems = problems_of(checks)
    status = 503 if problems else 200
    if verbose:
        lines = [*(check.line for check in checks), "not ready" if problems else "ready"]
        return status, "".join(f"{line}\n" for line in lines)
    return status, "".join(f"{problem}\n" for problem in problems) or "ready\n"
