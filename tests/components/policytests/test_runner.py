"""A test passes where what it expects came, and fails with what came instead."""

import pytest
from lockgate.policy.reading.load import load_policy
from pulumi_lockgate.policytests.report import failure
from pulumi_lockgate.policytests.runner import Outcome, run
from pulumi_lockgate.policytests.suite import load_suite

POLICY = """\
backends:
- name: local
  inferenceServiceRef: { name: qwen }
- name: seeing
  inferenceServiceRef: { name: seer }
  capabilities: [vision]
- name: cloud
  tier: cloud
  external: { provider: openai, model: gpt-5 }
rules:
- name: keep
  match: { dataClassification: [pii] }
  route: { backends: [local] }
  failClosed: true
- name: look
  match: { headers: { x-look: "yes" }, requiredCapabilities: [vision] }
  route: { backends: [cloud, seeing] }
- name: hard
  match: { taskComplexity: complex }
  route: { backends: [cloud, local] }
  failClosed: true
"""


def outcome(request: str, expect: str) -> Outcome:
    text = f"tests:\n- name: t\n  request: {request}\n  expect: {expect}\n"
    policy = load_policy(POLICY.encode(), "p.yaml")
    (found,) = run(policy, load_suite(text.encode(), "t.yaml").suite.tests)
    return found


PII = "{ model: m, headers: { x-llmkube-classification: pii } }"
HARD = "{ model: m, headers: { x-llmkube-task-complexity: complex } }"
HARD_PHI = (
    "{ model: m, headers: { x-llmkube-classification: phi, x-llmkube-task-complexity: complex } }"
)
LOOK = '{ model: m, headers: { X-Look: "yes" } }'
PLAIN = "{ model: m }"


@pytest.mark.parametrize(
    ("request_", "holds", "fails"),
    [
        (PII, "rule: keep", "rule: hard"),
        (PLAIN, "rule: null", "rule: keep"),
        (PII, "rule: keep", "rule: null"),
        (HARD, "candidates: [cloud, local]", "candidates: [local, cloud]"),
        (HARD_PHI, "candidates: [local]", "candidates: [cloud, local]"),
        (PLAIN, "refuse: model_not_found", "refuse: no_route"),
        (PLAIN, "only: { backends: [] }", "refuse: refused_by_policy"),
        (PII, "only: { backends: [local] }", "only: { backends: [] }"),
        (PLAIN, "candidates: []", "candidates: [local]"),
        (PII, "never: { tier: cloud }", "never: { tier: local }"),
        (HARD, "never: { backends: [seeing] }", "never: { backends: [local] }"),
        (PII, "only: { tier: local }", "only: { tier: cloud }"),
        (HARD, "only: { backends: [cloud, local] }", "only: { backends: [local] }"),
        (LOOK, "only: { backends: [seeing] }", "never: { backends: [seeing] }"),
        (HARD_PHI, "never: { backends: [seeing] }", "never: { tier: cloud }"),
    ],
)
def test_each_expectation_can_hold_and_can_fail(request_: str, holds: str, fails: str) -> None:
    assert outcome(request_, f"{{ {holds} }}").passed
    failed = outcome(request_, f"{{ {fails} }}")
    assert [m.part for m in failed.mismatches] == [fails.partition(":")[0]]


def test_a_leak_that_the_proxy_would_stop_still_fails_never() -> None:
    failed = outcome(HARD_PHI, "{ candidates: [local], never: { tier: cloud } }")
    assert [m.part for m in failed.mismatches] == ["never"]
    assert failed.mismatches[0].got == "its chain leads to cloud (cloud)"


def test_a_failure_says_why_the_rule_that_was_expected_did_not_decide() -> None:
    told = "\n".join(failure(outcome(PII, "{ rule: hard }")))
    assert "rule hard does not hold: taskComplexity wants complex, got none" in told
    both = PII.replace("pii }", "pii, x-llmkube-task-complexity: complex }")
    assert "rule hard holds, but keep stands before it" in "\n".join(
        failure(outcome(both, "{ rule: hard }"))
    )
