"""What is proved of a ModelRouter as LLMKube runs it, held to its naive reading (tests/spec)."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from lockgate.policy.reading.document import from_plain
from lockgate.policy.reading.problem import PolicyRefusedError
from pulumi_lockgate.foreign.llmkube import prove_llmkube
from pulumi_lockgate.foreign.report import ForeignReport

from tests.properties.routers import MODELS, router_specs
from tests.spec.llmkube import cloud_reached


def prove(spec: dict[str, Any], tiers: dict[str, str] | None = None) -> ForeignReport:
    document = {
        "apiVersion": "inference.llmkube.dev/v1alpha1",
        "kind": "ModelRouter",
        "metadata": {"name": "r", "namespace": "n"},
        "spec": spec,
    }
    return prove_llmkube((from_plain(document),), "router.yaml", tiers or {})


LOCAL: dict[str, Any] = {"name": "own", "inferenceServiceRef": {"name": "qwen"}}
CLOUD: dict[str, Any] = {
    "name": "gpt",
    "external": {"provider": "openai", "model": "gpt-4o"},
    "tier": "cloud",
}
BACKENDS = [LOCAL, CLOUD]


def rule(match: dict[str, Any], *backends: str, **more: Any) -> dict[str, Any]:
    return {"name": "r", "match": match, "route": {"backends": list(backends)}, **more}


def requests(spec: dict[str, Any]) -> list[tuple[str, dict[str, str]]]:
    """Return every request that the random manifests can tell apart, those that are sensitive."""
    classification = (spec.get("policy") or {}).get("classification") or {}
    labels = classification.get("sensitiveClassifications") or ("pii", "phi")
    names = [b.get("displayName", b["name"]) for b in spec["backends"]]
    found = []
    for label, complexity, org in product(
        labels, ("simple", "complex", None), ("one", "two", None)
    ):
        fields = {"x-llmkube-classification": label.lower()}
        fields |= {} if complexity is None else {"x-llmkube-task-complexity": complexity}
        fields |= {} if org is None else {"x-org": org}
        found += [(model, fields) for model in (*MODELS, *names, "x/y", "z")]
    return found


@given(router_specs())
def test_it_leaks_where_llmkube_sends_a_sensitive_request_to_a_cloud(spec: dict[str, Any]) -> None:
    report = prove(spec)
    really = any(cloud_reached(spec, model, fields) for model, fields in requests(spec))
    assert report.proved is not really
    for found in report.findings:
        assert found.example is not None
        assert cloud_reached(spec, found.example.body["model"], dict(found.example.headers))


def test_the_published_example_leaks_phi() -> None:
    spec = {
        "backends": BACKENDS,
        "rules": [
            rule({"dataClassification": ["pii"]}, "own", failClosed=True),
            rule({"taskComplexity": "complex"}, "gpt"),
        ],
        "defaultRoute": "own",
    }
    (leak,) = prove(spec).findings
    assert leak.message == "a request labelled phi"
    assert leak.example is not None
    assert "-H 'x-llmkube-classification: phi' -H 'x-llmkube-task-complexity: complex'" in (
        leak.example.curl().replace("-H 'x-llmkube-task-complexity: complex' -H 'x-llmkube-classification: phi'", "-H 'x-llmkube-classification: phi' -H 'x-llmkube-task-complexity: complex'")
    )  # fmt: skip
    spec["rules"][0]["match"]["dataClassification"].append("phi")  # type: ignore[index]
    assert prove(spec).proved


def test_a_backend_without_a_tier_passes_llmkubes_gate_and_is_a_cloud() -> None:
    unstated = {key: value for key, value in CLOUD.items() if key != "tier"}
    closed = [rule({"dataClassification": ["pii", "phi"]}, "gpt", failClosed=True)]
    spec = {"backends": [LOCAL, unstated], "rules": closed}
    (leak,) = prove(spec).findings
    assert "states no tier" in leak.because
    assert prove(spec, {"gpt": "local"}).proved
    assert prove({"backends": BACKENDS, "rules": closed}).proved


def test_a_label_in_upper_case_is_none_that_llmkube_ever_meets() -> None:
    closed = [rule({}, "gpt", failClosed=True)]
    policy = {"classification": {"sensitiveClassifications": ["PHI"]}}
    (leak,) = prove({"backends": BACKENDS, "rules": closed, "policy": policy}).findings
    assert "knows no label phi" in leak.because


def test_no_model_at_all_meets_a_star_and_no_other_pattern() -> None:
    rules = [rule({"models": ["?*", "/*", "*/*", "*/*/*"]}, "own"), rule({"models": ["*"]}, "gpt")]
    (leak,) = prove({"backends": BACKENDS, "rules": rules}).findings
    assert leak.example is not None
    assert leak.example.body["model"] == ""


def test_what_fails_first_is_named() -> None:
    (leak,) = prove({"backends": BACKENDS, "rules": [rule({}, "own", "gpt")]}).findings
    assert leak.example is not None
    assert leak.example.when() == "own fails"


@pytest.mark.parametrize(
    ("spec", "tiers", "said"),
    [
        ({"backends": BACKENDS}, {"none": "cloud"}, "--tier names no backend 'none'"),
        ({"backends": BACKENDS, "defaultRoute": "none"}, {}, "there is no backend 'none'"),
        ({"backends": BACKENDS, "rules": [rule({}, "none")]}, {}, "there is no backend 'none'"),
    ],
)
def test_what_is_not_there_is_refused(
    spec: dict[str, Any], tiers: dict[str, str], said: str
) -> None:
    with pytest.raises(PolicyRefusedError, match=said):
        prove(spec, tiers)
