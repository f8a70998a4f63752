"""A file of tests that is wrong is refused whole, with path, line and what was meant."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.policy.reading.load import load_policy
from lockgate.policy.reading.problem import PolicyRefusedError, Problem
from pulumi_lockgate.policytests.runner import run
from pulumi_lockgate.policytests.suite import load_suite, unknown_names

from tests.components.convert.test_anything import anything, places
from tests.policy.test_load import GOOD as POLICY

GOOD = """\
tests:
- name: one
  request: { model: m, headers: { X-Org: [one, two] } }
  expect: { rule: keep }
- name: two
  request: { body: { model: b } }
  expect: { rule: null, never: { tier: cloud }, candidates: [] }
"""


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(PolicyRefusedError) as refused:
        load_suite(text.encode(), "t.yaml")
    return refused.value.problems


def test_a_good_file_is_read() -> None:
    loaded = load_suite(GOOD.encode(), "t.yaml")
    one, two = loaded.suite.tests
    assert (one.model, one.headers, one.expect.no_rule) == ("m", {"x-org": ("one", "two")}, False)
    assert (two.model, two.expect.no_rule, two.expect.candidates) == ("b", True, ())
    assert [loaded.line_of(0), loaded.line_of(1)] == [2, 5]


@pytest.mark.parametrize(
    ("old", "new", "path", "line", "said"),
    [
        ("expect: { rule: keep", "expect: { ruel: keep", "tests[0].expect.ruel", 4, "did you mean rule?"),
        ("rule: keep", "rule: [keep]", "tests[0].expect.rule", 4, "is not a rule's name"),
        ("{ rule: keep }", "{}", "tests[0].expect", 4, "expects nothing"),
        ("rule: keep", "refuse: no_rout", "tests[0].expect.refuse", 4, "did you mean no_route?"),
        ("rule: keep", "refuse: no_route, candidates: [a]", "tests[0].expect.refuse", 4, "stands beside"),
        ("rule: keep", "never: {}", "tests[0].expect.never", 4, "write `never: { tier: cloud }`"),
        ("rule: keep", "only: { tier: local, backends: [a] }", "tests[0].expect.only", 4, "one of"),
        ("rule: keep", "never: { backends: [] }", "tests[0].expect.never.backends", 4, "says nothing"),
        ("rule: keep", "only: { tier: clod }", "tests[0].expect.only.tier", 4, "did you mean cloud?"),
        ("name: two", "name: one", "tests[1].name", 5, "tests[0]'s"),
        ("{ body: { model: b } }", "{ body: {} }", "tests[1].request.model", 6, "is missing"),
        ("{ body: { model: b } }", "{ model: a, body: { model: b } }", "tests[1].request.body.model", 6, "keep one"),
        ("[one, two]", "[one, 2]", "tests[0].request.headers.X-Org", 3, "is not a text"),
        ("[one, two]", "5", "tests[0].request.headers.X-Org", 3, '"5"'),
        ("X-Org", '"X Org"', "tests[0].request.headers.X Org", 3, "is not a header name"),
        ("[one, two] }", "a, x-org: b }", "tests[0].request.headers.x-org", 3, "stands twice"),
    ],
)  # fmt: skip
def test_each_fault_is_named(old: str, new: str, path: str, line: int, said: str) -> None:
    assert old in GOOD
    (problem,) = problems(GOOD.replace(old, new, 1))
    assert (problem.path, problem.line) == (path, line)
    assert said in f"{problem.message}; {problem.suggestion}"


def test_all_faults_are_told_at_once() -> None:
    found = problems(GOOD.replace("rule: keep", "ruel: keep").replace("tier: cloud", "tier: x"))
    assert [p.path for p in found] == ["tests[0].expect.ruel", "tests[1].expect.never.tier"]


@pytest.mark.parametrize("text", ["", "tests: []\n", GOOD + "---\n" + GOOD, "- a\n", "tests: {}\n"])
def test_what_is_no_file_of_tests_is_refused(text: str) -> None:
    assert problems(text)


def test_a_name_that_the_policy_does_not_have_is_told_with_the_one_that_was_meant() -> None:
    text = GOOD.replace("rule: keep", "rule: kepe, only: { backends: [locla] }")
    text = text.replace("candidates: []", "candidates: [cluod]")
    suite = load_suite(text.encode(), "t.yaml").suite
    found = list(unknown_names(suite, load_policy(POLICY.encode(), "p").spec))
    assert [(p.path, p.suggestion) for p in found] == [
        ("tests[0].expect.rule", "did you mean keep?"),
        ("tests[0].expect.only.backends[0]", "did you mean local?"),
        ("tests[1].expect.candidates[0]", "did you mean cloud?"),
    ]


SUITE = {
    "policy": "dev",
    "tests": [
        {"name": "a", "request": {"model": "m", "headers": {"x": "y"}, "body": {"model": "m"}},
         "expect": {"rule": "keep", "candidates": ["local"], "never": {"tier": "cloud"}, "only": {"backends": ["local"]}}},
    ],
}  # fmt: skip


@given(st.integers(0, 50), anything)
def test_whatever_stands_anywhere_it_is_read_or_refused(number: int, value: Any) -> None:
    changed = deepcopy(SUITE)
    found = list(places(changed))
    holder, key = found[number % len(found)]
    holder[key] = value
    policy = load_policy(POLICY.encode(), "p")
    try:
        suite = load_suite(json.dumps(changed).encode(), "t.json").suite
    except PolicyRefusedError as refused:
        told = refused.problems
    else:
        told = tuple(unknown_names(suite, policy.spec))
        if not told:
            run(policy, suite.tests)
    assert all(problem.suggestion for problem in told)
