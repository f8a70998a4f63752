"""Prometheus metrics in a registry of their own; label values come from the policy alone."""

from collections.abc import Callable, Iterator, Mapping
from math import inf
from typing import Final, final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

REQUEST_LABELS: Final = ("rule", "backend", "tier", "outcome")
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
PER_TOKEN_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1)
TOKENS: Final = (16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576)
HISTOGRAMS: Final = {
    "duration": ("lockgate_request_duration_seconds", "From admission to the answer's end"),
    "first_token": ("lockgate_first_token_seconds", "From admission to the first token"),
    "per_token": ("lockgate_time_per_output_token_seconds", "Between two tokens, the first aside"),
    "prompt": ("lockgate_prompt_tokens", "Tokens sent, reported or estimated"),
    "completion": ("lockgate_completion_tokens", "Tokens received, reported or estimated"),
}
"""By attribute of a `Tally`: name and help."""


# a series more for every counter, which nobody reads
disable_created_metrics()  # type: ignore[no-untyped-call] # prometheus_client has no types for it


class Metrics:
    """Every metric of one proxy."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        self._tallies: dict[tuple[str, ...], Tally] = {}
        self._attempts: dict[tuple[str, ...], Count] = {}
        self.registry.register(_Requests(self._tallies))
        self.registry.register(_Attempts(self._attempts))
        self._shadows = self._counter(
            "lockgate_shadow_copies", "Shadow copies ended", "backend", "outcome"
        )
        self._alarms = self._counter(
            "lockgate_configuration_alarms",
            "Answers that blame our configuration",
            "backend",
            "code",
        )
        self._reloads = self._counter("lockgate_policy_reloads", "Policy reloads", "result")
        self._certificates = self._counter(
            "lockgate_certificate_reloads", "Reloads of the listener's certificate", "result"
        )
        self._policy = Gauge(
            "lockgate_policy_info", "Policy in force", ["digest"], registry=self.registry
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def request(self, rule: str, backend: str, tier: str, outcome: str) -> "Tally":
        """Count a request that ended; return where more of it may be measured."""
        labels = (rule, backend, tier, outcome)
        tally = self._tallies.get(labels)
        if tally is None:
            tally = self._tallies[labels] = Tally()
        tally.requests += 1
        return tally

    def attempt(self, backend: str, outcome: str) -> None:
        """Count an attempt that ended."""
        labels = (backend, outcome)
        count = self._attempts.get(labels)
        if count is None:
            count = self._attempts[labels] = Count()
        count.number += 1

    def shadow(self, backend: str, outcome: str) -> None:
        """Count a shadow copy: answered, failed or skipped."""
        self._shadows.labels(backend, outcome).inc()

    def alarm(self, backend: str, code: str) -> None:
        """Count an answer that says our key or model name is wrong."""
        self._alarms.labels(backend, code).inc()

    def reloaded(self, result: str) -> None:
        """Count a reload: adopted or refused."""
        self._reloads.labels(result).inc()

    def certificate(self, result: str) -> None:
        """Count a reload of the listener's certificate: adopted or refused."""
        self._certificates.labels(result).inc()

    def policy(self, digest: str) -> None:
        """Say which policy is in force."""
        self._policy.clear()
        self._policy.labels(digest).set(1)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a gauge that is asked when the page is."""
        Gauge(name, text, registry=self.registry).set_function(value)

    def watch_each(
        self, name: str, text: str, label: str, values: Callable[[], Mapping[str, float]]
    ) -> None:
        """Add a gauge with one label whose values are asked when the page is."""
        self.registry.register(_Each(name, text, label, values))

    def page(self) -> bytes:
        """Render the exposition text."""
        return generate_latest(self.registry)


@final
class Count:
    """How many there were."""

    def __init__(self) -> None:
        self.number = 0


class Histogram:
    """Counts by upper bound; `bounds` are in order."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self._limits: list[float] = [float(bound) for bound in bounds]
        self._last = 0  # the place of the last value, where the next one often belongs too
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.total += value
        limits, last = self._limits, self._last
        if last < len(limits) and value <= limits[last] and (not last or value > limits[last - 1]):
            self.counts[last] += 1
            return
        low, high = 0, len(limits)
        while low < high:  # bisect_left, in compiled code
            middle = (low + high) // 2
            if limits[middle] < value:
                low = middle + 1
            else:
                high = middle
        self.counts[low] += 1
        self._last = low

    def buckets(self) -> list[tuple[str, float]]:
        """Return the running counts by bound, as the exposition format wants them."""
        running, buckets = 0, []
        for bound, count in zip((*self.bounds, inf), self.counts, strict=True):
            running += count
            buckets.append(("+Inf" if bound == inf else str(bound), float(running)))
        return buckets


@final
class Tally:
    """What was measured of the requests with the same labels; a plain object, for the data path.

    Label values come from the policy and from closed lists, so their sets are bounded by it.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.duration = Histogram(SECONDS)
        self.first_token = Histogram(SECONDS)
        self.per_token = Histogram(PER_TOKEN_SECONDS)
        self.prompt = Histogram(TOKENS)
        self.completion = Histogram(TOKENS)

    def measure(
        self, duration_s: float, first_token_s: float | None, prompt: int, completion: int
    ) -> None:
        """Take an exchange that ended; without a first token it had no tokens."""
        self.duration.add(duration_s)
        if first_token_s is None:
            return
        self.first_token.add(first_token_s)
        self.prompt.add(prompt)
        self.completion.add(completion)
        if completion > 1:
            self.per_token.add((duration_s - first_token_s) / (completion - 1))


class _Requests(Collector):
    """The counter and the histograms over the tallies."""

    def __init__(self, tallies: dict[tuple[str, ...], Tally]) -> None:
        self._tallies = tallies

    def collect(self) -> Iterator[Metric]:
        """Yield the families with their present values."""
        counter = CounterMetricFamily("lockgate_requests", "Requests ended", labels=REQUEST_LABELS)
        for labels, tally in self._tallies.items():
            counter.add_metric(labels, tally.requests)
        yield counter
        for name, (metric, text) in HISTOGRAMS.items():
            family = HistogramMetricFamily(metric, text, labels=REQUEST_LABELS)
            for labels, tally in self._tallies.items():
                histogram: Histogram = getattr(tally, name)
                family.add_metric(labels, histogram.buckets(), histogram.total)
            yield family


class _Attempts(Collector):
    """The counter of attempts."""

    def __init__(self, counts: dict[tuple[str, ...], Count]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Yield the family with its present values."""
        labels_of = ("backend", "outcome")
        family = CounterMetricFamily("lockgate_attempts", "Attempts ended", labels=labels_of)
        for labels, count in self._counts.items():
            family.add_metric(labels, count.number)
        yield family


class _Each(Collector):
    """A collector over a mapping."""

    def __init__(
        self, name: str, text: str, label: str, values: Callable[[], Mapping[str, float]]
    ) -> None:
        self._name, self._text, self._label, self._values = name, text, label, values

    def collect(self) -> Iterator[Metric]:
        """Yield the family with its present values."""
        family = GaugeMetricFamily(self._name, self._text, labels=[self._label])
        for name, value in self._values().items():
            family.add_metric([name], value)
        yield family
