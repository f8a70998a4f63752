"""Reads audit records back, out of files in which other lines may stand.

A container's output mixes records with whatever else was printed there, and a process that was
killed leaves the beginning of a record. The first is no record and is passed over; the second is a
broken one, which evidence must not hold.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import IO, Any, Final

import orjson
from attrs import frozen

from lockgate.audit.record import NO_ENDING
from lockgate.policy.deciding.decision import CANDIDATES

REQUIRED: Final = (
    "sequence", "time", "request_id", "policy_digest", "outcome", "error", "model",
    "headers_read", "rule", "via", "candidates",
)  # fmt: skip
BEGINNINGS: Final = (b'{"worker":', b'{"%b":' % next(iter(NO_ENDING)).encode())
"""How the proxy begins a record: of an exchange, and of what never became one."""
OURS: Final = ("policy_digest", "headers_read")
"""Members by which a document that lacks others is told to be a record all the same."""
MAX_LINE_BYTES: Final = 4 << 20
"""A record is a few KiB: a model name, headers and attempts. Beyond this it is none."""
_LATEST_S: Final = 1e11
Places = tuple[tuple[str, str], ...]
"""(backend, tier) of each candidate, in order."""


class NoRecordError(ValueError):
    """A line is something else than a record; the text says what."""


class BrokenRecordError(ValueError):
    """A line is not a whole record; the text says why."""


@frozen
class Recorded:
    """What replay needs of a record. `model` is None for a request that was never decided."""

    request_id: str
    outcome: str
    code: str | None
    model: str | None
    headers: Mapping[str, tuple[str, ...]]
    rule: str | None
    via: str | None
    candidates: Places
    labels: tuple[str, ...] = ()
    time_s: float = 0.0

    @property
    def what_decides(self) -> tuple[Any, ...]:
        """All that a replay reads but the model, hashable: with it, records come to the same."""
        code = None if self.candidates and self.model is not None else self.code
        headers = tuple(self.headers.items())
        outcome = self.outcome if self.model is None else None
        was = (self.rule, self.via, self.candidates, self.labels)
        return (headers, code, outcome, *was)


def read_record(line: bytes) -> Recorded:
    """Return the record that `line` holds.

    NoRecordError where it is something else, BrokenRecordError where it is a part of a record.
    """
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as problem:
        kind = BrokenRecordError if _is_part_of_one(line) else NoRecordError
        raise kind(f"is not a whole JSON document: {problem}") from None
    if not isinstance(document, dict):
        raise NoRecordError("is not a JSON object")
    missing = [name for name in REQUIRED if name not in document]
    if missing and not any(name in document for name in OURS):
        raise NoRecordError("is no audit record: it lacks " + ", ".join(missing))
    if missing:
        raise BrokenRecordError("is not a whole record: it lacks " + ", ".join(missing))
    try:
        return _recorded(document)
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise BrokenRecordError(f"is not a record as the proxy writes them: {problem}") from None


def _is_part_of_one(line: bytes) -> bool:
    """Whether a line that is no JSON document is what is left of a record."""
    text = line.strip()
    begins = any(text.startswith(b) or b.startswith(text) for b in BEGINNINGS)
    return begins or any(f'"{name}":'.encode() in text for name in OURS)


def _recorded(document: dict[str, Any]) -> Recorded:
    decided = document["model"] is not None
    headers = document["headers_read"] if decided else {}
    candidates = document["candidates"] if decided else []
    time_s = float(document["time"])
    if not 0 <= time_s < _LATEST_S:
        raise ValueError(f"time {time_s} is no time")
    texts = [document["request_id"], document["outcome"], document["model"] or ""]
    texts += [document[name] or "" for name in ("error", "rule", "via")]
    texts += [c[name] for c in candidates for name in ("backend", "tier", "reason")]
    values = {name: tuple(fields) for name, fields in headers.items()}
    if not all(isinstance(text, str) for text in chain(texts, *values.values())):
        raise TypeError("a text is not a text")
    return Recorded(
        request_id=document["request_id"],
        outcome=document["outcome"],
        code=document["error"],
        model=document["model"],
        headers=values,
        rule=document["rule"],
        via=document["via"],
        candidates=tuple(
            (c["backend"], c["tier"]) for c in candidates if c["reason"] in CANDIDATES
        ),
        labels=_labels(document),
        time_s=time_s,
    )


def _labels(document: dict[str, Any]) -> tuple[str, ...]:
    """Return the labels that were read; `unrecognised` is one. Older records hold none."""
    if document.get("unrecognised"):
        return ("unrecognised",)
    return tuple(map(str, document.get("labels") or ()))


def lines_of(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that hold something, numbered from 1; a longer one than a record is cut."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        rest = line
        while not rest.endswith(b"\n") and len(rest) == MAX_LINE_BYTES:
            rest = stream.readline(MAX_LINE_BYTES)
        if line.strip():
            yield number, line
