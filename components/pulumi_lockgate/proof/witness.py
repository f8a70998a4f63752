"""Turns an answer of the solver into a request that can be sent, and asks the engine about it."""

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


def witness_of(request: Request, vocabulary: Vocabulary) -> Witness:
    """Return `request` with real header fields: labels first, complexity next, then by name."""
    first = [*sorted(vocabulary.tokens), COMPLEXITY_HEADER]
    fields = sorted(
        _fields(request, vocabulary),
        key=lambda found: (first.index(found[0]) if found[0] in first else len(first), found),
    )
    names = {name for name, _ in fields}
    withheld = tuple(name for name in _OWN if name in vocabulary.texts and name not in names)
    return Witness(request.model, tuple(fields), withheld)


def _fields(request: Request, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    for name, known in vocabulary.tokens.items():
        labels = sorted(a.label for a in request.atoms if isinstance(a, Token) and a.name == name)
        if Junk(name) in request.atoms:
            labels.append(_unknown(known))
        if labels:
            yield name, _unread(labels, vocabulary.texts.get(name, ()))
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
    """Checks witnesses against the decisions that the proxy would make under `policy`."""

    policy: LoadedPolicy
    decider: Decider

    def confirm(self, witness: Witness, point: RoutePoint, *, sensitive: bool = False) -> None:
        """Raise ContradictionError unless the engine takes `witness` to `point` and its chain."""
        reading = self.decider.decide(witness.model, witness.fields).reading
        decided = (reading.via, reading.rule_name, [c.backend for c in reading.considered])
        rule = point.rule.name if point.rule else None
        proved = (point.kind, rule, [backend.name for backend in point.considered])
        if decided != proved or (sensitive and not reading.labels.sensitive):
            raise ContradictionError(
                f"the proof takes this request to {proved}, the engine to {decided}, sensitive "
                f"{reading.labels.sensitive}; this proof proves nothing; please report it: "
                f"{witness.curl()}"
            )


def checker(policy: LoadedPolicy) -> Checker:
    """Return a checker for witnesses under `policy`."""
    return Checker(policy, Decider(policy))
