"""One log line for each change of a breaker, so many and no more of one backend.

A breaker that opens is a warning with what failed, for how long nothing is asked, and what to look
at; one that closes says after how long. Of a backend that flaps `BURST` changes are logged, then
one in `SECONDS`, with the number of changes that were not.
"""

from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from lockgate.errors.kinds import kind_of
from lockgate.exchange.breaker import Opened

BURST: Final = 10
SECONDS: Final = 10.0

_log = Logger("lockgate.breaker")


class _Lines:
    """How many lines one backend has left, and since when its breaker is open."""

    def __init__(self, now: float) -> None:
        self.left = float(BURST)
        self.at = now
        self.omitted = 0
        self.open_since: float | None = None


class BreakerLog:
    """Logs the changes of breakers, a bounded number of lines a backend. `now` is monotonic."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lines: dict[str, _Lines] = {}

    def opened(self, backend: str, opened: Opened) -> None:
        """Log that `backend` gets no requests for a while."""
        lines = self._of(backend)
        if lines.open_since is None:
            lines.open_since = self._now()
        if self._may_log(lines):
            _log.warn(
                "backend {backend}: breaker open for {seconds:.2f} s after {failures}, "
                "shut to {shut_to}; {look}{omitted}",
                backend=backend,
                seconds=opened.seconds,
                failures=in_words(opened.failures),
                shut_to=opened.shut_to,
                look=_look(opened.failures),
                omitted=_omitted(lines),
            )

    def closed(self, backend: str, why: str = "a request was answered well") -> None:
        """Log that `backend` gets requests again."""
        lines = self._of(backend)
        since, lines.open_since = lines.open_since, None
        if self._may_log(lines):
            _log.info(
                "backend {backend}: breaker closed after {seconds:.2f} s, {why}{omitted}",
                backend=backend,
                seconds=0.0 if since is None else self._now() - since,
                why=why,
                omitted=_omitted(lines),
            )

    def forget(self, names: set[str]) -> None:
        """Keep what is known of the backends `names` only."""
        self._lines = {name: lines for name, lines in self._lines.items() if name in names}

    def _of(self, backend: str) -> _Lines:
        lines = self._lines.get(backend)
        if lines is None:
            lines = self._lines[backend] = _Lines(self._now())
        return lines

    def _may_log(self, lines: _Lines) -> bool:
        now = self._now()
        lines.left = min(BURST, lines.left + (now - lines.at) / SECONDS)
        lines.at = now
        if lines.left < 1:
            lines.omitted += 1
            return False
        lines.left -= 1
        return True


def in_words(failures: dict[str, int]) -> str:
    """Return failures as people read them, the most frequent first."""
    by_number = sorted(failures.items(), key=lambda failure: -failure[1])
    return ", ".join(f"{number} x {reason}" for reason, number in by_number)


def _look(failures: dict[str, int]) -> str:
    kinds = [kind_of(reason) for reason in failures]
    if all(kind is not None and kind.is_unreached for kind in kinds):
        return "see whether it runs and can be reached"
    return "see its own log"


def _omitted(lines: _Lines) -> str:
    number, lines.omitted = lines.omitted, 0
    return f" ({number} changes before were not logged)" if number else ""
