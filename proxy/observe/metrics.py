"""Prometheus metrics in a registry of their own; label values come from the policy alone."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Metrics:
    """Every metric of one proxy."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._requests = _Counts(
            "lockgate_requests", "Requests ended", ("rule", "backend", "tier", "outcome")
        )
        self._attempts = _Counts("lockgate_attempts", "Attempts ended", ("backend", "outcome"))
        self.registry.register(self._requests)
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
        self._policy = Gauge(
            "lockgate_policy_info", "Policy in force", ["digest"], registry=self.registry
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def request(self, rule: str, backend: str, tier: str, outcome: str) -> None:
        """Count a request that ended."""
        self._requests.add((rule, backend, tier, outcome))

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
