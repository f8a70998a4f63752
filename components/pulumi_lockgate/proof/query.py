"""What is asked about requests, and what answers it."""

from collections.abc import Iterable

from attrs import frozen

from pulumi_lockgate.proof.literals import Atom, Clause, Conditions
from pulumi_lockgate.proof.route_points import EarlierRules, RoutePoint


@frozen
class Question:
    """Asks for a request of which all `wants` hold, and nothing of `refuses` does."""

    wants: Conditions = ()
    refuses: tuple[EarlierRules | None, ...] = ()

    def __and__(self, more: "Question") -> "Question":
        """Return the question for both at once."""
        return Question(self.wants + more.wants, self.refuses + more.refuses)


@frozen
class Request:
    """An answer: the atoms that are there, patterns aside, and the model's name."""

    atoms: frozenset[Atom]
    model: str


def taken_by(place: RoutePoint) -> Question:
    """Return the question for requests that `place` takes."""
    return Question(place.conditions, (place.passed,))


def having(*clauses: Clause) -> Question:
    """Return the question for requests of which all `clauses` hold."""
    return Question(clauses)


def refusing(conditions: Iterable[Conditions]) -> Question:
    """Return the question for requests of which none of `conditions` holds."""
    passed: EarlierRules | None = None
    for one in conditions:
        passed = EarlierRules(one, passed)
    return Question((), (passed,))


def lacking(*clauses: Clause) -> Question:
    """Return the question for requests of which none of `clauses` holds."""
    return refusing((clause,) for clause in clauses)
