"""Compares two policies: which requests are routed differently, and whether that widens egress.

Every request is read by both policies at once. Two backends are one when they are the same thing:
the same server, model and tier, whatever they are called. A change *widens* egress when a cloud
backend can be met that could not, or is met while fewer local ones have failed before it; it
*narrows* when the reverse holds; otherwise the chain has only changed.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import frozen
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.spec.backends import Backend

from pulumi_lockgate.proof.change import KINDS, Change, Diff, Kind
from pulumi_lockgate.proof.literals import Vocabulary, vocabulary_of
from pulumi_lockgate.proof.query import taken_by
from pulumi_lockgate.proof.report import ContradictionError, Witness
from pulumi_lockgate.proof.route_points import RoutePoint, route_points_of
from pulumi_lockgate.proof.solver import SECONDS, Solver, UndecidedError
from pulumi_lockgate.proof.witness import Checker, checker, witness_of

__all__ = ["Change", "Diff", "compare"]
MOST_CHANGES: Final = 200
"""Classes of requests that are listed; more count as undecided, and so as widening."""
Identity = tuple[Any, ...]
Stages = tuple[frozenset[Identity], ...]


def compare(
    old: LoadedPolicy,
    new: LoadedPolicy,
    *,
    seconds: float = SECONDS,
    now: Callable[[], float] = time.monotonic,
) -> Diff:
    """Return every class of requests whose chain changed; ContradictionError as in `prove`."""
    vocabulary = vocabulary_of((old, new))
    comparison = _Comparison(
        vocabulary=vocabulary,
        old=route_points_of(old, vocabulary),
        new=route_points_of(new, vocabulary),
        solver=Solver(vocabulary, now, seconds),
        checkers=(checker(old), checker(new)),
    )
    changes: list[Change] = []
    undecided: list[str] = []
    try:
        for change in comparison.changes():
            if len(changes) == MOST_CHANGES:
                undecided.append(f"there are more than {MOST_CHANGES} classes of changes")
                break
            changes.append(change)
    except UndecidedError as error:
        undecided.append(str(error))
    changes.sort(key=lambda change: KINDS.index(change.kind))
    return Diff(old.digest, new.digest, tuple(changes), tuple(undecided))


@frozen
class _Comparison:
    vocabulary: Vocabulary
    old: tuple[RoutePoint, ...]
    new: tuple[RoutePoint, ...]
    solver: Solver
    checkers: tuple[Checker, Checker]

    def changes(self) -> Iterator[Change]:
        """Yield a change for each pair of route points, old and new, that some request comes to."""
        options = [(self.solver.literal(taken_by(was)), taken_by(was)) for was in self.old]
        groups: dict[Stages, list[Any]] = {}
        for was, (literal, _) in zip(self.old, options, strict=True):
            groups.setdefault(stages(was), []).append(literal)
        alike = {way: self.solver.either(literals) for way, literals in groups.items()}
        ways = [stages(was) for was in self.old]
        for now in self.new:
            way = stages(now)
            unlike = self.solver.neither(alike.get(way))
            differ = [number for number, other in enumerate(ways) if other != way]
            for found in self.solver.partners(
                taken_by(now), unlike, [options[number] for number in differ]
            ):
                yield self._change(self.old[differ[found]], now)

    def _change(self, was: RoutePoint, now: RoutePoint) -> Change:
        request = self.solver.smallest(taken_by(was) & taken_by(now))
        if request is None:
            raise ContradictionError(
                f"a request of {was.description} and {now.description} is not found again"
            )
        witness = witness_of(request, self.vocabulary)
        self._confirm(witness, was, now)
        kind, reason = kind_of(was, now)
        return Change(
            kind=kind,
            path=now.path,
            old_via=was.description,
            new_via=now.description,
            old_chain=_named(was),
            new_chain=_named(now),
            reason=reason,
            witness=witness,
        )

    def _confirm(self, witness: Witness, was: RoutePoint, now: RoutePoint) -> None:
        self.checkers[0].confirm(witness, was)
        self.checkers[1].confirm(witness, now)


def kind_of(was: RoutePoint, now: RoutePoint) -> tuple[Kind, str]:
    """Return whether the chain of `now` widens or narrows that of `was`, and why."""
    old, new = reach(was), reach(now)
    added = [b.name for b in now.chain if b.tier == "cloud" and identity(b) not in old]
    if added:
        return "WIDENS", _added(added, {backend.name for backend in was.chain})
    sooner = [
        b.name for b in now.chain if b.tier == "cloud" and old[identity(b)] - new[identity(b)]
    ]
    if sooner:
        return "WIDENS", f"{', '.join(sooner)} is met before local backends that stood before it"
    gone = [b.name for b in was.chain if b.tier == "cloud" and identity(b) not in new]
    if gone:
        return "NARROWS", f"{', '.join(gone)} cannot be reached any more"
    if any(new[one] - old[one] for one in new):
        return "NARROWS", "local backends stand before the cloud that did not"
    return "CHANGED", "the same cloud backends, another chain"


def _added(added: list[str], before: set[str]) -> str:
    """Say which backends are new, and which have kept only their name."""
    new = [name for name in added if name not in before]
    moved = [name for name in added if name in before]
    said = [f"{', '.join(new)} can be reached and could not"] if new else []
    said += [f"{', '.join(moved)} is not the backend that it was"] if moved else []
    return "; ".join(said)


def reach(point: RoutePoint) -> dict[Identity, frozenset[Identity]]:
    """Return each cloud backend of a chain with the local ones that must have failed before it."""
    local = {identity(b) for b in point.chain if b.tier == "local"}
    found: dict[Identity, frozenset[Identity]] = {}
    before: frozenset[Identity] = frozenset()
    for stage in stages(point):
        for one in stage - local:
            found.setdefault(one, before)
        before |= stage & local
    return found


def stages(point: RoutePoint) -> Stages:
    """Return a chain as groups: who is in one group may each be met first of it."""
    rule = point.rule
    own = [b for b in point.chain if rule is None or b.name in rule.route.backends]
    rest = [b for b in point.chain if b not in own]
    groups = [[b] for b in own]
    if rule is not None and rule.route.strategy == "weighted":
        groups = [[b for b in own if b.weight], *([b] for b in own if not b.weight)]
    elif rule is not None and rule.route.strategy == "shadow":
        groups = [own]  # a copy goes out without any failure
    groups += [[b] for b in rest]
    return tuple(frozenset(identity(b) for b in group) for group in groups if group)


def identity(backend: Backend) -> Identity:
    """Return what makes a backend the one that it is, without its name and its tuning."""
    return (
        backend.tier,
        backend.inference_service_ref,
        backend.external,
        backend.upstream_model,
        backend.attested_local is not None,
    )


def _named(point: RoutePoint) -> tuple[str, ...]:
    return tuple(f"{backend.name} ({backend.tier})" for backend in point.chain)
