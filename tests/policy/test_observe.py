"""Mode observe: what only failClosed keeps out goes on, after all else; nothing else is let go."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from lockgate.cli.main import cli
from lockgate.policy.deciding.decide import decide
from lockgate.policy.deciding.decision import Decision, Refuse, Request, Route
from lockgate.policy.reading.advice import OBSERVES
from lockgate.policy.reading.load import compiled, load_policy
from lockgate.policy.spec.model_router import Governance, RouterSpec
from pulumi_lockgate.proof.checks import prove

from tests.properties.policies import requests, specs
from tests.support.project import project

POLICY = """\
backends:
- {{ name: box, inferenceServiceRef: {{ name: box }} }}
- {{ name: spare, inferenceServiceRef: {{ name: spare }} }}
- {{ name: cloud, tier: cloud, external: {{ provider: openai, model: m }} }}
rules:
- {{ name: secret, match: {{ dataClassification: [pii, phi] }}, route: {{ backends: [box] }}, failClosed: true }}
- {{ name: none, match: {{ headers: {{ x-team: out }} }}, route: {{ refuse: true }} }}
- {{ name: hard, match: {{ taskComplexity: complex }}, route: {{ backends: [box] }}, failClosed: true }}
defaultRoute: {default}
policy: {{ mode: {mode} }}
"""
PII = {"x-llmkube-classification": ("pii",)}
HARD = {"x-llmkube-task-complexity": ("complex",)}


def decided(headers: dict[str, tuple[str, ...]], mode: str, default: str = "cloud") -> Decision:
    text = POLICY.format(mode=mode, default=default)
    return decide(load_policy(text.encode(), "p"), Request("m", headers))


def names(decision: Decision) -> list[str]:
    return [b.name for b in decision.candidates] if isinstance(decision, Route) else []


def test_what_failclosed_keeps_out_comes_last_and_is_called_observed() -> None:
    assert names(decided(HARD, "enforce")) == ["box"]
    observed = decided(HARD, "observe")
    assert names(observed) == ["box", "cloud"]
    assert [c.reason for c in observed.reading.considered] == ["candidate", "observed"]


def test_a_rule_that_names_a_sensitive_label_and_one_that_refuses_are_enforced() -> None:
    assert names(decided(PII, "observe")) == ["box"]
    refused = decided({"x-team": ("out",)}, "observe")
    assert isinstance(refused, Refuse)
    assert refused.code == "refused_by_rule"


def test_the_bound_holds_whatever_is_observed() -> None:
    text = POLICY.format(mode="observe", default="cloud").replace("[pii, phi]", "[pii]")
    phi = {"x-llmkube-classification": ("phi",), **HARD}
    assert names(decide(load_policy(text.encode(), "p"), Request("m", phi))) == ["box"]


def test_the_proof_is_of_what_is_observed() -> None:
    leaking = POLICY.format(mode="enforce", default="cloud").replace("[pii, phi]", "[pii]")
    closed = leaking.replace("taskComplexity: complex", 'models: ["*", "*/*"]')
    where = {f.path for f in prove(load_policy(closed.encode(), "p")).findings if f.kind == "leak"}
    observed = closed.replace("mode: enforce", "mode: observe")
    now = {f.path for f in prove(load_policy(observed.encode(), "p")).findings if f.kind == "leak"}
    assert now - where == {"rules[2]"}


def observing(spec: RouterSpec) -> tuple[RouterSpec, RouterSpec]:
    return tuple(  # type: ignore[return-value]
        RouterSpec(
            backends=spec.backends, rules=spec.rules, default_route=spec.default_route,
            default_route_strategy=spec.default_route_strategy, policy=Governance(mode=mode),
        )
        for mode in ("enforce", "observe")
    )  # fmt: skip


@given(specs(), requests)
def test_enforced_candidates_stay_first_and_none_is_lost(
    spec: RouterSpec, request: Request
) -> None:
    enforced, observed = (decide(compiled(one), request) for one in observing(spec))
    assert names(observed)[: len(names(enforced))] == names(enforced)
    if observed.reading.labels.sensitive:
        tiers = {b.name: b.tier for b in spec.backends}
        assert all(tiers[name] == "local" for name in names(observed))


@pytest.mark.parametrize("verb", ["check", "plan", "graph"])
def test_it_is_said_wherever_the_policy_is_shown(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = POLICY.format(mode="observe", default="box").splitlines()
    router = "".join(f"    {line}\n" for line in lines)
    project(tmp_path, monkeypatch, f"config:\n  lockgate:router:\n{router}")
    done = CliRunner().invoke(cli, [verb, "dev", *(["--out", "p.svg"] if verb == "graph" else [])])
    assert done.exit_code == 0, done.output
    if verb != "graph":
        assert OBSERVES in done.stdout
