"""Requests as people send them: out of atoms, and through the engine that will decide them."""

from collections.abc import Iterator
from typing import Final

from attrs import frozen
from lockgate.policy.deciding.decide import Decider
from lockgate.policy.deciding.match import COMPLEXITY_HEADER
from lockgate.policy.loaded import LoadedPolicy

from pulumi_lockgate.proof.literals import Again, Junk, Text, Token, Vocabulary
from pulumi_lockgate.proof.query import Request
from pulumi_lockgate.proof.report import ContradictionError, Witness
from pulumi_lockgate.proof.route_points import RoutePoint

UNKNOWN: Final = "no-such-label"
_OWN: Final = ("accept", "content-type", "user-agent")
"""Fields that `curl` sends unasked."""


def witness_of(request: Request, space: Vocabulary) -> Witness:
    """Return `request` with real header fields: labels first, complexity next, then by name."""
    first = [*sorted(space.tokens), COMPLEXITY_HEADER]
    fields = sorted(
        _fields(request, space),
        key=lambda found: (first.index(found[0]) if found[0] in first else len(first), found),
    )
    names = {name for name, _ in fields}
    withheld = tuple(name for name in _OWN if name in space.texts and name not in names)
    return Witness(request.model, tuple(fields), withheld)


def _fields(request: Request, space: Vocabulary) -> Iterator[tuple[str, str]]:
    for name, known in space.tokens.items():
        labels = sorted(a.label for a in request.atoms if isinstance(a, Token) and a.name == name)
        if Junk(name) in request.atoms:
            labels.append(_unknown(known))
        if labels:
            yield name, _unread(labels, space.texts.get(name, ()))
    for atom in request.atoms:
        if isinstance(atom, Text):
            yield atom.name, atom.value
            if Again(atom.name) in request.atoms:
                yield atom.name, atom.value


def _unknown(known: tuple[str, ...]) -> str:
    label = UNKNOWN
    while label in known:
        label += "x"
    return label


def _unread(labels: list[str], texts: tuple[str, ...]) -> str:
    """Return the labels as one value that no rule reads word for word."""
    value = ", ".join(labels)
    while value in texts:
        value += f", {labels[-1]}"
    return value


@frozen
class Checker:
    """Holds witnesses to the runtime's own decisions under `policy`."""

    policy: LoadedPolicy
    decider: Decider

    def confirm(self, witness: Witness, place: RoutePoint, *, sensitive: bool = False) -> None:
        """Raise ContradictionError unless the engine takes `witness` to `place` and its chain."""
        reading = self.decider.decide(witness.model, witness.fields).reading
        told = (reading.via, reading.rule_name, [c.backend for c in reading.considered])
        rule = place.rule.name if place.rule else None
        proved = (place.kind, rule, [backend.name for backend in place.considered])
        if told != proved or (sensitive and not reading.labels.sensitive):
            raise ContradictionError(
                f"the proof takes this request to {proved}, the engine to {told}, sensitive "
                f"{reading.labels.sensitive}; nothing of this proof counts, please report it: "
                f"{witness.curl()}"
            )


def checker(policy: LoadedPolicy) -> Checker:
    """Return a checker over the runtime's decisions."""
    return Checker(policy, Decider(policy))
