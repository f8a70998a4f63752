"""Faults put into the prover by hand, one at a time: each must make the differential test red."""

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from lockgate.policy.spec.rules import Match
from pulumi_lockgate.proof import (
    checks,
    glob_automata,
    literals,
    model_names,
    query,
    route_points,
    small_models,
    solver,
)
from pulumi_lockgate.proof.literals import Atom, Clause, Glob, Stated, Text, Vocabulary
from pulumi_lockgate.proof.route_points import EarlierRules, RoutePoint

Patch = pytest.MonkeyPatch
FAULTS: dict[str, Callable[[Patch], None]] = {}


def fault(sentence: str) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    def kept(put: Callable[[Patch], None]) -> Callable[[Patch], None]:
        FAULTS[sentence] = put
        return put

    return kept


def points_with(patch: Patch, change: Callable[[RoutePoint], RoutePoint]) -> None:
    real = route_points._route_points
    patch.setattr(route_points, "_route_points", lambda *given: map(change, real(*given)))


def asked_as(patch: Patch, change: Callable[[Match], Match]) -> None:
    real = Vocabulary.conditions
    patch.setattr(
        Vocabulary, "conditions", lambda self, policy, m: real(self, policy, change(m or Match()))
    )


# -- order and chains


@fault("rules are read last first")
def _(patch: Patch) -> None:
    real = route_points.route_points_of

    def swapped(policy: Any, vocabulary: Vocabulary) -> Any:
        spec = attrs.evolve(policy.spec, rules=policy.spec.rules[::-1])
        return real(attrs.evolve(policy, spec=spec), vocabulary)

    patch.setattr(checks, "route_points_of", swapped)


@fault("two neighbouring rules change places")
def _(patch: Patch) -> None:
    real = route_points.route_points_of

    def swapped(policy: Any, vocabulary: Vocabulary) -> Any:
        first, *rest = policy.spec.rules or (None,)
        rules = (rest[0], first, *rest[1:]) if rest else policy.spec.rules
        return real(attrs.evolve(policy, spec=attrs.evolve(policy.spec, rules=rules)), vocabulary)

    patch.setattr(checks, "route_points_of", swapped)


@fault("every rule that holds takes the request, not the first")
def _(patch: Patch) -> None:
    points_with(patch, lambda p: attrs.evolve(p, earlier=None) if p.kind == "rule" else p)


@fault("the last rule before is forgotten")
def _(patch: Patch) -> None:
    points_with(patch, lambda p: attrs.evolve(p, earlier=p.earlier and p.earlier.before))


@fault("the default route is forgotten where a rule does not fail closed")
def _(patch: Patch) -> None:
    patch.setattr(route_points, "_names", lambda _, rule: tuple(rule.route.backends))


@fault("the default route is in the chain of rules that fail closed")
def _(patch: Patch) -> None:
    def names_of(spec: Any, rule: Any) -> tuple[str, ...]:
        default = [spec.default_route] if spec.default_route else []
        return tuple(dict.fromkeys([*rule.route.backends, *default]))

    patch.setattr(route_points, "_names", names_of)


@fault("mode observe is forgotten")
def _(patch: Patch) -> None:
    def names_of(spec: Any, rule: Any) -> tuple[str, ...]:
        default = [spec.default_route] if spec.default_route and not rule.fail_closed else []
        return tuple(dict.fromkeys([*rule.route.backends, *default]))

    patch.setattr(route_points, "_names", names_of)


@fault("only the first backend of a chain counts")
def _(patch: Patch) -> None:
    patch.setattr(
        RoutePoint,
        "cloud",
        property(lambda p: next((b for b in p.chain[:1] if b.tier == "cloud"), None)),
    )


@fault("capabilities do not narrow")
def _(patch: Patch) -> None:
    patch.setattr(route_points, "chain_of", lambda backends, _: backends)


@fault("one of the capabilities asked for is enough")
def _(patch: Patch) -> None:
    def some(backends: Any, rule: Any) -> Any:
        asked = set(rule.match.required_capabilities if rule.match else ())
        return tuple(b for b in backends if not asked or asked & set(b.capabilities))

    patch.setattr(route_points, "chain_of", some)


@fault("name matches are forgotten")
def _(patch: Patch) -> None:
    real = route_points._route_points
    patch.setattr(
        route_points,
        "_route_points",
        lambda *given: (p for p in real(*given) if p.kind != "name_match"),
    )


@fault("name matches come before the rules")
def _(patch: Patch) -> None:
    points_with(patch, lambda p: attrs.evolve(p, earlier=None) if p.kind == "name_match" else p)


@fault("the default route takes published ids too")
def _(patch: Patch) -> None:
    def blind(point: RoutePoint) -> RoutePoint:
        earlier, ids = point.earlier, set("abcd") | {"aa", "ab", "*", "a/b"}
        own = {(literals.named((literals.literal(one),)),) for one in ids}
        while point.kind in {"default_route", "none"} and earlier and earlier.conditions in own:
            earlier = earlier.before
        return attrs.evolve(point, earlier=earlier)

    points_with(patch, blind)


@fault("a published id is read as a pattern")
def _(patch: Patch) -> None:
    patch.setattr(route_points, "literal", lambda name: name)
    patch.setattr(literals, "literal", lambda name: name)


# -- dimensions


@fault("a complexity is not asked for")
def _(patch: Patch) -> None:
    asked_as(patch, lambda match: attrs.evolve(match, task_complexity=None))


@fault("labels are not asked for")
def _(patch: Patch) -> None:
    asked_as(patch, lambda match: attrs.evolve(match, data_classification=()))


@fault("headers are not asked for")
def _(patch: Patch) -> None:
    asked_as(patch, lambda match: attrs.evolve(match, headers={}))


@fault("only the first pattern of a rule counts")
def _(patch: Patch) -> None:
    asked_as(patch, lambda match: attrs.evolve(match, models=match.models[:1]))


@fault("only the first label of a rule counts")
def _(patch: Patch) -> None:
    asked_as(
        patch, lambda match: attrs.evolve(match, data_classification=match.data_classification[:1])
    )


@fault("a header's name counts its case")
def _(patch: Patch) -> None:
    patch.setattr(Vocabulary, "field", lambda _, name, value: frozenset({Text(name, value)}))


@fault("one sensitive label is not sensitive")
def _(patch: Patch) -> None:
    patch.setattr(Vocabulary, "sensitive", lambda self, policy: self.labelled(policy, ("pii",)))


@fault("a value that a rule reads word for word carries no label")
def _(patch: Patch) -> None:
    real = Vocabulary.labelled

    def blind(self: Vocabulary, policy: Any, labels: Any) -> Clause:
        return frozenset(a for a in real(self, policy, labels) if not isinstance(a, Text))

    patch.setattr(Vocabulary, "labelled", blind)


@fault("a complexity that is there twice is still stated")
def _(patch: Patch) -> None:
    def twice(self: small_models.SmallModels, found: frozenset[Atom]) -> frozenset[Atom]:
        rest = frozenset(a for a in found if not isinstance(a, Stated))
        return rest | {
            Stated(v) for v, texts in self._vocabulary.stated.items() if rest & set(texts)
        }

    patch.setattr(small_models.SmallModels, "whole", twice)


@fault("an invariant of unlabelled requests counts labelled ones")
def _(patch: Patch) -> None:
    real = Vocabulary.when
    patch.setattr(Vocabulary, "when", lambda *given: (real(*given)[0], ()))


@fault("never and only are the same")
def _(patch: Patch) -> None:
    def same(invariant: Any, backend: Any) -> bool:
        return backend in (invariant.never or invariant.only)

    patch.setattr(checks, "breaks", same)


# -- names


@fault("a star crosses a slash")
def _(patch: Patch) -> None:
    def crossing(
        self: glob_automata.Glob, state: glob_automata.State, char: str
    ) -> glob_automata.State:
        number, at = state
        stage = self.stages[number]
        going = at & 1 if stage.star else 0
        for point, one in enumerate(stage.tests):
            if at >> point & 1 and one.takes(ord(char)):
                going |= 2 << point
        if going >> len(stage.tests) & 1 and number + 1 < len(self.stages):
            return (number + 1, 1)
        return (number, going) if going else (0, 0)

    patch.setattr(glob_automata.Glob, "_step", crossing)


@fault("a star gives back what it took")
def _(patch: Patch) -> None:
    real = glob_automata.Glob._step

    def giving(
        self: glob_automata.Glob, state: glob_automata.State, char: str
    ) -> glob_automata.State:
        after = real(self, state, char)
        stays = self.stages[state[0]].star and char != "/" and after[0] == state[0] + 1
        return state if stays and not self.accepts(after) else after

    patch.setattr(glob_automata.Glob, "_step", giving)


@fault("a class with ^ does not take a slash")
def _(patch: Patch) -> None:
    real = glob_automata.One.takes
    patch.setattr(
        glob_automata.One, "takes", lambda one, p: real(one, p) and not (one.negated and p == 47)
    )


@fault("a question mark takes a slash")
def _(patch: Patch) -> None:
    real = glob_automata._test

    def wide(pattern: str, at: int) -> Any:
        return (
            (glob_automata.One((), negated=True), at + 1)
            if pattern[at] == "?"
            else real(pattern, at)
        )

    patch.setattr(glob_automata, "_test", wide)


@fault("a backslash stands for itself")
def _(patch: Patch) -> None:
    patch.setattr(glob_automata, "_point", lambda pattern, at: (ord(pattern[at]), at + 1))


@fault("the empty name is a name, and long ones are not")
def _(patch: Patch) -> None:
    patch.setattr(glob_automata, "MAX_NAME", 1)


@fault("only characters of patterns are tried")
def _(patch: Patch) -> None:
    real = glob_automata.alphabet
    patch.setattr(
        glob_automata, "alphabet", lambda given: tuple(c for c in real(given) if c in "ab")
    )


@fault("a clash forgets the patterns that must not match")
def _(patch: Patch) -> None:
    patch.setattr(
        model_names.ModelNames,
        "_smaller",
        lambda _, clash: attrs.evolve(clash, unwanted=frozenset()),
    )


@fault("what is learnt of names is learnt the wrong way round")
def _(patch: Patch) -> None:
    def wrong(self: solver.Solver, clash: model_names.Clash) -> None:
        self._z3.add(*[self._atom(Glob(pattern)) for pattern in clash.wanted])

    patch.setattr(solver.Solver, "_learn", wrong)


@fault("z3 never finds anything")
def _(patch: Patch) -> None:
    patch.setattr(solver.Solver, "_solved", lambda *_: None)


@fault("a question is asked of half of what is wanted")
def _(patch: Patch) -> None:
    real = query.taken_by

    def half(point: RoutePoint) -> query.Query:
        whole = real(point)
        return attrs.evolve(whole, wants=whole.wants[:1])

    patch.setattr(checks, "taken_by", half)


@fault("a rule refuses where one of its clauses holds")
def _(patch: Patch) -> None:
    def loose(point: RoutePoint) -> RoutePoint:
        earlier: EarlierRules | None = None
        for conditions in reversed(list(point.earlier or ())):
            earlier = EarlierRules(conditions[:1], earlier)
        return attrs.evolve(point, earlier=earlier)

    points_with(patch, loose)
