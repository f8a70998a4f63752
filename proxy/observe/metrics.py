"""Prometheus metrics in a registry of their own; label values come from the policy alone."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

BREAKER_STATES: Final = ("closed", "half_open", "open")


class Metrics:
    """Every metric of one proxy. Children are kept by label tuple: a lookup costs a dict access."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._requests = self._counter(
            "lockgate_requests", "Requests ended", "rule", "backend", "tier", "outcome"
        )
        self._attempts = self._counter("lockgate_attempts", "Attempts ended", "backend", "outcome")
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
        self._children: dict[tuple[str, ...], Any] = {}

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def request(self, rule: str, backend: str, tier: str, outcome: str) -> None:
        """Count a request that ended."""
        self._child(self._requests, "requests", rule, backend, tier, outcome).inc()

    def attempt(self, backend: str, outcome: str) -> None:
        """Count an attempt that ended."""
        self._child(self._attempts, "attempts", backend, outcome).inc()

    def alarm(self, backend: str, code: str) -> None:
        """Count an answer that says our key or model name is wrong."""
        self._child(self._alarms, "alarms", backend, code).inc()

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

    def _child(self, counter: Counter, *labels: str) -> Any:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = counter.labels(*labels[1:])
        return child


class _Each:
    """A collector over a mapping."""

    def __init__(
        self, name: str, text: str, label: str, values: Callable[[], Mapping[str, float]]
    ) -> None:
        self._name, self._text, self._label, self._values = name, text, label, values

    def collect(self) -> Any:
        """Yield the family with its present values."""
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - only for the page

        family = GaugeMetricFamily(self._name, self._text, labels=[self._label])
        for name, value in self._values().items():
            family.add_metric([name], value)
        yield family
