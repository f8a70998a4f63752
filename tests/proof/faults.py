"""Faults put into the prover by hand, one at a time: each must make the differential test red."""

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from components.proof import atoms, globs, names, places, question, solve, trial, verdicts
from components.proof.atoms import Atom, Clause, Glob, Space, Stated, Text
from components.proof.places import Passed, Place
from proxy.policy.rules import Match

Patch = pytest.MonkeyPatch
FAULTS: dict[str, Callable[[Patch], None]] = {}


def fault(sentence: str) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    def kept(put: Callable[[Patch], None]) -> Callable[[Patch], None]:
        FAULTS[sentence] = put
        return put

    return kept


def places_with(patch: Patch, change: Callable[[Place], Place]) -> None:
    real = places._places
    patch.setattr(places, "_places", lambda *given: map(change, real(*given)))


def asked_as(patch: Patch, change: Callable[[Match], Match]) -> None:
    real = Space.conditions
    patch.setattr(
        Space, "conditions", lambda self, policy, m: real(self, policy, change(m or Match()))
    )


# -- order and chains


@fault("rules are read last first")
def _(patch: Patch) -> None:
    real = places.places_of

    def swapped(policy: Any, space: Space) -> Any:
        spec = attrs.evolve(policy.spec, rules=policy.spec.rules[::-1])
        return real(attrs.evolve(policy, spec=spec), space)

    patch.setattr(verdicts, "places_of", swapped)


@fault("two neighbouring rules change places")
def _(patch: Patch) -> None:
    real = places.places_of

    def swapped(policy: Any, space: Space) -> Any:
        first, *rest = policy.spec.rules or (None,)
        rules = (rest[0], first, *rest[1:]) if rest else policy.spec.rules
        return real(attrs.evolve(policy, spec=attrs.evolve(policy.spec, rules=rules)), space)

    patch.setattr(verdicts, "places_of", swapped)


@fault("every rule that holds takes the request, not the first")
def _(patch: Patch) -> None:
    places_with(patch, lambda p: attrs.evolve(p, passed=None) if p.kind == "rule" else p)


@fault("the last rule before is forgotten")
def _(patch: Patch) -> None:
    places_with(patch, lambda p: attrs.evolve(p, passed=p.passed and p.passed.before))


@fault("the default route is forgotten where a rule does not fail closed")
def _(patch: Patch) -> None:
    patch.setattr(places, "_names", lambda rule, _: tuple(rule.route.backends))


@fault("the default route is in the chain of rules that fail closed")
def _(patch: Patch) -> None:
    def names_of(rule: Any, default: str | None) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*rule.route.backends, *([default] if default else [])]))

    patch.setattr(places, "_names", names_of)


@fault("only the first backend of a chain counts")
def _(patch: Patch) -> None:
    patch.setattr(
        Place,
        "cloud",
        property(lambda p: next((b for b in p.chain[:1] if b.tier == "cloud"), None)),
    )


@fault("capabilities do not narrow")
def _(patch: Patch) -> None:
    patch.setattr(places, "capable", lambda backends, _: backends)


@fault("one of the capabilities asked for is enough")
def _(patch: Patch) -> None:
    def some(backends: Any, rule: Any) -> Any:
        asked = set(rule.match.required_capabilities if rule.match else ())
        return tuple(b for b in backends if not asked or asked & set(b.capabilities))

    patch.setattr(places, "capable", some)


@fault("name matches are forgotten")
def _(patch: Patch) -> None:
    real = places._places
    patch.setattr(
        places, "_places", lambda *given: (p for p in real(*given) if p.kind != "name_match")
    )


@fault("name matches come before the rules")
def _(patch: Patch) -> None:
    places_with(patch, lambda p: attrs.evolve(p, passed=None) if p.kind == "name_match" else p)


@fault("the default route takes published ids too")
def _(patch: Patch) -> None:
    def blind(place: Place) -> Place:
        passed, ids = place.passed, set("abcd") | {"aa", "ab", "*", "a/b"}
        own = {(atoms.named((atoms.literal(one),)),) for one in ids}
        while place.kind in {"default_route", "none"} and passed and passed.conditions in own:
            passed = passed.before
        return attrs.evolve(place, passed=passed)

    places_with(patch, blind)


@fault("a published id is read as a pattern")
def _(patch: Patch) -> None:
    patch.setattr(places, "literal", lambda name: name)
    patch.setattr(atoms, "literal", lambda name: name)


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
    patch.setattr(Space, "field", lambda _, name, value: frozenset({Text(name, value)}))


@fault("one sensitive label is not sensitive")
def _(patch: Patch) -> None:
    patch.setattr(Space, "sensitive", lambda self, policy: self.labelled(policy, ("pii",)))


@fault("a value that a rule reads word for word carries no label")
def _(patch: Patch) -> None:
    real = Space.labelled

    def blind(self: Space, policy: Any, labels: Any) -> Clause:
        return frozenset(a for a in real(self, policy, labels) if not isinstance(a, Text))

    patch.setattr(Space, "labelled", blind)


@fault("a complexity that is there twice is still stated")
def _(patch: Patch) -> None:
    def twice(self: trial.Trials, found: frozenset[Atom]) -> frozenset[Atom]:
        rest = frozenset(a for a in found if not isinstance(a, Stated))
        return rest | {Stated(v) for v, texts in self._space.stated.items() if rest & set(texts)}

    patch.setattr(trial.Trials, "whole", twice)


@fault("an invariant of unlabelled requests counts labelled ones")
def _(patch: Patch) -> None:
    real = Space.when
    patch.setattr(Space, "when", lambda *given: (real(*given)[0], ()))


@fault("never and only are the same")
def _(patch: Patch) -> None:
    def same(invariant: Any, backend: Any) -> bool:
        return verdicts._among(invariant.never or invariant.only, backend)

    patch.setattr(verdicts, "breaks", same)


# -- names


@fault("a star crosses a slash")
def _(patch: Patch) -> None:
    def crossing(self: globs.Glob, state: globs.State, char: str) -> globs.State:
        number, at = state
        stage = self.stages[number]
        going = at & 1 if stage.star else 0
        for place, one in enumerate(stage.tests):
            if at >> place & 1 and one.takes(ord(char)):
                going |= 2 << place
        if going >> len(stage.tests) & 1 and number + 1 < len(self.stages):
            return (number + 1, 1)
        return (number, going) if going else (0, 0)

    patch.setattr(globs.Glob, "_step", crossing)


@fault("a star gives back what it took")
def _(patch: Patch) -> None:
    real = globs.Glob._step

    def giving(self: globs.Glob, state: globs.State, char: str) -> globs.State:
        after = real(self, state, char)
        stays = self.stages[state[0]].star and char != "/" and after[0] == state[0] + 1
        return state if stays and not self.accepts(after) else after

    patch.setattr(globs.Glob, "_step", giving)


@fault("a class with ^ does not take a slash")
def _(patch: Patch) -> None:
    real = globs.One.takes
    patch.setattr(globs.One, "takes", lambda one, p: real(one, p) and not (one.negated and p == 47))


@fault("a question mark takes a slash")
def _(patch: Patch) -> None:
    real = globs._test

    def wide(pattern: str, at: int) -> Any:
        return (globs.One((), negated=True), at + 1) if pattern[at] == "?" else real(pattern, at)

    patch.setattr(globs, "_test", wide)


@fault("a backslash stands for itself")
def _(patch: Patch) -> None:
    patch.setattr(globs, "_point", lambda pattern, at: (ord(pattern[at]), at + 1))


@fault("the empty name is a name, and long ones are not")
def _(patch: Patch) -> None:
    patch.setattr(globs, "MAX_NAME", 1)


@fault("only characters of patterns are tried")
def _(patch: Patch) -> None:
    real = globs.alphabet
    patch.setattr(globs, "alphabet", lambda given: tuple(c for c in real(given) if c in "ab"))


@fault("a clash forgets the patterns that must not match")
def _(patch: Patch) -> None:
    patch.setattr(
        names.Names, "_smaller", lambda _, clash: attrs.evolve(clash, unwanted=frozenset())
    )


@fault("what is learnt of names is learnt the wrong way round")
def _(patch: Patch) -> None:
    def wrong(self: solve.Solver, clash: names.Clash) -> None:
        self._z3.add(*[self._atom(Glob(pattern)) for pattern in clash.wanted])

    patch.setattr(solve.Solver, "_learn", wrong)


@fault("z3 never finds anything")
def _(patch: Patch) -> None:
    patch.setattr(solve.Solver, "_solved", lambda *_: None)


@fault("a question is asked of half of what is wanted")
def _(patch: Patch) -> None:
    real = question.taken_by

    def half(place: Place) -> question.Question:
        whole = real(place)
        return attrs.evolve(whole, wants=whole.wants[:1])

    patch.setattr(verdicts, "taken_by", half)


@fault("a rule refuses where one of its clauses holds")
def _(patch: Patch) -> None:
    def loose(place: Place) -> Place:
        passed: Passed | None = None
        for conditions in reversed(list(place.passed or ())):
            passed = Passed(conditions[:1], passed)
        return attrs.evolve(place, passed=passed)

    places_with(patch, loose)
