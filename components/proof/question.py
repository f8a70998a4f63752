"""What is asked about requests, and what answers it."""

from collections.abc import Iterable

from attrs import frozen

from components.proof.atoms import Atom, Clause, Conditions
from components.proof.places import Passed, Place


@frozen
class Question:
    """Asks for a request of which all `wants` hold, and nothing of `refuses` does."""

    wants: Conditions = ()
    refuses: tuple[Passed | None, ...] = ()

    def __and__(self, more: "Question") -> "Question":
        """Return the question for both at once."""
        return Question(self.wants + more.wants, self.refuses + more.refuses)


@frozen
class Request:
    """An answer: the atoms that are there, patterns aside, and the model's name."""

    atoms: frozenset[Atom]
    model: str


def taken_by(place: Place) -> Question:
    """Return the question for requests that `place` takes."""
    return Question(place.conditions, (place.passed,))


def having(*clauses: Clause) -> Question:
    """Return the question for requests of which all `clauses` hold."""
    return Question(clauses)


def refusing(conditions: Iterable[Conditions]) -> Question:
    """Return the question for requests of which none of `conditions` holds."""
    passed: Passed | None = None
    for one in conditions:
        passed = Passed(one, passed)
    return Question((), (passed,))


def lacking(*clauses: Clause) -> Question:
    """Return the question for requests of which none of `clauses` holds."""
    return refusing((clause,) for clause in clauses)
