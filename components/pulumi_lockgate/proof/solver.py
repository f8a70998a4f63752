"""Answers queries with z3, and checks what z3 says of model names with automata.

z3 knows the patterns as booleans with nothing behind them. Where its answer makes one pattern hold
that no name satisfies beside the ones that must not, that is a fact about the patterns alone, and
goes back to z3 as a clause; then it is asked again. Every clause so learnt holds for good.
"""

import itertools
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import z3
from lockgate.policy.deciding.match import COMPLEXITY_HEADER

from pulumi_lockgate.proof.glob_automata import TooManyStatesError
from pulumi_lockgate.proof.literals import (
    Again,
    Atom,
    Clause,
    Conditions,
    Glob,
    Junk,
    Stated,
    Text,
    Token,
    Vocabulary,
    order,
)
from pulumi_lockgate.proof.model_names import Clash, ModelNames
from pulumi_lockgate.proof.query import Query, Request, refusing
from pulumi_lockgate.proof.report import ContradictionError
from pulumi_lockgate.proof.route_points import EarlierRules
from pulumi_lockgate.proof.small_models import SmallModels, patterns_of

if TYPE_CHECKING:
    from pulumi_lockgate.proof.second_opinion import SecondOpinion

SECONDS: Final = 120.0
"""For one proof, all its queries together."""
_WILD: Final = re.compile(r"[*?\[\\]")
FIRST_SMALL: Final = 3
"""Small requests tried before z3 is asked: most queries that have an answer have a small one."""


class UndecidedError(Exception):
    """A query got no answer in the time or the memory that it may take."""


class Solver:
    """Answers queries in one vocabulary. UndecidedError where it cannot."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        now: Callable[[], float] = time.monotonic,
        seconds: float = SECONDS,
        second: "SecondOpinion | None" = None,
    ) -> None:
        self.vocabulary = vocabulary
        self._second = second
        self._names, self._small = ModelNames(), SmallModels(vocabulary)
        self._now, self._until = now, now() + seconds
        self._z3: Any = z3.SolverFor("QF_FD")
        self._atoms: dict[Atom, Any] = {}
        self._clauses: dict[Clause, Any] = {}
        self._conditions: dict[Conditions, tuple[Any, Any]] = {}
        self._earlier: dict[tuple[int, Conditions], Any] = {}
        self._chains: dict[int, tuple[EarlierRules, Any]] = {}
        self._fresh = itertools.count()
        self._true = z3.BoolVal(val=True)
        self._state_names()
        self._state_complexity()

    # -- queries

    def find(self, query: Query) -> Request | None:
        """Return a request that answers `query`, not the smallest; None when there is none."""
        self._left_s()
        assumed = self._literals(query)
        for atoms in itertools.islice(self._small.requests(query), FIRST_SMALL):
            model = self._named(query, atoms)
            if model is not None:
                return Request(atoms, model)
        return self._solved(query, assumed)

    def smallest(self, query: Query) -> Request | None:
        """Return the request with the fewest fields and labels, then the shortest name.

        Of several the one whose atoms come first in order; so it is the same from run to run.
        """
        self._literals(query)
        for atoms in self._small.requests(query):
            model = self._named(query, atoms, shortest=True)
            if model is not None:
                return Request(atoms, model)
        found = self.find(query)
        return found and self._reduced(query, found)

    def blame(self, query: Query, earlier: EarlierRules | None) -> list[Conditions]:
        """Return a smallest part of `earlier` that leaves no request for `query`."""
        kept = self._core(query, list(earlier or ())[::-1])
        for one in kept:
            if self.find(query & refusing([one])) is None:
                return [one]
        for one in kept:
            rest = [other for other in kept if other is not one]
            if self.find(query & refusing(rest)) is None:
                kept = rest
        return kept

    # -- many queries at once

    def literal(self, query: Query) -> Any:
        """Return what stands for `query` in `partners`."""
        return self._defined("query", z3.And(self._literals(query)))

    def either(self, literals: Iterable[Any]) -> Any:
        """Return a literal for the disjunction of `literals`; false for none."""
        return self._defined("either", z3.Or(list(literals)))

    def neither(self, literal: Any | None) -> Any:
        """Return the negation of `literal`, or true for None."""
        return self._true if literal is None else z3.Not(literal)

    def partners(
        self, query: Query, among: Any, options: Sequence[tuple[Any, Query]]
    ) -> Iterator[int]:
        """Yield which of `options` meet `query` in a request of which `among` holds.

        One of `options` must hold wherever `query` and `among` do.
        """
        assumed = [*self._literals(query), among]
        while (answer := self._model(assumed)) is not None:
            atoms = self._present(answer)
            found = [n for n, (literal, _) in enumerate(options) if z3.is_true(answer[literal])]
            for number in found:  # more than one, while z3 does not know that two names differ
                literal, option = options[number]
                self._agree(query & option, atoms)
                if self._named(query & option, atoms) is not None:
                    assumed.append(z3.Not(literal))
                    yield number

    # -- one answer

    def _solved(self, query: Query, assumed: list[Any]) -> Request | None:
        while (answer := self._model(assumed)) is not None:
            atoms = self._present(answer)
            self._agree(query, atoms)
            model = self._named(query, atoms)
            if model is not None:
                return Request(atoms, model)
        return None

    def _model(self, assumed: list[Any]) -> Any:
        """Return z3's model, None where there is none. UndecidedError where z3 says unknown."""
        self._z3.set("timeout", int(self._left_s() * 1000) + 1)
        verdict = self._z3.check(*assumed)
        if self._second is not None:
            self._compare(self._second, verdict, assumed)
        if verdict == z3.unsat:
            return None
        if verdict != z3.sat:
            raise UndecidedError(f"z3 says unknown: {self._z3.reason_unknown()}")
        return self._z3.model()

    def _compare(self, second: "SecondOpinion", verdict: Any, assumed: list[Any]) -> None:
        try:
            second.compare(verdict, assumed, self._left_s())
        except TimeoutError as error:
            raise UndecidedError(str(error)) from None

    def _add(self, formula: Any) -> None:
        self._z3.add(formula)
        if self._second is not None:
            self._second.add(formula)

    def _left_s(self) -> float:
        left_s = self._until - self._now()
        if left_s <= 0:
            raise UndecidedError("the time for the whole proof is over")
        return left_s

    def _present(self, answer: Any) -> frozenset[Atom]:
        """Return the atoms that are true in z3's model, without patterns."""
        return frozenset(
            atom
            for atom, literal in self._atoms.items()
            if not isinstance(atom, Glob) and z3.is_true(answer[literal])
        )

    def _agree(self, query: Query, atoms: frozenset[Atom]) -> None:
        """Raise ContradictionError unless z3's model answers the query, or it would never end."""
        refused = self._small.unwanted(query.refuses, atoms) is None
        if refused or not self._small.holds(query, atoms) or self._small.whole(atoms) != atoms:
            raise ContradictionError("z3's model does not answer the query that it was given")

    def _named(self, query: Query, atoms: frozenset[Atom], *, shortest: bool = False) -> str | None:
        """Return a model name for a request with `atoms`; None when no name fits."""
        unwanted = self._small.unwanted(query.refuses, atoms)
        if unwanted is None or not self._small.holds(query, atoms):
            return None
        wanted = [patterns for c in query.wants if (patterns := patterns_of(c))]
        names = []
        for chosen in itertools.product(*(sorted(patterns) for patterns in wanted)):
            self._left_s()
            name = self._name(frozenset(chosen), unwanted, shortest=shortest)
            if isinstance(name, Clash):
                self._learn(name)
            elif not shortest:
                return name
            else:
                names.append(name)
        return min(names, key=lambda name: (len(name), name), default=None)

    def _name(
        self, wanted: frozenset[str], unwanted: frozenset[str], *, shortest: bool
    ) -> str | Clash:
        try:
            choose = self._names.first if shortest else self._names.any
            return choose(wanted, unwanted)
        except TooManyStatesError as error:
            shown = ", ".join(sorted(wanted)) or "of earlier rules"
            raise UndecidedError(f"the patterns {shown} took {error}") from None

    def _learn(self, clash: Clash) -> None:
        literals = [z3.Not(self._atom(Glob(pattern))) for pattern in sorted(clash.wanted)]
        literals += [self._atom(Glob(pattern)) for pattern in sorted(clash.unwanted)]
        self._add(z3.Or(literals))

    def _reduced(self, query: Query, found: Request) -> Request:
        """Return `found` without the atoms that it does not need."""
        for atom in sorted(found.atoms, key=order):
            atoms = self._small.whole(found.atoms - {atom})
            model = self._named(query, atoms, shortest=True)
            if model is not None:
                found = Request(atoms, model)
        return found

    def _core(self, query: Query, suspects: list[Conditions]) -> list[Conditions]:
        """Return those of `suspects` that z3 needed to find no request."""
        refused: dict[int, Conditions] = {}
        for one in suspects:
            self._holds(one)
            refused.setdefault(self._conditions[one][1].get_id(), one)
        assumed = self._literals(query) + [self._conditions[one][1] for one in refused.values()]
        if self._solved(query & refusing(suspects), assumed) is not None:
            raise ContradictionError("there is a request after all")
        needed = {literal.get_id() for literal in self._z3.unsat_core()}
        return [one for number, one in refused.items() if number in needed]

    # -- formulas

    def _literals(self, query: Query) -> list[Any]:
        """Return the literals to assume: one for each clause wanted, one for all earlier rules."""
        wants = [self._clause(clause) for clause in query.wants]
        return wants + [self._none_of(earlier) for earlier in query.refuses if earlier]

    def _atom(self, atom: Atom) -> Any:
        literal = self._atoms.get(atom)
        if literal is None:
            literal = self._atoms[atom] = z3.Bool(f"atom {len(self._atoms)}")
            if isinstance(atom, Glob):
                self._names.add(atom.pattern)
        return literal

    def _clause(self, clause: Clause) -> Any:
        if clause not in self._clauses:
            literals = [self._atom(atom) for atom in sorted(clause, key=order)]
            self._clauses[clause] = self._defined("clause", z3.Or(literals))
        return self._clauses[clause]

    def _holds(self, conditions: Conditions) -> Any:
        if conditions not in self._conditions:
            literals = [self._clause(clause) for clause in conditions]
            literal = self._defined("match", z3.And(literals))
            self._conditions[conditions] = (literal, z3.Not(literal))
        return self._conditions[conditions][0]

    def _none_of(self, earlier: EarlierRules) -> Any:
        """Return the literal that nothing of `earlier` holds: a chain, one step for each rule."""
        steps = []
        at: EarlierRules | None = earlier
        while at is not None and id(at) not in self._chains:
            steps.append(at)
            at = at.before
        none = self._chains[id(at)][1] if at is not None else self._true
        for step in reversed(steps):
            key = (none.get_id(), step.conditions)  # two policies share what they begin with
            if key not in self._earlier:
                both = z3.And(none, z3.Not(self._holds(step.conditions)))
                self._earlier[key] = self._defined("earlier", both)
            none = self._earlier[key]
            self._chains[id(step)] = (step, none)
        return none

    def _defined(self, kind: str, formula: Any) -> Any:
        literal = z3.Bool(f"{kind} {next(self._fresh)}")
        self._add(literal == formula)
        return literal

    def _state_names(self) -> None:
        """Tell z3 that a request names one model: of patterns without wildcards, one can hold."""
        single = [p for p in self.vocabulary.patterns if not _WILD.search(p)]
        literals = [(self._atom(Glob(pattern)), 1) for pattern in single]
        if literals:
            self._add(z3.PbLe(literals, 1))

    def _state_complexity(self) -> None:
        """Define `Stated`: exactly one complexity field is there, and its text says so."""
        texts = [
            Text(COMPLEXITY_HEADER, v) for v in self.vocabulary.texts.get(COMPLEXITY_HEADER, ())
        ]
        if not texts:
            return
        literals = [self._atom(text) for text in texts]
        known = self.vocabulary.tokens.get(COMPLEXITY_HEADER, ())
        labels: list[Atom] = [Token(COMPLEXITY_HEADER, label) for label in known]
        labels += [Junk(COMPLEXITY_HEADER)] if known else []
        other = [self._atom(atom) for atom in labels]
        many = z3.Or(
            self._atom(Again(COMPLEXITY_HEADER)),
            z3.PbGe([(literal, 1) for literal in literals], 2),
            z3.And(z3.Or(literals), z3.Or(other)),
        )
        for value, said in self.vocabulary.stated.items():
            says = z3.Or([self._atom(text) for text in said])
            self._add(self._atom(Stated(value)) == z3.And(says, z3.Not(many)))
