"""The retry law: what comes after a failed attempt, before the commit point.

The law of the design, as one pure function over one value; which part of it an error falls under is
the column `retry` of `errors.kinds`. Connect errors, TLS failures and
silence go to the next candidate; a reset, a broken framing, 408 and 5xx are worth one more try on
the same backend; a short Retry-After is waited for; a whole response that is not what was asked for
would come again, so the next candidate is asked; what is the client's own is passed back.
"""

from typing import Final

from attrs import frozen

from lockgate.errors.codes import Code
from lockgate.errors.kinds import KINDS

PAUSE_S: Final = 0.1
"""Mean pause before a repeat on the same backend: long enough for a listener to come back."""


@frozen
class Failure:
    """A failed attempt: its error, and what the response said, if there was one.

    `deterministic`: the same request would meet the same response. `hints`: rendered header lines
    of a rate limit, for the client.
    """

    code: Code
    status: int | None = None
    retry_after_s: float | None = None
    deterministic: bool = False
    hints: bytes = b""


def counts(failure: Failure) -> bool:
    """Whether `failure` is the backend's fault; a response of 4xx, 408 too, never is.

    A deadline is only where it is the backend's own (`Deadlines.blames`).
    """
    status = failure.status
    return KINDS[failure.code].counts and (status is None or not 400 <= status < 500)


@frozen
class Again:
    """Try the same backend once more after `pause_s` seconds."""

    pause_s: float


@frozen
class Next:
    """Go on to the next candidate."""


@frozen
class GiveUp:
    """No further attempt."""


Verdict = Again | Next | GiveUp


@frozen
class Circumstances:
    """What the law needs to know besides the failure.

    `remaining_s` is what is left of the total deadline; `jitter` is in [0, 1).
    """

    repeated: bool
    bytes_written: bool
    connect_only: bool
    retry_after_max_s: float
    remaining_s: float | None
    jitter: float


def next_step(failure: Failure, at: Circumstances) -> Verdict:
    """Return what the retry law says after `failure`."""
    if KINDS[failure.code].retry == "final" or (at.connect_only and at.bytes_written):
        return GiveUp()
    if at.repeated:
        return Next()
    pause = _pause(failure, at)
    if pause is None or (at.remaining_s is not None and pause >= at.remaining_s):
        return Next()
    return Again(pause)


def _pause(failure: Failure, at: Circumstances) -> float | None:
    """Return how long to wait before the same backend, None when it is not asked again."""
    law = KINDS[failure.code].retry
    if law == "wait":
        asked = failure.retry_after_s
        return asked if asked is not None and asked <= at.retry_after_max_s else None
    repeats = law == "again" and not failure.deterministic
    return PAUSE_S * (0.5 + at.jitter) if repeats else None
