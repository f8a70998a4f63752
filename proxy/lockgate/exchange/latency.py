"""How long a backend takes to its first token: the p95 of a short window.

The estimator: the last 128 attempts of the last 60 seconds that brought a first token, or ran into
the deadline for it (they count with the time they waited); with fewer than 20 there is no estimate.
A backend that is no longer asked loses its samples within a minute and is then tried again.
An estimate is kept for a second.
"""

from collections import deque
from typing import Final

WINDOW_S: Final = 60.0
SAMPLES: Final = 128
ENOUGH: Final = 20
HOLD_S: Final = 1.0
"""For so long an estimate is kept: sorting 128 numbers for every request would show."""


class Latency:
    """The times to first token of one backend; monotonic seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)
        self._held: float | None = None
        self._held_until = float("-inf")

    def saw(self, now: float, first_token_s: float) -> None:
        """Take one time to first token."""
        self._samples.append((now, first_token_s))

    def p95(self, now: float) -> float | None:
        """Return the 95th percentile in seconds, None while too little is known."""
        if now >= self._held_until:
            self._held = self._quantile(now, 0.95)
            self._held_until = now + HOLD_S
        return self._held

    def median(self, now: float) -> float | None:
        """Return the median in seconds, None while too little is known."""
        return self._quantile(now, 0.5)

    def _quantile(self, now: float, share: float) -> float | None:
        samples = self._samples
        while samples and samples[0][0] < now - WINDOW_S:
            samples.popleft()
        if len(samples) < ENOUGH:
            return None
        times = sorted(first_token_s for _, first_token_s in samples)
        return times[min(int(len(times) * share), len(times) - 1)]
