"""Sums up what another policy would have decided for recorded requests, by classes of them.

A class is what a reviewer asks about: requests of the same labels that went one way and would now
go another. Where each came from, and how often, is counted; a few are named as examples.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import IO, Any, Final, final

from attrs import evolve, frozen

from lockgate.amount import amount
from lockgate.audit.record import beginning_of
from lockgate.audit.recorded import (
    BrokenRecordError,
    NoRecordError,
    Recorded,
    lines_of,
    read_record,
)
from lockgate.audit.replay import (
    Replayed,
    Verdict,
    describe,
    describe_recorded,
    outcome_of,
    replay,
)
from lockgate.memo import BoundedMemo
from lockgate.policy.deciding.decide import Decider

EXAMPLES: Final = 3
"""Records of a class that are named: the first ones."""
MEMO_BOUND: Final = 65_536
"""Requests that differ in what a decision reads; most of a week's are one of a few hundred."""
STEP: Final = 4096
"""Records between two reports of how far the reading is."""


@frozen
class RequestClass:
    """Requests with the same labels that were decided alike and would be decided alike.

    `now` is empty where that cannot be told. `refused`: they had a candidate and would have none.
    """

    verdict: Verdict
    labels: tuple[str, ...]
    was: str
    now: str
    widens: bool
    may_widen: bool
    refused: bool

    @property
    def weight(self) -> int:
        """How much a reviewer must see it: the smaller, the more."""
        grave = (self.widens, self.may_widen, self.refused, self.verdict == "undecidable", True)
        return grave.index(True)

    @property
    def title(self) -> str:
        """What happens to them, in a few words."""
        return (
            "NEWLY TO A CLOUD",
            "may be newly to a cloud",
            "newly refused",
            "undecidable",
            "another way",
        )[self.weight]


@frozen
class Example:
    """One record of a class: the line it stands in, counted from 1, its id and model."""

    line: int
    request_id: str
    model: str


@final
class _Counted:
    def __init__(self) -> None:
        self.count = 0
        self.examples: list[Example] = []


@frozen
class Rehearsal:
    """What became of all records of a file.

    `classes` holds those that are decided otherwise or cannot be decided, with how many there are,
    the gravest first. `since` and `until` are epoch seconds, None where there is no record.
    """

    counts: Mapping[str, int]
    classes: tuple[tuple[RequestClass, int, tuple[Example, ...]], ...]
    since: float | None = None
    until: float | None = None

    @property
    def records(self) -> int:
        """How many records were replayed."""
        return sum(self.counts[v] for v in ("same", "different", "undecidable", "not_decided"))

    @property
    def widens(self) -> bool:
        """Whether any request would newly reach a cloud backend, or that cannot be ruled out."""
        return bool(self.counts["widens"] or self.counts["may_widen"])

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        classes = [
            {
                "title": kind.title,
                "verdict": kind.verdict,
                "labels": list(kind.labels),
                "was": kind.was,
                "now": kind.now or None,
                "widens": kind.widens,
                "may_widen": kind.may_widen,
                "refused": kind.refused,
                "count": count,
                "share": count / self.records,
                "examples": [
                    {"line": e.line, "request_id": e.request_id, "model": e.model} for e in examples
                ],
            }
            for kind, count, examples in self.classes
        ]
        span = {"since": _day(self.since), "until": _day(self.until)}
        return {"records": self.records, **self.counts, **span, "classes": classes}

    def lines(self, most: int = 20) -> Iterator[str]:
        """Yield lines for people: the sums, then at most `most` classes."""
        counts, total = self.counts, self.records
        span = f", {_day(self.since)} to {_day(self.until)}" if self.since is not None else ""
        yield f"{amount(total, 'record')}{span}: " + ", ".join(
            (
                f"{counts['same']:,} same",
                f"{counts['different']:,} different{self._share(counts['different'])}",
                f"{counts['undecidable']:,} undecidable",
                f"{counts['not_decided']:,} never decided",
            )
        )
        yield f"  {counts['widens']:,} newly to a cloud backend{self._share(counts['widens'])}"
        if counts["may_widen"]:
            told = "the record cannot tell"
            yield f"  {counts['may_widen']:,} may be newly to a cloud backend: {told}"
        yield f"  {counts['refused']:,} newly refused{self._share(counts['refused'])}"
        if counts["broken"] or counts["no_record"]:
            broken = amount(counts["broken"], "broken record")
            yield f"  left out: {broken}, {amount(counts['no_record'], 'line')} that hold no record"
        for kind, count, examples in self.classes[:most]:
            yield from self._class_lines(kind, count, examples)
        if len(self.classes) > most:
            yield f"{amount(len(self.classes) - most, 'class', 'classes')} more"

    def _class_lines(
        self, kind: RequestClass, count: int, examples: tuple[Example, ...]
    ) -> Iterator[str]:
        labels = ", ".join(kind.labels) or "none"
        yield f"{kind.title}: {amount(count, 'request')}{self._share(count)}, labels: {labels}"
        yield f"  was  {printable(kind.was)}"
        yield f"  now  {kind.now or 'cannot be told'}"
        named = [f"line {e.line} {e.request_id} (model {e.model})" for e in examples]
        yield f"  first: {printable(', '.join(named))}"

    def _share(self, count: int) -> str:
        if not count:
            return ""
        percent = 100 * count / self.records
        return f" ({percent:.1f} %)" if percent >= 0.1 else " (under 0.1 %)"


@final
class Rehearsing:
    """Replays records one after the other and counts what became of them."""

    def __init__(self, decider: Decider) -> None:
        self._decider = decider
        self._ids = frozenset(b.published_id for b in decider.policy.spec.backends)
        self._patterns = tuple(m.models for m in decider.matchers if m.models)
        self._memo: BoundedMemo[Any, tuple[Replayed, RequestClass | None]] = BoundedMemo(MEMO_BOUND)
        self._classes: dict[RequestClass, _Counted] = {}
        self._counts = dict.fromkeys(COUNTED, 0)
        self._since: float | None = None
        self._until: float | None = None

    def add(self, number: int, line: bytes) -> Replayed:
        """Replay the record in line `number`.

        NoRecordError where the line is none, BrokenRecordError where it is a part of one; both are
        counted.
        """
        counts = self._counts
        try:
            recorded = read_record(line)
        except NoRecordError:
            counts["no_record"] += 1
            raise
        except BrokenRecordError:
            counts["broken"] += 1
            raise
        replayed, kind = self._replayed(recorded)
        counts[replayed.verdict] += 1
        if self._since is None:
            self._since = self._until = recorded.time_s
        self._since = min(self._since, recorded.time_s)
        self._until = max(self._until or 0.0, recorded.time_s)
        if kind is not None:
            self._count(kind, Example(number, recorded.request_id, recorded.model or ""))
        return replayed

    def result(self) -> Rehearsal:
        """Return what became of the records so far."""
        order = sorted(self._classes.items(), key=lambda c: (c[0].weight, -c[1].count))
        classes = tuple((kind, c.count, tuple(c.examples)) for kind, c in order)
        return Rehearsal(dict(self._counts), classes, self._since, self._until)

    def _replayed(self, recorded: Recorded) -> tuple[Replayed, RequestClass | None]:
        key = (self._meaning(recorded.model), *recorded.what_decides)
        kept = self._memo.get(key)
        if kept is None:
            replayed = replay(self._decider, recorded)
            kept = replayed, _class_of(replayed)
            self._memo.keep(key, kept)
            return kept
        return evolve(kept[0], recorded=recorded), kept[1]

    def _meaning(self, model: str | None) -> tuple[Any, ...] | None:
        """Return all that a model's name can mean to a decision, so that most names share one."""
        if model is None:
            return None
        asked = (any(matches(model) for matches in patterns) for patterns in self._patterns)
        return (model if model in self._ids else None, beginning_of(model) is not None, *asked)

    def _count(self, kind: RequestClass, example: Example) -> None:
        self._counts["widens"] += kind.widens
        self._counts["may_widen"] += kind.may_widen
        self._counts["refused"] += kind.refused
        counted = self._classes.setdefault(kind, _Counted())
        counted.count += 1
        if len(counted.examples) < EXAMPLES:
            counted.examples.append(example)


COUNTED: Final = (
    "same", "different", "widens", "may_widen", "refused", "undecidable", "not_decided",
    "broken", "no_record",
)  # fmt: skip


def rehearse(
    decider: Decider,
    stream: IO[bytes],
    *,
    progress: Callable[[int], object] | None = None,
    told: Callable[[int, Replayed | BrokenRecordError], object] | None = None,
) -> Rehearsal:
    """Replay every record of `stream`, and pass over every line that is no whole one.

    `progress` is called now and then with the bytes that were read since. `told` is called with
    each line's number, counted from 1, and what became of its record.
    """
    rehearsing = Rehearsing(decider)
    read, since = 0, 0
    for number, line in lines_of(stream):
        read += len(line)
        since += 1
        if progress is not None and since == STEP:
            progress(read)
            read = since = 0
        try:
            found: Replayed | BrokenRecordError = rehearsing.add(number, line)
        except NoRecordError:
            continue
        except BrokenRecordError as broken:
            found = broken
        if told is not None:
            told(number, found)
    if progress is not None:
        progress(read)
    return rehearsing.result()


def printable(text: str) -> str:
    """Return `text` so that what a client sent cannot colour a terminal."""
    return text if text.isprintable() else ascii(text)


def _class_of(replayed: Replayed) -> RequestClass | None:
    """Return the class of what is decided otherwise, or cannot be decided; else None."""
    if replayed.verdict not in {"different", "undecidable"}:
        return None
    recorded, decision = replayed.recorded, replayed.decision
    return RequestClass(
        verdict=replayed.verdict,
        labels=recorded.labels,
        was=describe_recorded(recorded),
        now=describe(decision) if decision is not None else "",
        widens=replayed.widens,
        may_widen=replayed.may_widen,
        refused=bool(recorded.candidates) and decision is not None and not outcome_of(decision)[0],
    )


def _day(epoch_s: float | None) -> str | None:
    return None if epoch_s is None else datetime.fromtimestamp(epoch_s, UTC).date().isoformat()
