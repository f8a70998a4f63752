"""What the prover shows is a policy test to keep: it fails on the policy that it was found in."""

import json
from typing import Any

from attrs import evolve
from hypothesis import assume, given
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.load import compiled
from lockgate.policy.spec.model_router import RouterSpec
from pulumi_lockgate.policytests.runner import run
from pulumi_lockgate.policytests.suite import load_suite, unknown_names
from pulumi_lockgate.proof.checks import prove
from pulumi_lockgate.proof.diff import compare

from tests.properties.policies import specs


def passes(policy: LoadedPolicy, tests: list[dict[str, Any]]) -> list[bool]:
    named = [{**test, "name": f"{number}"} for number, test in enumerate(tests)]
    suite = load_suite(json.dumps({"tests": named}).encode(), "t.json").suite
    assert not list(unknown_names(suite, policy.spec))
    return [outcome.passed for outcome in run(policy, suite.tests)]


@given(specs())
def test_what_a_finding_keeps_fails_on_the_policy_it_was_found_in(spec: RouterSpec) -> None:
    policy = compiled(spec)
    tests = [test for found in prove(policy).findings if (test := found.policy_test())]
    assume(tests)
    assert not any(passes(policy, tests))


@given(specs(), specs())
def test_what_a_change_keeps_holds_before_it_and_fails_where_a_new_backend_is_met(
    old: RouterSpec, other: RouterSpec
) -> None:
    names = {backend.name for backend in old.backends}
    rules = tuple(rule for rule in other.rules if names.issuperset(rule.route.backends))
    new = evolve(old, rules=rules)
    changes = compare(compiled(old), compiled(new)).changes
    tests = [change.policy_test() for change in changes]
    assume(tests)
    assert all(passes(compiled(old), tests))
    after = passes(compiled(new), tests)
    further = [bool(set(change.new_chain) - set(change.old_chain)) for change in changes]
    assert not any(passed and more for passed, more in zip(after, further, strict=True))
