"""What the picture shows, before anything is drawn: one track a rule, from its request to its end.

A track is a chain as the policy states it, in order. The tracks of sensitive requests are told
apart: for each rule that can take one, with the labels that come that far. Such a chain may show a
cloud backend, and that is then a leak: the proxy's bound, which would skip it, is not drawn in.
"""

from collections.abc import Iterator
from typing import Literal

from attrs import frozen
from lockgate.policy.spec.backends import Backend
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.rules import Match, Rule

Role = Literal["candidate", "copy", "default", "named"]
"""How a backend stands on a track: tried in order, copied to, the last resort, or by its name."""


@frozen
class Stop:
    """One backend on a track: `order` counts from 1, in the order of trying."""

    backend: str
    tier: Literal["local", "cloud"]
    order: int
    role: Role


@frozen
class Track:
    """One way through the policy.

    `title` names what takes the request and `note` says which requests those are; `number` is the
    rule's, from 1, None where no rule matches. `refuses`: after the last stop there is but a 503.
    """

    title: str
    note: str
    number: int | None
    stops: tuple[Stop, ...]
    sensitive: bool
    refuses: bool

    @property
    def leaks(self) -> bool:
        """Whether a sensitive request has a cloud backend in its chain here."""
        return self.sensitive and any(stop.tier == "cloud" for stop in self.stops)


@frozen
class Picture:
    """A whole policy: its backends with the local tier first, sensitive tracks, all tracks."""

    backends: tuple[Backend, ...]
    sensitive: tuple[Track, ...]
    every: tuple[Track, ...]


def picture(spec: RouterSpec) -> Picture:
    """Return what a picture of `spec` shows."""
    local = tuple(b for b in spec.backends if b.tier == "local")
    cloud = tuple(b for b in spec.backends if b.tier == "cloud")
    return Picture(local + cloud, tuple(_sensitive(spec)), tuple(_every(spec)))


def _every(spec: RouterSpec) -> Iterator[Track]:
    held = spec.policy.classification.sensitive
    for number, rule in enumerate(spec.rules, 1):
        match = rule.match or Match()
        labels = set(match.data_classification)
        stops = _stops(spec, rule)
        note = ", ".join(_conditions(match)) or "every request"
        refuses = rule.fail_closed or not stops
        yield Track(rule.name, note, number, stops, bool(labels & held), refuses)
    yield from _defaults(spec, sensitive=False, note="no rule matches")


def _sensitive(spec: RouterSpec) -> Iterator[Track]:
    """Yield, for each rule that a sensitive request can come to, the labels that come so far."""
    left = sorted(spec.policy.classification.sensitive)
    for number, rule in enumerate(spec.rules, 1):
        match = rule.match or Match()
        stated = match.data_classification
        alone = [label for label in left if not stated or label in stated]
        # a request may carry a label that is not sensitive beside one that is
        beside = sorted(set(stated) - spec.policy.classification.sensitive)
        taken = left if beside else alone
        conditions = list(_conditions(match, labels=False))
        if taken:
            also = [f"also labelled {' or '.join(beside)}"] if taken != alone else []
            note = _by(rule.name, also + conditions)
            yield Track(
                ", ".join(taken), note, number, _stops(spec, rule), sensitive=True, refuses=True
            )
        if not conditions:
            left = [label for label in left if label not in alone]
    if left:
        yield from _defaults(spec, sensitive=True, note=", ".join(left))


def _by(rule: str, conditions: list[str]) -> str:
    return f"taken by {rule}" + (f" if {', '.join(conditions)}" if conditions else "")


def _defaults(spec: RouterSpec, *, sensitive: bool, note: str) -> Iterator[Track]:
    title = note if sensitive else "default route"
    if spec.default_route_strategy == "BackendNameMatch":
        shown = "no rule matches, and the model is a backend's id"
        every = tuple(Stop(b.name, b.tier, 1, "named") for b in spec.backends)
        name = title if sensitive else "name match"
        yield Track(name, shown, None, every, sensitive, refuses=sensitive)
    stops: tuple[Stop, ...] = ()
    if spec.default_route is not None:
        stops = (Stop(spec.default_route, spec.backend(spec.default_route).tier, 1, "default"),)
    shown = "no rule matches" if stops else "no rule matches, and there is no default route"
    yield Track(title, shown, None, stops, sensitive, refuses=sensitive or not stops)


def _stops(spec: RouterSpec, rule: Rule) -> tuple[Stop, ...]:
    """Return the chain of `rule`, narrowed to the capabilities that it requires."""
    names = [] if rule.fail_closed or spec.default_route is None else [spec.default_route]
    required = set(rule.match.required_capabilities if rule.match else ())
    chain = dict.fromkeys([*rule.route.backends, *names])
    capable = [b for b in map(spec.backend, chain) if required <= set(b.capabilities)]
    copied = rule.route.backends[1:] if rule.route.strategy == "shadow" else ()
    stops: list[Stop] = []
    for backend in capable:
        role: Role = "candidate" if backend.name in rule.route.backends else "default"
        role = "copy" if backend.name in copied else role
        order = sum(stop.role != "copy" for stop in stops) + 1
        stops.append(Stop(backend.name, backend.tier, order, role))
    return tuple(stops)


def _conditions(match: Match, *, labels: bool = True) -> Iterator[str]:
    """Say which requests `match` takes, each dimension in a few words."""
    if labels and match.data_classification:
        yield "label " + " or ".join(match.data_classification)
    if match.task_complexity is not None:
        yield f"complexity {match.task_complexity}"
    if match.models:
        yield "model " + " or ".join(match.models)
    for name, value in match.headers.items():
        yield f"{name}: {value}"
    if labels and match.required_capabilities:
        yield "needs " + " and ".join(match.required_capabilities)
