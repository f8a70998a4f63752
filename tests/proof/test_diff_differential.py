"""The diff against the engine: what each says of the same request under two random policies."""

from random import Random

import attrs
import pytest
from lockgate.policy.reading.load import compiled
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.rules import RouteTo
from pulumi_lockgate.proof import diff as diffs
from pulumi_lockgate.proof import ways
from pulumi_lockgate.proof.diff import Diff, compare
from pulumi_lockgate.proof.route_points import route_points_of

from tests.proof import chances
from tests.proof.differential import Judge


def changed(chance: Random, spec: RouterSpec) -> RouterSpec:
    """Return `spec` with one or two edits, as people make them; its names keep their meaning."""
    for _ in range(chance.randint(1, 2)):
        spec = edited(chance, spec)
    return spec


def edited(chance: Random, spec: RouterSpec) -> RouterSpec:
    rules = list(spec.rules)
    at = chance.randrange(len(rules)) if rules else 0
    kind = chance.choice(("drop", "swap", "open", "default", "route", "known", "swap"))
    if kind == "drop" and rules:
        del rules[at]
    elif kind == "swap" and rules:
        rules.insert(chance.randrange(len(rules)), rules.pop(at))
    elif kind == "open" and rules:
        rules[at] = attrs.evolve(rules[at], fail_closed=not rules[at].fail_closed)
    elif kind == "route" and rules:
        route = RouteTo(backends=tuple(chance.sample("abcd", 2)))
        rules[at] = attrs.evolve(rules[at], route=route)
    elif kind == "default":
        return attrs.evolve(spec, default_route=chance.choice([None, *"abcd"]))
    elif kind == "known":
        held = attrs.evolve(spec.policy.classification, known_classifications=("public",))
        kept = tuple(rule for rule in rules if "lab" not in str(rule.match))
        policy = attrs.evolve(spec.policy, classification=held, invariants=())
        return attrs.evolve(spec, rules=kept, policy=policy)
    return attrs.evolve(spec, rules=tuple(rules))


def check(seed: int, requests: int) -> Diff:
    """Compare the policies of `seed`, and hold the diff to so many requests; AssertionError."""
    chance = Random(seed)
    old = chances.policy(chance, rich=seed % 2 == 0)
    old = attrs.evolve(old, policy=attrs.evolve(old.policy, invariants=()))
    new = changed(chance, old)
    judges = [Judge(compiled(spec)) for spec in (old, new)]
    diff = compare(compiled(old), compiled(new), seconds=20)
    assert not diff.undecided
    told = {(c.old_via.partition(":")[0], c.new_via.partition(":")[0]): c for c in diff.changes}
    for number in range(requests):
        request = chances.request(chance, chances.key_of(old))
        (was, before), (now, after) = (judge.taken(request) for judge in judges)
        change = told.get((was, now))
        assert (before != after) == (change is not None), (seed, number, request, before, after)
        if change is not None:
            assert change.kind == kind_of(old, before, after), (seed, request, change)
            assert diff.widens or change.kind != "WIDENS"
    for change in diff.changes:
        taken = [
            judge.decider.decide(change.witness.model, change.witness.fields).reading
            for judge in judges
        ]
        assert [r.rule_name is not None for r in taken] == [
            change.old_via.startswith("rule "),
            change.new_via.startswith("rule "),
        ]
    return diff


def kind_of(spec: RouterSpec, before: list[str], after: list[str]) -> str:
    """Return the kind of a change, read naively: fallback in order, no two names for one backend."""
    old, new = met(spec, before), met(spec, after)
    if new.keys() - old.keys() or any(old[b] - new[b] for b in new.keys() & old.keys()):
        return "WIDENS"
    if old.keys() - new.keys() or any(new[b] - old[b] for b in new):
        return "NARROWS"
    return "CHANGED"


def met(spec: RouterSpec, chain: list[str]) -> dict[str, set[str]]:
    """Return the cloud backends of a chain with the local ones before each."""
    local = {name for name in chain if spec.backend(name).tier == "local"}
    return {n: local & set(chain[:at]) for at, n in enumerate(chain) if n not in local}


def test_the_diff_and_the_engine_agree_on_four_thousand_pairs() -> None:
    kinds = {change.kind for seed in range(200) for change in check(seed, 20).changes}
    assert kinds == {"WIDENS", "NARROWS", "CHANGED"}


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_they_agree_on_a_hundred_thousand_pairs() -> None:
    for seed in range(1000, 6000):
        check(seed, 20)


@pytest.mark.parametrize(
    ("room", "name", "put"),
    [
        (ways, "stages_of", lambda point: (point.chain,)),
        (
            diffs,
            "route_points_of",
            lambda policy, vocabulary: route_points_of(policy, vocabulary)[:-1],
        ),
        (ways, "_wider", lambda was, now: None),
        (ways, "identity", lambda backend: (backend.tier,)),
    ],
)
def test_a_fault_in_the_diff_is_seen(
    room: object, name: str, put: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, name, put)
    with pytest.raises((AssertionError, KeyError, diffs.ContradictionError)):
        search()


def search() -> None:
    for seed in range(400):
        check(seed, 10)
