"""Prometheus metrics in a registry of their own; label values come from the policy alone."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from math import inf
from typing import Final

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


disable_created_metrics()  # type: ignore[no-untyped-call] # a series more for every counter, which nobody reads


class Metrics:
    """Every metric of one proxy."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        self._requests = _Counts("lockgate_requests", "Requests ended", REQUEST_LABELS)
        self._attempts = _Counts("lockgate_attempts", "Attempts ended", ("backend", "outcome"))
        self.registry.register(self._requests)
        self._duration = self._histogram(
            "lockgate_request_duration_seconds", "From admission to the answer's end", SECONDS
        )
        self._first_token = self._histogram(
            "lockgate_first_token_seconds", "From admission to the first token", SECONDS
        )
        self._per_token = self._histogram(
            "lockgate_time_per_output_token_seconds",
            "Between two tokens, the first one aside",
            PER_TOKEN_SECONDS,
        )
        self._prompt = self._histogram(
            "lockgate_prompt_tokens", "Tokens sent, reported or estimated", TOKENS
        )
        self._completion = self._histogram(
            "lockgate_completion_tokens", "Tokens received, reported or estimated", TOKENS
        )
        self.registry.register(self._attempts)
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

    def _histogram(self, name: str, text: str, bounds: tuple[float, ...]) -> "_Histograms":
        histogram = _Histograms(name, text, bounds)
        self.registry.register(histogram)
        return histogram

    def request(self, rule: str, backend: str, tier: str, outcome: str) -> None:
        """Count a request that ended."""
        self._requests.add((rule, backend, tier, outcome))

    def exchange(
        self,
        labels: tuple[str, ...],
        duration_s: float,
        first_token_s: float | None,
        tokens: tuple[int, int] | None,
    ) -> None:
        """Measure an exchange that ended; `labels` are REQUEST_LABELS' values, times in seconds."""
        self._duration.add(labels, duration_s)
        if first_token_s is None or tokens is None:
            return
        self._first_token.add(labels, first_token_s)
        prompt, completion = tokens
        self._prompt.add(labels, prompt)
        self._completion.add(labels, completion)
        if completion > 1:
            self._per_token.add(labels, (duration_s - first_token_s) / (completion - 1))

    def attempt(self, backend: str, outcome: str) -> None:
        """Count an attempt that ended."""
        self._attempts.add((backend, outcome))

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


class _Counts(Collector):
    """A counter for the data path: one dict addition, and no lock in a process of one thread."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...]) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, labels: tuple[str, ...]) -> None:
        """Count one."""
        self._counts[labels] = self._counts.get(labels, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """Yield the family with its present values."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        yield family


class _Histograms(Collector):
    """A histogram for the data path: one bisection and an addition.

    Label values come from the policy and from closed lists, so their sets are bounded by it.
    """

    def __init__(self, name: str, text: str, bounds: tuple[float, ...]) -> None:
        self._name, self._text, self._bounds = name, text, bounds
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def add(self, labels: tuple[str, ...], value: float) -> None:
        """Count one value."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self._bounds) + 1)
            self._sums[labels] = 0.0
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[labels] += value

    def collect(self) -> Iterator[Metric]:
        """Yield the family with its present values."""
        family = HistogramMetricFamily(self._name, self._text, labels=REQUEST_LABELS)
        for labels, counts in self._counts.items():
            running, buckets = 0, []
            for bound, count in zip((*self._bounds, inf), counts, strict=True):
                running += count
                buckets.append(("+Inf" if bound == inf else str(bound), running))
            family.add_metric(labels, buckets, self._sums[labels])
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
