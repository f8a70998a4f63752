"""One log line for each change of a breaker, so many and no more of one backend.

A breaker that opens is a warning with what failed, for how long nothing is asked, and what to look
at; one that closes says after how long. A backend that flaps is said `BURST` times, then once in
`SECONDS`, with the number of changes that were not said.
"""

from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from lockgate.errors.kinds import kind_of
from lockgate.exchange.breaker import Opened

BURST: Final = 10
SECONDS: Final = 10.0

_log = Logger("lockgate.breaker")


class _Said:
    """How much was said of one backend, and since when it is shut."""

    def __init__(self, now: float) -> None:
        self.left = float(BURST)
        self.at = now
        self.unsaid = 0
        self.open_since: float | None = None


class BreakerLog:
    """See the module's text. `now` gives monotonic seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._said: dict[str, _Said] = {}

    def opened(self, backend: str, opened: Opened) -> None:
        """Say that `backend` is not asked for a while."""
        said = self._of(backend)
        if said.open_since is None:
            said.open_since = self._now()
        if self._may_say(said):
            _log.warn(
                "backend {backend}: breaker open for {seconds:.2f} s after {failures}, "
                "shut to {shut_to}; {look}{unsaid}",
                backend=backend,
                seconds=opened.seconds,
                failures=in_words(opened.failures),
                shut_to=opened.shut_to,
                look=_look(opened.failures),
                unsaid=_unsaid(said),
            )

    def closed(self, backend: str, why: str = "a request was answered well") -> None:
        """Say that `backend` is asked again."""
        said = self._of(backend)
        since, said.open_since = said.open_since, None
        if self._may_say(said):
            _log.info(
                "backend {backend}: breaker closed after {seconds:.2f} s, {why}{unsaid}",
                backend=backend,
                seconds=0.0 if since is None else self._now() - since,
                why=why,
                unsaid=_unsaid(said),
            )

    def forget(self, names: set[str]) -> None:
        """Keep what is known of the backends `names` only."""
        self._said = {name: said for name, said in self._said.items() if name in names}

    def _of(self, backend: str) -> _Said:
        said = self._said.get(backend)
        if said is None:
            said = self._said[backend] = _Said(self._now())
        return said

    def _may_say(self, said: _Said) -> bool:
        now = self._now()
        said.left = min(BURST, said.left + (now - said.at) / SECONDS)
        said.at = now
        if said.left < 1:
            said.unsaid += 1
            return False
        said.left -= 1
        return True


def in_words(failures: dict[str, int]) -> str:
    """Return failures as people read them, the most frequent first."""
    by_number = sorted(failures.items(), key=lambda one: -one[1])
    return ", ".join(f"{number} x {reason}" for reason, number in by_number)


def _look(failures: dict[str, int]) -> str:
    kinds = [kind_of(reason) for reason in failures]
    if all(kind is not None and kind.is_unreached for kind in kinds):
        return "see whether it runs and can be reached"
    return "see its own log"


def _unsaid(said: _Said) -> str:
    number, said.unsaid = said.unsaid, 0
    return f" ({number} changes before were not logged)" if number else ""
