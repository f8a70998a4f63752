"""What a picture of a policy shows: one row for each rule, from its requests to their backends.

The rows are the proof's own: its route points, and its report of which sensitive requests come to
each. So a picture never shows a leak that `check` does not find, nor leaves one out. The runtime's
bound, which would skip a cloud backend for a sensitive request, is not drawn.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from attrs import evolve, frozen
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.spec.backends import Backend, Tier
from lockgate.policy.spec.rules import Match

from pulumi_lockgate.proof.literals import vocabulary_of
from pulumi_lockgate.proof.report import Finding, Reached, Report, verdict
from pulumi_lockgate.proof.route_points import RoutePoint, route_points_of

Role = Literal["candidate", "share", "copy", "default", "named"]
"""How a row uses a backend: tried in order, given a share of the requests, sent copies, the last
resort, or asked for by its name."""


@frozen
class Stop:
    """One backend of a row. `order` counts from 1, in the order of trying.

    `percent` is the share of the requests (role share), or of the answered ones that are copied.
    """

    backend: str
    tier: Tier
    order: int
    role: Role
    percent: int | None = None

    @property
    def sign(self) -> str:
        """What stands in the picture for it."""
        if self.percent is not None:
            return f"{self.percent}%"
        return "=" if self.role == "named" else str(self.order)


@frozen
class Row:
    """One way through the policy.

    `title` names what takes the requests, or the labels of sensitive ones, and `note` says which
    requests those are; `number` is the rule's, from 1, None where no rule matches. `sensitive`:
    sensitive requests come here. `refuses`: after the last backend there is only a 503. `leaks`:
    the proof found a sensitive request that has a cloud backend in its chain here.
    """

    title: str
    note: str
    number: int | None
    stops: tuple[Stop, ...]
    sensitive: bool
    refuses: bool
    leaks: bool = False
    is_by_label: bool = False

    @property
    def is_numbered(self) -> bool:
        """Whether its number stands before its title."""
        return self.number is not None and not self.is_by_label


@frozen
class Picture:
    """A whole policy with its verdict. `backends` are in columns: local first, by first use.

    `sensitive` has a row for each place where sensitive requests are taken, `every` for each rule
    and the default route.
    """

    backends: tuple[Backend, ...]
    sensitive: tuple[Row, ...]
    every: tuple[Row, ...]
    proved: bool
    verdict: str
    digest: str


def picture(policy: LoadedPolicy, report: Report) -> Picture:
    """Return what a picture of `policy` shows; `report` is its proof, with `reached`."""
    points = route_points_of(policy, vocabulary_of((policy,)))
    reached = report.reached
    if reached is None or report.digest != policy.digest:
        raise ValueError("the report is not of this policy, or has no `reached`")
    known = tuple(zip(points, reached, strict=True))
    dead = {found.path for found in report.findings if found.kind == "dead_rule"}
    leaks = [found for found in report.findings if found.kind == "leak"]
    every = tuple(_rows(known, dead))
    return Picture(
        backends=tuple(_by_first_use(policy.spec.backends, every)),
        sensitive=tuple(_sensitive(known, leaks)),
        every=every,
        proved=report.proved,
        verdict=": ".join(verdict(report)),
        digest=policy.digest,
    )


def _by_first_use(backends: tuple[Backend, ...], rows: Iterable[Row]) -> Iterator[Backend]:
    used = dict.fromkeys(stop.backend for row in rows for stop in row.stops)
    points = {name: number for number, name in enumerate(used)}
    last = len(points)
    yield from sorted(backends, key=lambda b: (b.tier != "local", points.get(b.name, last)))


_Known = tuple[tuple[RoutePoint, Reached | None], ...]


def _rows(known: _Known, dead: set[str]) -> Iterator[Row]:
    number = 0
    for point, reached in _merged(known):
        sensitive = reached is None or bool(reached.labels)
        if point.rule is not None:
            number += 1
            conditions = ", ".join(_conditions(point.rule.match or Match())) or "every request"
            note = f"{conditions}; takes no request" if point.path in dead else conditions
            stops, refuses = _stops(point), point.rule.fail_closed or not point.chain
            note = f"{note}; refused" if point.refuses else note
            yield Row(point.name, note, number, stops, sensitive, refuses)
        elif point.kind == "name_match":
            note = "no rule matches, and the model is a backend's id"
            yield Row("name match", note, None, _stops(point), sensitive, refuses=False)
        else:
            yield Row(
                "default route", _default(point), None, _stops(point), sensitive, not point.chain
            )


def _sensitive(known: _Known, leaks: list[Finding]) -> Iterator[Row]:
    number = 0
    for point, reached in _merged((p, r) for p, r in known if p.rule or r is None or r.labels):
        number += point.rule is not None
        if reached is not None and not reached.labels:
            continue
        title = "not decided" if reached is None else ", ".join(reached.labels)
        yield Row(
            title,
            _taken_by(point, number, reached),
            number if point.rule else None,
            _stops(point),
            sensitive=True,
            refuses=True,
            leaks=any(found.path == point.path for found in leaks),
            is_by_label=True,
        )


def _merged(known: Iterable[tuple[RoutePoint, Reached | None]]) -> _Known:
    """Return the route points with all name matches as one."""
    found: list[tuple[RoutePoint, Reached | None]] = []
    for point, reached in known:
        if not found or point.kind != "name_match" or found[-1][0].kind != "name_match":
            found.append((point, reached))
            continue
        before, labels = found.pop()
        merged = evolve(before, chain=before.chain + point.chain)
        found.append((merged, _both(labels, reached)))
    return tuple(found)


def _both(one: Reached | None, other: Reached | None) -> Reached | None:
    if one is None or other is None:
        return None
    labels = tuple(sorted({*one.labels, *other.labels}))
    return Reached(labels, one.alone and other.alone)


def _taken_by(point: RoutePoint, number: int, reached: Reached | None) -> str:
    if point.rule is None:
        return "by its name" if point.kind == "name_match" else _default(point)
    match = point.rule.match or Match()
    conditions = list(_conditions(match, labels=False))
    if reached is not None and not reached.alone:
        conditions.insert(0, f"also labelled {' or '.join(match.data_classification)}")
    return f"taken by {number} {point.name}" + (
        f" if {', '.join(conditions)}" if conditions else ""
    )


def _default(point: RoutePoint) -> str:
    return "no rule matches" if point.chain else "no rule matches, and there is no default route"


def _stops(point: RoutePoint) -> tuple[Stop, ...]:
    """Return the chain of a route point as its strategy uses it."""
    route = point.rule.route if point.rule else None
    own = route.backends if route is not None else ()
    strategy = route.strategy if route is not None else "primary-fallback"
    total = sum(b.weight for b in point.chain if b.name in own)
    stops: list[Stop] = []
    for backend in point.chain:
        tried = [stop for stop in stops if stop.role not in {"copy", "share"}]
        order = len(tried) + 1 + any(stop.role == "share" for stop in stops)
        role: Role = "candidate" if backend.name in own else "default"
        percent = None
        if point.kind == "name_match":
            role, order = "named", 1
        elif strategy == "weighted" and backend.name in own and backend.weight:
            role, percent = "share", round(100 * backend.weight / total)
        elif route is not None and strategy == "shadow" and backend.name in own[1:]:
            role, percent = "copy", route.shadow_percent
        stops.append(Stop(backend.name, backend.tier, order, role, percent))
    return tuple(stops)


def _conditions(match: Match, *, labels: bool = True) -> Iterator[str]:
    """Yield what `match` asks of requests, each dimension in a few words."""
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


def in_words(row: Row) -> str:
    """Return a row as a sentence, for those who do not see the picture."""
    rule = f"rule {row.number}, " if row.is_numbered else ""
    stops = [f"{stop.backend} ({stop.tier}{_role(stop)})" for stop in row.stops]
    ends = ["503"] if row.refuses and not row.leaks else []
    leak = ": a leak" if row.leaks else ""
    return f"{rule}{row.title} ({row.note}): {', then '.join(stops + ends)}{leak}"


def _role(stop: Stop) -> str:
    """Return how a row uses a backend, as the end of a list in words."""
    words = {
        "default": ", the default route",
        "named": ", by its name",
        "share": f", {stop.percent} percent of the requests",
        "copy": f", copies of {stop.percent} percent",
    }
    return words.get(stop.role, "")


def distinct(names: Iterable[str], most: int) -> dict[str, str]:
    """Return each name cut to about `most` characters, so that no two become the same text."""
    whole = tuple(dict.fromkeys(names))
    while True:
        ends = {name: _cut(name, most) for name in whole}
        if len(set(ends.values())) == len(whole):
            return ends
        middles = {name: _cut(name, most, most // 2) for name in whole}
        if len(set(middles.values())) == len(whole):
            return middles
        most += 8


def _cut(text: str, most: int, tail: int = 0) -> str:
    """Return `text` in `most` characters, the last `tail` of them from its end."""
    if len(text) <= most:
        return text
    return text[: most - tail - 1] + "…" + text[len(text) - tail :]
