"""What a backend's responses of late say: that it fails, or only that somebody asks what fails.

Facts:
- A connection that cannot be made says nothing about what was to be asked. Everything later may be
  the fault of the body: a prompt that makes a model server answer 500, or die.
- A share of few responses is noise; and a backend that just died has a long good past.

Decisions:
- Nothing is counted while nothing fails. From the first failure on, failures and successes are,
  for between one and two quarantines; while nothing succeeds no failure is forgotten.
- It fails when at least `LEAST` requests failed and `WEIGHT` more for every one that succeeded, or
  when `FAIR` failed and they are at least half. Amid failures of others it is seen sooner that it
  died: `LEAST` in a row could not reach it, or were of clients who are served else (of two, where
  others are served too), and more than theirs that failed before.
- A body that met the same response before is no news, and neither is one that died the same way
  before, once another request succeeds.
- The client with the most failures condemns nothing alone: where others succeed, theirs must fail
  by half without it.
"""

from typing import Final, final

from attrs import frozen

from lockgate.errors.codes import Ending
from lockgate.errors.kinds import kind_of
from lockgate.value import Value

LEAST: Final = 5
"""So few failures open a breaker, where nothing succeeds; as Envoy's `consecutive_5xx`."""
WEIGHT: Final = 2
FAIR: Final = 20
"""With as many successes: of forty responses a third fails by half in one case of fifty."""
BOUND: Final = 1024
"""Clients and bodies that are counted apart in a window; more of them share what is left."""


@final
class Blame(Value):
    """A failure that counts. `body` is a keyed hash of what was asked, 0 where it is not known."""

    __match_args__ = ("client", "body", "code", "status")

    def __init__(self, client: str, body: int, code: Ending, status: int | None = None) -> None:
        self.client: Final = client
        self.body: Final = body
        self.code: Final = code
        self.status: Final = status

    @property
    def key(self) -> int:
        """What is the same where a client asks the same again and it fails alike."""
        return hash((self.client, self.body, self.code, self.status))

    @property
    def reason(self) -> str:
        """The failure in words, as logs and records have it."""
        return self.code if self.status is None else f"{self.code} {self.status}"

    @property
    def is_unreached(self) -> bool:
        """Whether no connection to the backend came about."""
        kind = kind_of(self.code)
        return kind is not None and kind.is_unreached

    @property
    def is_response(self) -> bool:
        """Whether the backend answered, whole: the same body would meet the same response."""
        return self.status is not None and (self.status >= 500 or self.code == "upstream_protocol")


@frozen
class Suspect:
    """Whose requests alone failed: one client's, or those with one body (its hash)."""

    client: str | None
    body: int | None

    def is_another(self, client: str, body: int) -> bool:
        """Whether a request may meet a backend that serves well."""
        return (self.client is not None and client != self.client) or (
            self.body is not None and body != self.body
        )


@final
class _Half:
    """A half of the window."""

    def __init__(self) -> None:
        self.failures = 0
        self.good = 0
        self.failed_by: dict[str, int] = {}
        self.good_by: dict[str, int] = {}
        self.bodies: set[int] = set()
        self.reasons: dict[str, int] = {}

    def take(self, other: "_Half") -> None:
        """Add what `other` has."""
        self.failures += other.failures
        self.good += other.good
        self.bodies |= other.bodies
        for mine, theirs in (
            (self.failed_by, other.failed_by),
            (self.good_by, other.good_by),
            (self.reasons, other.reasons),
        ):
            for name, number in theirs.items():
                mine[name] = mine.get(name, 0) + number


@final
class Tally:
    """The window of one backend. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.failures = 0
        self.good = 0
        self._unreached = 0  # in a row
        self._run: dict[str, int] = {}  # in a row, of clients who are served else
        self._worst = ""
        self._body: int | None = None  # of every failure, None where they differ
        self._index = 0
        self._now = _Half()
        self._before = _Half()

    def saw_good(self, client: str, now: float, half_s: float) -> None:
        """A request of `client` succeeded; called only while there are failures."""
        self._roll(now, half_s, forget=True)
        self._unreached = 0
        self._run.clear()
        if self.failures:
            self._count_good(client)

    def saw_failure(self, blame: Blame, now: float, half_s: float, well: str) -> bool:
        """Count a failure; False where it is no news. `well` is who was served last, if lately."""
        self._roll(now, half_s, forget=self.good > 0)
        if blame.is_unreached:
            self._unreached += 1
        else:
            self._unreached = 0
            if self._is_known(blame):
                return False
        if not self.failures and well and well != blame.client:
            self._count_good(well)
        self._count_failure(blame)
        return True

    def condemns(self) -> bool:
        """Whether the backend fails, and not one client's requests."""
        if self._unreached >= LEAST or self._died():
            return True
        failures, good = self.failures, self.good
        if not _are_too_many(failures, good):
            return False
        others = good - self._of(self._worst, failed=False)
        return others == 0 or failures - self._of(self._worst, failed=True) >= others

    @property
    def suspect(self) -> Suspect | None:
        """Whose fault all failures may be: another's request may be served."""
        if self.failures != self._of(self._worst, failed=True):
            return Suspect(None, self._body) if self._body is not None else None
        return Suspect(self._worst, self._body)

    def acquit(self, client: str, now: float, half_s: float) -> None:
        """The suspect it was: `client` was served meanwhile. What failed is known from now on."""
        known, worst = self._before.bodies | self._now.bodies, self._worst
        self.clear()
        self._index = int(now / half_s)
        half = self._now
        half.bodies, half.failed_by, half.failures = known, {worst: 1}, 1
        self.failures, self._worst = 1, worst
        self._count_good(client)

    def reasons(self) -> dict[str, int]:
        """Return the failures in words, each with its number."""
        both = _Half()
        both.take(self._before)
        both.take(self._now)
        return both.reasons

    def _count_good(self, client: str) -> None:
        self.good += 1
        half = self._now
        half.good += 1
        _add(half.good_by, client)

    def _count_failure(self, blame: Blame) -> None:
        self.failures += 1
        half = self._now
        half.failures += 1
        _add(half.reasons, blame.reason)
        if blame.is_unreached:
            self._body = None
            return
        self._body = blame.body or None if self.failures == 1 or blame.body == self._body else None
        if self._of(blame.client, failed=False):
            _add(self._run, blame.client)
        _add(half.failed_by, blame.client)
        if self._of(blame.client, failed=True) > self._of(self._worst, failed=True):
            self._worst = blame.client
        if blame.body and len(half.bodies) < BOUND:
            half.bodies.add(blame.key)

    def _died(self) -> bool:
        run = self._run
        number = sum(run.values())
        if number < LEAST:
            return False
        before = sum(self._of(client, failed=True) for client in run) - number
        served = sum(self._of(client, failed=False) for client in run)
        return number >= LEAST + before and (len(run) > 1 or served == self.good)

    def _is_known(self, blame: Blame) -> bool:
        known = blame.key in self._now.bodies or blame.key in self._before.bodies
        return known and (blame.is_response or self.good > 0)

    def _of(self, client: str, *, failed: bool) -> int:
        before, now = self._before, self._now
        if failed:
            return before.failed_by.get(client, 0) + now.failed_by.get(client, 0)
        return before.good_by.get(client, 0) + now.good_by.get(client, 0)

    def _roll(self, now: float, half_s: float, *, forget: bool) -> None:
        index = int(now / half_s)
        if index == self._index:
            return
        if not forget:
            self._before.take(self._now)
        elif index == self._index + 1:
            self._before = self._now
        else:
            self._before = _Half()
        self._now = _Half()
        self._index = index
        before = self._before
        self.failures, self.good = before.failures, before.good
        self._worst = max(before.failed_by, key=lambda name: before.failed_by[name], default="")


def _are_too_many(failures: int, good: int) -> bool:
    return failures >= LEAST + WEIGHT * good or failures >= max(FAIR, good)


def _add(counts: dict[str, int], name: str) -> None:
    if name not in counts and len(counts) >= BOUND:
        name = ""
    counts[name] = counts.get(name, 0) + 1
