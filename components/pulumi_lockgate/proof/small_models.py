"""Small requests, tried before a solver is asked, smallest first.

No clause asks for an absence, and more atoms only make more rules match. So a smallest answer has
one atom for each clause that is wanted and nothing else; those sets are few, and are tried in order
of size. What is found this way is found for certain; that there is nothing, only the solver says.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from attrs import frozen
from lockgate.policy.deciding.match import COMPLEXITY_HEADER

from pulumi_lockgate.proof.literals import (
    Again,
    Atom,
    Clause,
    Conditions,
    Glob,
    Junk,
    Stated,
    Text,
    Vocabulary,
    order,
)
from pulumi_lockgate.proof.query import Question
from pulumi_lockgate.proof.route_points import EarlierRules

MOST_SETS: Final = 4096
"""Sets of atoms that are put in order for one question."""
Chosen = Callable[[frozenset[str], frozenset[str]], str | None]


@frozen
class Parts:
    """Conditions taken apart: clauses without patterns, and the patterns if any are asked for."""

    clauses: tuple[Clause, ...]
    patterns: frozenset[str] | None


class Trials:
    """Tries small requests for questions about one space."""

    def __init__(self, space: Vocabulary) -> None:
        self._space = space
        self._parts: dict[Conditions, Parts] = {}

    def requests(self, question: Question) -> Iterator[frozenset[Atom]]:
        """Yield sets of atoms of which all `wants` hold, patterns aside; the smallest first."""
        wanted = [clause for clause in question.wants if not patterns_of(clause)]
        choices = [self._choices(clause) for clause in wanted]
        sets = itertools.islice(itertools.product(*choices), MOST_SETS)
        ordered = sorted({frozenset().union(*chosen) for chosen in sets}, key=_size)
        for atoms in ordered:
            yield self.whole(atoms)
        again = Again(COMPLEXITY_HEADER)
        for atoms in ordered:
            if any(isinstance(atom, Text) and atom.name == COMPLEXITY_HEADER for atom in atoms):
                yield self.whole(atoms | {again})

    def whole(self, atoms: frozenset[Atom]) -> frozenset[Atom]:
        """Return `atoms` with what they state, by the definition of `Stated`."""
        atoms = frozenset(atom for atom in atoms if not isinstance(atom, Stated))
        fields = [a for a in atoms if getattr(a, "name", None) == COMPLEXITY_HEADER]
        if len(fields) != 1:
            return atoms
        said = (Stated(value) for value, texts in self._space.stated.items() if fields[0] in texts)
        return atoms | set(said)

    def holds(self, question: Question, atoms: frozenset[Atom]) -> bool:
        """Whether everything wanted holds, patterns aside."""
        return all(patterns_of(c) or not c.isdisjoint(atoms) for c in question.wants)

    def unwanted(
        self, refuses: Iterable[EarlierRules | None], atoms: frozenset[Atom]
    ) -> frozenset[str] | None:
        """Return the patterns that must not take the name; None when a refusal holds anyway."""
        found: set[str] = set()
        for passed in refuses:
            for conditions in passed or ():
                parts = self._parts.get(conditions) or self._apart(conditions)
                if any(clause.isdisjoint(atoms) for clause in parts.clauses):
                    continue
                if parts.patterns is None:
                    return None
                found |= parts.patterns
        return frozenset(found)

    def _choices(self, clause: Clause) -> list[frozenset[Atom]]:
        """Return the ways to make a clause hold: an atom each."""
        chosen: list[frozenset[Atom]] = []
        for atom in sorted(clause, key=order):
            if isinstance(atom, Stated):
                chosen += [frozenset({text}) for text in self._space.stated[atom.value]]
            else:
                chosen.append(frozenset({atom}))
        return chosen

    def _apart(self, conditions: Conditions) -> Parts:
        patterns = [patterns_of(clause) for clause in conditions if patterns_of(clause)]
        assert len(patterns) <= 1, "what is refused names models once"
        clauses = tuple(clause for clause in conditions if not patterns_of(clause))
        parts = Parts(clauses, patterns[0] if patterns else None)
        self._parts[conditions] = parts
        return parts


def patterns_of(clause: Clause) -> frozenset[str]:
    """Return the patterns of a clause; a clause has nothing but patterns, or none."""
    return frozenset(atom.pattern for atom in clause if isinstance(atom, Glob))


def _size(atoms: frozenset[Atom]) -> tuple[int, list[tuple[str, ...]]]:
    """Fewest first. A token that nobody knows stands for many labels: naming them is clearer."""
    weights = (1000 if isinstance(atom, Junk) else 1 for atom in atoms)
    return sum(weights), sorted(order(atom) for atom in atoms)
