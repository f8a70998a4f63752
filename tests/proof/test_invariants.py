"""Invariants: each dimension of `when`, both aims, and what loading says of wrong ones."""

from typing import Any

import pytest
import yaml
from lockgate.policy.reading.load import load_policy
from lockgate.policy.reading.problem import PolicyRefusedError
from pulumi_lockgate.proof.checks import prove
from pulumi_lockgate.proof.report import Finding

POLICY = """
backends:
- name: l
  inferenceServiceRef: { name: l }
- name: l2
  inferenceServiceRef: { name: l2 }
- name: c
  tier: cloud
  external: { provider: openai, model: m }
rules:
- name: keep
  match: { dataClassification: [pii, phi] }
  route: { backends: [l] }
  failClosed: true
- name: complex
  match: { taskComplexity: complex }
  route: { backends: [c, l] }
- name: team
  match: { headers: { X-LLMKube-Team: red }, models: ["gpt-*"] }
  route: { backends: [l2] }
defaultRoute: l
policy:
  invariants: [%s]
"""


def found(invariant: str) -> list[Finding]:
    return list(prove(load_policy((POLICY % invariant).encode(), "p.yaml")).findings)


@pytest.mark.parametrize(
    "invariant",
    [
        "{ name: i, when: { labels: [pii] }, never: { tier: cloud } }",
        "{ name: i, when: { labels: [pii, phi] }, only: { backends: [l] } }",
        "{ name: i, when: { taskComplexity: simple }, only: { tier: local } }",
        "{ name: i, when: { models: [claude-*] }, never: { backends: [l2] } }",
        "{ name: i, when: { team: blue }, never: { backends: [l2] }}",
        "{ name: i, when: { team: red, headers: { X-Llmkube-Team: red }, taskComplexity: simple }, never: { tier: cloud } }",
        "{ name: i, when: { unlabelled: true, taskComplexity: moderate }, never: { tier: cloud } }",
    ],
)
def test_what_holds_is_proved(invariant: str) -> None:
    if "team: blue" in invariant:  # a header may be there twice, and both teams count
        assert [one.kind for one in found(invariant)] == ["invariant"]
    else:
        assert found(invariant) == []


@pytest.mark.parametrize(
    ("invariant", "headers", "backend"),
    [
        ("{ name: i, never: { tier: cloud } }", {"x-llmkube-task-complexity": "complex"}, "c (cloud)"),
        ("{ name: i, when: { unlabelled: true }, never: { backends: [l] } }", {"x-llmkube-task-complexity": "complex"}, "l (local)"),
        ("{ name: i, when: { labels: [public] }, only: { tier: local } }", {"x-llmkube-classification": "public", "x-llmkube-task-complexity": "complex"}, "c (cloud)"),
        ('{ name: i, when: { team: red, models: ["*4"] }, only: { backends: [l, c] } }', {"x-llmkube-team": "red"}, "l2 (local)"),
        ("{ name: i, when: { headers: { x-a: b } }, only: { tier: local } }", {"x-a": "b", "x-llmkube-task-complexity": "complex"}, "c (cloud)"),
    ],
)  # fmt: skip
def test_what_does_not_hold_is_shown_by_a_request(
    invariant: str, headers: dict[str, str], backend: str
) -> None:
    (broken,) = found(invariant)
    assert (broken.kind, broken.path, broken.subject) == ("invariant", "policy.invariants[0]", "i")
    assert broken.backend == backend
    assert broken.witness is not None
    assert dict(broken.witness.headers) == headers


def test_what_a_broken_one_keeps_as_a_test_is_its_own_sentence() -> None:
    (broken,) = found("{ name: i, when: { team: red }, only: { backends: [l, c] } }")
    test = broken.policy_test()
    assert test is not None
    assert test["expect"] == {"only": {"backends": ["l", "c"]}}


@pytest.mark.parametrize(
    ("invariant", "said"),
    [
        ("{ name: A, never: { tier: cloud } }", "invariants[0].name: 'A' is not a name"),
        ("{ name: i }", "invariants[0].never: is missing, and so is only; add `never:"),
        ("{ name: i, never: { tier: cloud }, only: { tier: local } }", "has both never and only"),
        ("{ name: i, never: { tier: clod } }", "did you mean cloud"),
        ("{ name: i, never: {} }", "invariants[0].never.tier: is missing, and so is backends"),
        ("{ name: i, never: { backends: [ll2] } }", "never.backends[0]: there is no backend 'll2'; did you mean l2?"),
        ("{ name: i, when: { labels: [phj] }, never: { tier: cloud } }", "when.labels[0]: 'phj' is neither a sensitive nor a known label; did you mean phi?"),
        ("{ name: i, when: { models: ['['] }, never: { tier: cloud } }", "when.models[0]: '[' is not a pattern"),
        ("{ name: i, when: { headers: { 'a b': c } }, never: { tier: cloud } }", "'a b' is not a header name"),
        ("{ name: i, when: { unlabelled: true, labels: [pii] }, never: { tier: cloud } }", "a request with labels is not unlabelled"),
        ("{ name: i, wen: {}, never: { tier: cloud } }", "did you mean when"),
        ("{ name: i, never: { tier: cloud } }, { name: i, never: { tier: cloud } }", "'i' is already policy.invariants[0]'s"),
    ],
)  # fmt: skip
def test_a_wrong_one_is_refused_with_its_place_and_its_mend(invariant: str, said: str) -> None:
    with pytest.raises(PolicyRefusedError) as refused:
        load_policy((POLICY % invariant).encode(), "p.yaml")
    assert said in str(refused.value)
    assert str(refused.value).startswith("p.yaml:2")


def test_it_is_written_as_it_was_read() -> None:
    text = POLICY % "{ name: i, when: { unlabelled: true }, never: { tier: cloud } }"
    loaded = load_policy(text.encode(), "p.yaml")
    again = load_policy(loaded.json, "policy.json")
    assert again.spec.policy.invariants == loaded.spec.policy.invariants
    written: Any = yaml.safe_load(loaded.json)
    assert written["policy"]["invariants"][0]["when"] == {"unlabelled": True}
