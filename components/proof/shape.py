"""The proof of shape: a direct check over the rules as loaded, without the runtime's bound.

For each smallest set of labels that makes a request sensitive and each place with a cloud backend
in its chain (a rule, the name match, the default route), it asks whether an earlier rule
*certainly* takes every such request before. An earlier rule certainly does when everything it asks
for is implied. What cannot be decided this way is called a leak.

Small sets are enough: more labels only make more rules match, earlier ones included, so that a
covered small set stays covered. An unrecognised label stands for all sensitive ones: a superset.
"""

import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from components.proof.report import Leak, Report, Witness
from components.proof.witness import PLAIN, names_for
from proxy.policy.backends import Backend
from proxy.policy.decide import Decider
from proxy.policy.glob import compile_glob
from proxy.policy.loaded import LoadedPolicy
from proxy.policy.match import COMPLEXITY_HEADER
from proxy.policy.rules import Match, Rule

_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


@frozen
class _Place:
    """Where a chain begins: a rule, or the two ways of the default; `match` is what it asks."""

    name: str
    match: Match
    chain: tuple[Backend, ...]
    position: int

    @property
    def cloud(self) -> Backend | None:
        """The first cloud backend of the chain."""
        return next((backend for backend in self.chain if backend.tier == "cloud"), None)


def prove(policy: LoadedPolicy) -> Report:
    """Check `policy` and return everything that was found."""
    checker = _Checker(policy)
    leaks = tuple(checker.leaks())
    sensitive = sorted(policy.spec.policy.classification.sensitive)
    return Report(
        digest=policy.digest,
        leaks=leaks,
        paths=tuple((label, tuple(checker.path(label))) for label in sensitive),
        without_local=tuple(label for label in sensitive if not checker.has_local(label)),
        unlabelled_cloud=checker.unlabelled(),
        attested=tuple(
            (b.name, b.attested_local) for b in policy.spec.backends if b.attested_local
        ),
    )


class _Checker:
    def __init__(self, policy: LoadedPolicy) -> None:
        self._spec = policy.spec
        self._decider = Decider(policy)
        self._classification = policy.spec.policy.classification
        self._places = tuple(self._all_places())

    # -- the places

    def _all_places(self) -> Iterator[_Place]:
        spec = self._spec
        for position, rule in enumerate(spec.rules):
            match = rule.match or Match()
            names = [*rule.route.backends]
            if not rule.fail_closed and spec.default_route:
                names.append(spec.default_route)
            required = set(match.required_capabilities)
            backends = (spec.backend(name) for name in dict.fromkeys(names))
            chain = tuple(b for b in backends if required <= set(b.capabilities))
            yield _Place(f"rule {rule.name}", match, chain, position)
        end = len(spec.rules)
        if spec.default_route_strategy == "BackendNameMatch":
            for backend in spec.backends:
                match = Match(models=(_literal(backend.published_id),))
                yield _Place(f"name match of {backend.published_id}", match, (backend,), end)
        if spec.default_route is not None:
            chain = (spec.backend(spec.default_route),)
            yield _Place(f"default route {spec.default_route}", Match(), chain, end)

    # -- leaks

    def leaks(self) -> Iterator[Leak]:
        """Yield a leak for each place and label set that no earlier rule certainly takes."""
        for place in self._places:
            cloud = place.cloud
            if cloud is None:
                continue
            for labels in self._label_sets(place.match):
                if not self._covered(place, labels):
                    yield self._leak(place, labels, cloud)

    def _label_sets(self, match: Match) -> Iterator[tuple[str, ...]]:
        """Yield the smallest label sets that are sensitive and that `match` takes."""
        wanted = match.data_classification
        for label in sorted(self._classification.sensitive):
            if not wanted or label in wanted:
                yield (label,)
            else:
                for other in wanted:
                    yield (label, other)

    def _covered(self, place: _Place, labels: tuple[str, ...]) -> bool:
        earlier = self._spec.rules[: place.position]
        return any(_implied(rule, place.match, labels) for rule in earlier)

    def _leak(self, place: _Place, labels: tuple[str, ...], cloud: Backend) -> Leak:
        witness, confirmed = self._witness(place, labels)
        return Leak(
            labels=labels,
            via=place.name,
            backend=cloud.name,
            witness=witness,
            confirmed=confirmed,
            why=self._why(place, labels),
        )

    def _why(self, place: _Place, labels: tuple[str, ...]) -> str:
        label = labels[0]
        for later in self._spec.rules[place.position + 1 :]:
            if label in (later.match or Match()).data_classification:
                return f"{place.name} stands before rule {later.name}, which keeps {label} local"
        for earlier in self._spec.rules[: place.position]:
            if label in (earlier.match or Match()).data_classification:
                return f"rule {earlier.name} takes some {label} requests, not all of them"
        return f"no rule before it takes {label}"

    # -- witnesses

    def _witness(self, place: _Place, labels: tuple[str, ...]) -> tuple[Witness, bool]:
        """Return the simplest request that goes there, and whether the runtime agrees."""
        first: Witness | None = None
        for model in names_for(place.match.models):
            witness = Witness(model, self._headers(place.match, labels))
            first = first or witness
            if self._taken_by(witness) == place.position:
                return witness, True
        return first or Witness(PLAIN, self._headers(place.match, labels)), False

    def _headers(self, match: Match, labels: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        headers = dict(match.headers)
        headers[self._classification.header_key] = ", ".join(labels)
        if match.task_complexity is not None:
            headers[COMPLEXITY_HEADER] = match.task_complexity
        return tuple(headers.items())

    def _taken_by(self, witness: Witness) -> int:
        """Return the position of the rule that the runtime matches, past the last for none."""
        headers = {name.lower(): (value,) for name, value in witness.headers}
        reading = self._decider.decide(witness.model, headers).reading
        rules = self._spec.rules
        return rules.index(reading.rule) if reading.rule is not None else len(rules)

    # -- what else a reviewer wants to know

    def path(self, label: str) -> Iterator[str]:
        """Yield the places that take requests with `label` alone, in order."""
        for place in self._places:
            wanted = place.match.data_classification
            if wanted and label not in wanted:
                continue
            if self._covered(place, (label,)):
                continue
            tiers = "/".join(dict.fromkeys(b.tier for b in place.chain)) or "refused"
            yield f"{place.name} ({tiers})"

    def has_local(self, label: str) -> bool:
        """Whether some place on the label's path has a local backend."""
        return any(
            backend.tier == "local"
            for place in self._places
            for backend in place.chain
            if not place.match.data_classification or label in place.match.data_classification
        )

    def unlabelled(self) -> str | None:
        """Return the first way by which a request without labels reaches a cloud backend."""
        for place in self._places:
            cloud = place.cloud
            if cloud is not None and not place.match.data_classification:
                return f"{place.name} -> {cloud.name}"
        return None


def _literal(name: str) -> str:
    return "".join(f"\\{char}" if char in "*?[\\" else char for char in name)


def _implied(rule: Rule, wanted: Match, labels: tuple[str, ...]) -> bool:
    """Whether `rule` certainly takes every request with `labels` that `wanted` takes."""
    asked = rule.match or Match()
    if asked.data_classification and not set(asked.data_classification) & set(labels):
        return False
    if asked.task_complexity not in {None, wanted.task_complexity}:
        return False
    held = {name.lower(): value for name, value in wanted.headers.items()}
    if any(held.get(name.lower()) != value for name, value in asked.headers.items()):
        return False
    return not asked.models or _all_wider(asked.models, wanted.models)


def _all_wider(wide: tuple[str, ...], narrow: tuple[str, ...]) -> bool:
    """Whether each pattern of `narrow` is certainly inside one of `wide`; no pattern is all."""
    return bool(narrow) and all(any(_wider(w, n) for w in wide) for n in narrow)


def _wider(wide: str, narrow: str) -> bool:
    if wide == narrow:
        return True
    if any(char in _ESCAPED.sub("", narrow) for char in "*?["):
        return False
    return bool(compile_glob(wide)(_ESCAPED.sub(r"\1", narrow)))
