"""A second solver beside z3: cvc5 (https://cvc5.github.io) is asked every question that z3 is.

It gets the same formulas, translated term by term, and must come to the same verdict. What this
covers is the solver: a fault in z3 cannot make a leak a proof. The encoding is the same for both;
that is held to the engine and to a naive reading by the property tests.
"""

from importlib.metadata import version
from typing import Any, Final, Literal, final

import cvc5
import z3
from lockgate.amount import amount

from pulumi_lockgate.proof.report import ContradictionError

Verdict = Literal["sat", "unsat", "unknown"]
_CONNECTIVES: Final = {
    z3.Z3_OP_AND: cvc5.Kind.AND,
    z3.Z3_OP_OR: cvc5.Kind.OR,
    z3.Z3_OP_NOT: cvc5.Kind.NOT,
    z3.Z3_OP_EQ: cvc5.Kind.EQUAL,
}
_CARDINALITIES: Final = {
    z3.Z3_OP_PB_LE: cvc5.Kind.LEQ,
    z3.Z3_OP_PB_GE: cvc5.Kind.GEQ,
    z3.Z3_OP_PB_AT_MOST: cvc5.Kind.LEQ,
    z3.Z3_OP_PB_AT_LEAST: cvc5.Kind.GEQ,
}


@final
class SecondOpinion:
    """Answers what z3 was asked. `questions` counts them."""

    def __init__(self) -> None:
        self.questions = 0
        self._terms: Any = cvc5.TermManager()
        self._solver: Any = cvc5.Solver(self._terms)
        self._solver.setOption("incremental", "true")
        self._solver.setLogic("QF_LIA")
        self._known: dict[int, tuple[Any, Any]] = {}  # with z3's term, so that its id stays its own

    @property
    def name(self) -> str:
        """The solver and its version."""
        return f"cvc5 {version('cvc5')}"

    @property
    def said(self) -> str:
        """That it agrees, on how many questions."""
        return f"{self.name} agrees on {amount(self.questions, 'question')}"

    def add(self, formula: Any) -> None:
        """Take a formula of z3's that holds from now on."""
        self._solver.assertFormula(self._term(formula))

    def compare(self, verdict: Any, assumed: list[Any], seconds: float) -> None:
        """Ask what z3 was asked; ContradictionError unless the answer is its `verdict`.

        z3's own unknown is compared with nothing. TimeoutError where there is no answer in time.
        """
        if verdict == z3.unknown:
            return
        self.questions += 1
        other, wanted = self._verdict(assumed, seconds), "sat" if verdict == z3.sat else "unsat"
        if other == "unknown":
            raise TimeoutError(f"{self.name} says unknown")
        if other != wanted:
            raise ContradictionError(f"z3 says {wanted}, and {self.name} says {other}")

    def _verdict(self, assumed: list[Any], seconds: float) -> Verdict:
        self._solver.setOption("tlimit-per", str(int(seconds * 1000) + 1))
        answer = self._solver.checkSatAssuming(*map(self._term, assumed))
        if answer.isUnknown():
            return "unknown"
        return "sat" if answer.isSat() else "unsat"

    def _term(self, formula: Any) -> Any:
        known = self._known.get(formula.get_id())
        if known is None:
            known = self._known[formula.get_id()] = (formula, self._translated(formula))
        return known[1]

    def _translated(self, formula: Any) -> Any:
        kind, inner = formula.decl().kind(), [self._term(part) for part in formula.children()]
        if kind == z3.Z3_OP_TRUE:
            return self._terms.mkTrue()
        if kind == z3.Z3_OP_FALSE:
            return self._terms.mkFalse()
        if kind == z3.Z3_OP_UNINTERPRETED and not inner:
            return self._terms.mkConst(self._terms.getBooleanSort(), formula.decl().name())
        if kind in _CONNECTIVES:
            alone = len(inner) == 1 and kind in {z3.Z3_OP_AND, z3.Z3_OP_OR}
            return inner[0] if alone else self._joined(kind, inner)
        return self._cardinality(kind, formula, inner)

    def _joined(self, kind: int, inner: list[Any]) -> Any:
        if not inner:  # of nothing, all hold and none does
            return self._terms.mkBoolean(kind == z3.Z3_OP_AND)
        return self._terms.mkTerm(_CONNECTIVES[kind], *inner)

    def _cardinality(self, kind: int, formula: Any, inner: list[Any]) -> Any:
        """Return that at most, or at least, so many of `inner` hold."""
        bound, *weights = formula.decl().params()
        if kind not in _CARDINALITIES or not set(weights) <= {1}:
            raise NotImplementedError(f"{formula.decl()} is not translated")
        number = self._terms.mkInteger
        ones = [self._terms.mkTerm(cvc5.Kind.ITE, one, number(1), number(0)) for one in inner]
        total = ones[0] if len(ones) == 1 else self._terms.mkTerm(cvc5.Kind.ADD, *ones)
        return self._terms.mkTerm(_CARDINALITIES[kind], total, number(bound))
