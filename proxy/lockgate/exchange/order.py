"""In which order the candidates of a decision are tried: the rule's strategy, and its latency SLO.

Whatever the strategy, the result is made of the decision's candidates and nothing else.

- weighted: one pick by weight, the rest by descending weight as fallback. The pick is nginx's
  smooth round robin (https://nginx.org/en/docs/http/ngx_http_upstream_module.html): of weights
  5, 1, 1 it makes a a b a c a a and not a a a a a b c. Each set of candidates starts at a place of
  its own, drawn from the injected source, so that replicas do not march in step.
- shadow: only the rule's first entry, and then the default route, can answer.
- latencySLOMs: while the first candidate's p95 to first token is over it, the rule's others go
  before it.
"""

from collections.abc import Callable
from typing import Final

from lockgate.exchange.latency import Latency
from lockgate.memo import BoundedMemo
from lockgate.policy.deciding.decision import Route
from lockgate.policy.spec.backends import Backend
from lockgate.policy.spec.rules import Rule

_Names = tuple[str, ...]
MEMO_BOUND: Final = 4096


class Orders:
    """Orders under one policy. `draw` gives numbers in [0, 1)."""

    def __init__(self, draw: Callable[[], float], latencies: dict[str, Latency]) -> None:
        self._draw = draw
        self._latencies = latencies
        self._robins: BoundedMemo[_Names, _SmoothRoundRobin] = BoundedMemo(MEMO_BOUND)

    def of(self, route: Route, now: float) -> tuple[Backend, ...]:
        """Return the candidates of `route` in the order in which they are to be tried."""
        rule = route.reading.rule
        if rule is None or route.is_in_order:
            return route.candidates
        slo_ms = rule.match.latency_slo_ms if rule.match is not None else None
        own = [b for b in route.candidates if b.name in rule.route.backends]
        last = [b for b in route.candidates if b.name not in rule.route.backends]
        own = self._by_strategy(rule, own)
        if slo_ms is not None and len(own) > 1 and rule.route.strategy != "shadow":
            p95_s = self._latencies[own[0].name].p95(now)
            if p95_s is not None and p95_s * 1000 > slo_ms:
                own = [*own[1:], own[0]]
        return (*own, *last)

    def _by_strategy(self, rule: Rule, own: list[Backend]) -> list[Backend]:
        if rule.route.strategy == "weighted" and len(own) > 1:
            return self._weighted(own)
        if rule.route.strategy == "shadow":
            return [b for b in own if b.name == rule.route.backends[0]]
        return own

    def _weighted(self, own: list[Backend]) -> list[Backend]:
        names = tuple(backend.name for backend in own)
        robin = self._robins.get(names)
        if robin is None:
            robin = _SmoothRoundRobin([b.weight for b in own], self._draw())
            self._robins.keep(names, robin)
        first = own[robin.pick()]
        rest = sorted((b for b in own if b is not first), key=lambda b: -b.weight)
        return [first, *rest]


class _SmoothRoundRobin:
    def __init__(self, weights: list[int], start: float) -> None:
        self._weights = weights
        self._current = [0] * len(weights)
        for _ in range(int(start * sum(weights))):
            self.pick()

    def pick(self) -> int:
        """Return the index of the next pick; the first when all weights are 0."""
        current, weights = self._current, self._weights
        for index, weight in enumerate(weights):
            current[index] += weight
        best = max(range(len(weights)), key=current.__getitem__)
        current[best] -= sum(weights)
        return best
