"""Finds small requests for a query without a solver, the smallest first.

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
from pulumi_lockgate.proof.query import Query
from pulumi_lockgate.proof.route_points import EarlierRules

MOST_SETS: Final = 4096
"""Sets of atoms that are put in order for one query."""
Chosen = Callable[[frozenset[str], frozenset[str]], str | None]


@frozen
class Parts:
    """Conditions in two parts: clauses without patterns, and the patterns where there are any."""

    clauses: tuple[Clause, ...]
    patterns: frozenset[str] | None


class SmallModels:
    """Finds small requests for queries in one vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._parts: dict[Conditions, Parts] = {}

    def requests(self, query: Query) -> Iterator[frozenset[Atom]]:
        """Yield sets of atoms of which all `wants` hold, patterns aside; the smallest first."""
        wanted = [clause for clause in query.wants if not patterns_of(clause)]
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
        said = (
            Stated(value) for value, texts in self._vocabulary.stated.items() if fields[0] in texts
        )
        return atoms | set(said)

    def holds(self, query: Query, atoms: frozenset[Atom]) -> bool:
        """Whether all that the query wants holds of `atoms`; patterns are left out."""
        return all(patterns_of(c) or not c.isdisjoint(atoms) for c in query.wants)

    def unwanted(
        self, refuses: Iterable[EarlierRules | None], atoms: frozenset[Atom]
    ) -> frozenset[str] | None:
        """Return the patterns that must not match the model; None where no model would do."""
        found: set[str] = set()
        for earlier in refuses:
            for conditions in earlier or ():
                parts = self._parts.get(conditions) or self._apart(conditions)
                if any(clause.isdisjoint(atoms) for clause in parts.clauses):
                    continue
                if parts.patterns is None:
                    return None
                found |= parts.patterns
        return frozenset(found)

    def _choices(self, clause: Clause) -> list[frozenset[Atom]]:
        """Return the sets of atoms that make a clause hold, one atom each."""
        chosen: list[frozenset[Atom]] = []
        for atom in sorted(clause, key=order):
            if isinstance(atom, Stated):
                chosen += [frozenset({text}) for text in self._vocabulary.stated[atom.value]]
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
    """Sort key: fewest atoms first. An unknown label counts 1000: named ones are preferred."""
    weights = (1000 if isinstance(atom, Junk) else 1 for atom in atoms)
    return sum(weights), sorted(order(atom) for atom in atoms)
