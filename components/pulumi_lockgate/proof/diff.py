"""Compares two policies: which requests are routed differently, and whether that widens egress.

Every request is read by both policies at once. Two backends are one when they are the same server,
asked for the same model, whatever they are called. A server is *outside* when it is of the cloud
tier, or counts as local by nothing but what the policy says of it (`servers`). A change *widens*
when a server outside can be met that could not, when a cloud is met while fewer local ones have
failed before it, or when clouds are sent a larger share; it *narrows* when the reverse holds;
otherwise the chain has only changed.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import frozen
from lockgate.policy.loaded import LoadedPolicy

from pulumi_lockgate.proof.change import KINDS, Change, Diff
from pulumi_lockgate.proof.literals import Vocabulary, vocabulary_of
from pulumi_lockgate.proof.query import taken_by
from pulumi_lockgate.proof.report import ContradictionError, Witness
from pulumi_lockgate.proof.route_points import RoutePoint, route_points_of
from pulumi_lockgate.proof.solver import SECONDS, Solver, UndecidedError
from pulumi_lockgate.proof.ways import Way, kind_of, told_apart, way_of
from pulumi_lockgate.proof.witness import Checker, checker, witness_of

__all__ = ["Change", "Diff", "compare"]
MOST_CHANGES: Final = 200
"""Classes of requests that are listed; more count as undecided, and so as widening."""


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
        old=tuple(way_of(point) for point in route_points_of(old, vocabulary)),
        new=tuple(way_of(point) for point in route_points_of(new, vocabulary)),
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
    old: tuple[Way, ...]
    new: tuple[Way, ...]
    solver: Solver
    checkers: tuple[Checker, Checker]

    def changes(self) -> Iterator[Change]:
        """Yield a change for each pair of route points, old and new, that some request comes to."""
        options = [
            (self.solver.literal(taken_by(was.point)), taken_by(was.point)) for was in self.old
        ]
        groups: dict[Any, list[Any]] = {}
        for was, (literal, _) in zip(self.old, options, strict=True):
            groups.setdefault(was.key, []).append(literal)
        alike = {key: self.solver.either(literals) for key, literals in groups.items()}
        for now in self.new:
            unlike = self.solver.neither(alike.get(now.key))
            differ = [number for number, was in enumerate(self.old) if was.key != now.key]
            for found in self.solver.partners(
                taken_by(now.point), unlike, [options[number] for number in differ]
            ):
                yield self._change(self.old[differ[found]], now)

    def _change(self, was: Way, now: Way) -> Change:
        old, new = was.point, now.point
        request = self.solver.smallest(taken_by(old) & taken_by(new))
        if request is None:
            raise ContradictionError(
                f"a request of {old.description} and {new.description} is not found again"
            )
        witness = witness_of(request, self.vocabulary)
        self._confirm(witness, old, new)
        kind, reason, met = kind_of(was, now)
        old_chain, new_chain = told_apart(was, now)
        return Change(
            kind=kind,
            path=new.path,
            old_via=old.description,
            new_via=new.description,
            old_chain=old_chain,
            new_chain=new_chain,
            reason=reason,
            witness=witness,
            labels=self._labels(witness),
            met=tuple(backend.name for backend in met),
        )

    def _labels(self, witness: Witness) -> tuple[str, ...]:
        reading = self.checkers[1].decider.decide(witness.model, witness.fields).reading
        return tuple(sorted(reading.labels.names))

    def _confirm(self, witness: Witness, was: RoutePoint, now: RoutePoint) -> None:
        self.checkers[0].confirm(witness, was)
        self.checkers[1].confirm(witness, now)
