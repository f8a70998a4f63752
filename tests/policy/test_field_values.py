"""How a header field's value is read: SP and HTAB stand outside, and nothing else does."""

import pytest
from lockgate.http1.head_rules import FRAMING
from lockgate.policy.deciding.decide import decide
from lockgate.policy.deciding.decision import Request
from lockgate.policy.deciding.field_values import stripped, tokens
from lockgate.policy.reading.header_faults import label_field_fault
from lockgate.policy.reading.load import load_policy
from lockgate.policy.reading.problem import PolicyRefusedError

OTHER_SPACES = ["\xa0", "\x85", "\x1c", "\x1d", "\x1e", "\x1f", "\x0b", "\x0c"]
POLICY = """
backends:
- { name: l, inferenceServiceRef: { name: s, namespace: d } }
- { name: c, tier: cloud, external: { provider: openai, model: g } }
rules:
- { name: s, match: { dataClassification: [pii, phi] }, route: { backends: [l] }, failClosed: true }
- { name: r, match: { taskComplexity: complex }, route: { backends: [c] } }
defaultRoute: l
"""


@pytest.mark.parametrize("space", [" ", "\t", " \t "])
def test_what_http_calls_optional_space_is_no_part_of_a_value(space: str) -> None:
    assert stripped(f"{space}a b{space}") == "a b"
    assert tokens([f"{space}PII{space},{space}b{space}", "c"]) == ["pii", "b", "c"]


@pytest.mark.parametrize("space", OTHER_SPACES)
def test_what_python_calls_a_space_belongs_to_the_value(space: str) -> None:
    assert stripped(f"a{space}") == f"a{space}"
    assert tokens([f"a{space}"]) == [f"a{space}"]


@pytest.mark.parametrize("space", OTHER_SPACES)
def test_no_reader_takes_another_space_for_none(space: str) -> None:
    """A value that is `complex` to one reader is that to all of them."""
    policy = load_policy(POLICY.encode(), "p")
    fields = {"x-llmkube-task-complexity": (f"complex{space}",)}
    assert decide(policy, Request("m", fields)).reading.rule_name is None
    labelled = {"x-llmkube-classification": (f"public{space}",)}
    assert decide(policy, Request("m", labelled)).reading.labels.unrecognised


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("é", "is not plain ASCII"),
        ("a\\u00a0", "is not plain ASCII"),
        (" a", "outer spaces"),
        ("a\\t", "outer spaces or control characters"),
        ("a\\u0001b", "control characters"),
    ],
)
def test_a_value_that_comes_in_more_than_one_encoding_is_refused(value: str, words: str) -> None:
    rule = (
        f'{{ name: h, match: {{ headers: {{ X-Org: "{value}" }} }}, route: {{ backends: [l] }} }}'
    )
    text = POLICY.replace("rules:\n", f"rules:\n- {rule}\n")
    with pytest.raises(PolicyRefusedError) as refused:
        load_policy(text.encode(), "p")
    (problem,) = refused.value.problems
    assert problem.path == "rules[0].match.headers.X-Org"
    assert words in problem.message
    load_policy(
        text.replace(f'"{value}"', problem.suggestion.split(": ")[1].rstrip("`")).encode(), "p"
    )


@pytest.mark.parametrize(
    "name",
    [*sorted(FRAMING), "X-LLMKube-Task-Complexity", "x-llmkube-team", "Content-Type", "User-Agent", "x-request-id", "x-lockgate-rule", "Accept"],
)  # fmt: skip
def test_a_field_that_is_read_for_something_else_carries_no_labels(name: str) -> None:
    assert label_field_fault(name) is not None
    text = f"{POLICY}policy: {{ classification: {{ headerKey: {name} }} }}"
    with pytest.raises(PolicyRefusedError) as refused:
        load_policy(text.encode(), "p")
    assert "policy.classification.headerKey" in str(refused.value)
    assert "write `headerKey: x-llmkube-classification`" in str(refused.value)


@pytest.mark.parametrize("name", ["x-llmkube-classification", "X-Data-Class", "sensitivity"])
def test_any_other_field_may(name: str) -> None:
    load_policy(f"{POLICY}policy: {{ classification: {{ headerKey: {name} }} }}".encode(), "p")
