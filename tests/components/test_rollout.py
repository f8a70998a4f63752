"""How a changed policy reaches the pods, and who says how many there are."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pulumi
import pytest
from pulumi_lockgate import ModelRouter
from pulumi_lockgate.manifests.enforcer import enforcer_of
from pulumi_lockgate.program import deploy
from pulumi_lockgate.stack.evaluate import Plan, evaluate, read_stack
from pulumi_lockgate.stack.files import stack_file

from tests.components.program import tell

ROOT = Path(__file__).parent.parent.parent
MARK = "lockgate.dev/policy-digest"


def plan(tmp_path: Path, **proxy: Any) -> Plan:
    """The dev stack's plan with `proxy` instead of its own."""
    config = read_stack(stack_file("dev"))
    config["lockgate:router"]["proxy"] = proxy
    return evaluate("dev", config)


def one(plan: Plan, kind: str, name: str = "lockgate-router-proxy") -> dict[str, Any]:
    [found] = [
        m for m in plan.manifests if m["kind"] == kind and m["metadata"]["name"].startswith(name)
    ]
    return found


def template(plan: Plan) -> dict[str, Any]:
    made: dict[str, Any] = one(plan, "Deployment")["spec"]["template"]
    return made


class TestHot:
    """`proxy.rollout: hot`."""

    def test_a_changed_policy_changes_the_config_map_and_no_pod(self, tmp_path: Path) -> None:
        before = plan(tmp_path, rollout="hot")
        after = plan(tmp_path, rollout="hot", quarantineDuration="6s")
        assert template(before) == template(after)
        names = {one(p, "ConfigMap")["metadata"]["name"] for p in (before, after)}
        assert names == {"lockgate-router-proxy"}
        texts = [one(p, "ConfigMap")["data"]["policy.json"] for p in (before, after)]
        assert texts[0] != texts[1]
        assert after.policy_json.decode() == texts[1]
        assert "immutable" not in one(after, "ConfigMap")
        assert MARK not in template(after)["metadata"]["annotations"]
        assert one(after, "ConfigMap")["metadata"]["annotations"][MARK] == after.routers[0].digest

    def test_what_a_running_proxy_does_not_take_up_rolls_the_pods(self, tmp_path: Path) -> None:
        hot = plan(tmp_path, rollout="hot")
        for proxy in ({"image": "r/x:1"}, {"drainGrace": "9s"}, {"rollout": "rolling"}):
            assert template(plan(tmp_path, **{"rollout": "hot", **proxy})) != template(hot)

    def test_rolling_has_a_config_map_for_each_policy(self, tmp_path: Path) -> None:
        both = [plan(tmp_path, quarantineDuration=f"{n}s") for n in (5, 6)]
        names = [one(p, "ConfigMap")["metadata"]["name"] for p in both]
        assert names[0] != names[1]
        assert template(both[0]) != template(both[1])
        assert all(one(p, "ConfigMap")["immutable"] for p in both)

    def test_a_reviewer_reads_that_running_proxies_follow_the_config_map(
        self, tmp_path: Path
    ) -> None:
        assert "proxy.rollout is hot" in said(tmp_path, "rollout: hot")
        assert "proxy.rollout is hot" not in said(tmp_path, "replicas: 1")

    def test_its_provider_changes_config_maps_and_secrets_in_place(self) -> None:
        policy = {
            "backends": [{"name": "l", "inferenceServiceRef": {"name": "s"}}],
            "defaultRoute": "l",
        }
        told = tell(deploy, config={"lockgate:router": json.dumps(policy)})
        assert told.error is None
        assert told.inputs("policies")["enableConfigMapMutable"] == "true"
        cluster = told.inputs("cluster")
        assert (cluster["enableServerSideApply"], cluster["enableSecretMutable"]) == (
            "false",
            "true",
        )


class TestAutoscaling:
    """`proxy.autoscaling`: the number of pods is stated by nobody here."""

    def test_the_autoscaler_alone_says_how_many(self, tmp_path: Path) -> None:
        made = plan(tmp_path, autoscaling={"minReplicas": 3, "maxReplicas": 40, "cpuPercent": 60})
        assert "replicas" not in one(made, "Deployment")["spec"]
        scaler = one(made, "HorizontalPodAutoscaler")
        kubernetes_validate.validate(scaler, "1.34", strict=True)
        spec = scaler["spec"]
        target = one(made, "Deployment")["metadata"]["name"]
        assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}  # fmt: skip
        assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 40)
        [metric] = spec["metrics"]
        assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}  # fmt: skip

    def test_another_one_s_autoscaler_is_left_alone(self, tmp_path: Path) -> None:
        made = plan(tmp_path, autoscaling={"maxReplicas": 4, "by": "other"})
        assert "replicas" not in one(made, "Deployment")["spec"]
        assert not [m for m in made.manifests if m["kind"] == "HorizontalPodAutoscaler"]

    def test_without_it_there_are_as_many_as_stated_or_two(self, tmp_path: Path) -> None:
        assert one(plan(tmp_path, replicas=3), "Deployment")["spec"]["replicas"] == 3
        assert one(plan(tmp_path), "Deployment")["spec"]["replicas"] == 2

    def test_it_is_no_other_policy_and_the_enforcer_counts_the_least(self, tmp_path: Path) -> None:
        scaled, plain = plan(tmp_path, autoscaling={"maxReplicas": 4}), plan(tmp_path)
        assert scaled.routers[0].digest == plain.routers[0].digest
        proved = scaled.routers[0].proved
        assert proved is not None
        assert enforcer_of(proved.policy).replicas == 2

    def test_a_policy_that_is_an_output_has_its_autoscaler_too(self) -> None:
        policy = {
            "backends": [{"name": "a", "tier": "local", "inferenceServiceRef": {"name": "a"}}],
            "defaultRoute": "a",
            "proxy": {"autoscaling": {"maxReplicas": 4}},
        }

        def program() -> None:
            ModelRouter("gate", pulumi.Output.from_input(policy), deployed=None)

        for preview in (True, False):
            told = tell(program, preview=preview)
            assert told.error is None
            assert "HorizontalPodAutoscaler" in told.kinds

    @pytest.mark.parametrize(
        ("proxy", "refusal"),
        [
            ("{ replicas: 2, autoscaling: { maxReplicas: 4 } }", "proxy.replicas: has autoscaling"),
            ("{ autoscaling: { minReplicas: 5, maxReplicas: 4 } }", "5 to 4 is no range of pods"),
            ("{ autoscaling: { maxReplicas: 101 } }", "2 to 101 is no range of pods from 1 to 100"),
            ("{ autoscaling: { maxReplicas: 4, cpuPercent: 0 } }", "cpuPercent: 0 is not from 1"),
            (
                "{ autoscaling: { maxReplicas: 4 }, resources: { requests: { memory: 1Gi } } }",
                "requests no CPU",
            ),
            ("{ replicas: 11 }", "11 is not from 1 to 10"),
        ],
    )
    def test_what_contradicts_itself_is_refused(
        self, tmp_path: Path, proxy: str, refusal: str
    ) -> None:
        assert refusal in said(tmp_path, proxy[2:-2], rc=2)


def said(tmp_path: Path, proxy: str, rc: int = 0) -> str:
    """What `lockgate plan` says of the dev stack with another `proxy`."""
    (tmp_path / "stacks").mkdir(exist_ok=True)
    text = (ROOT / "stacks" / "Pulumi.dev.yaml").read_text()
    head, _, _ = text.partition("    proxy:\n")
    (tmp_path / "stacks" / "Pulumi.dev.yaml").write_text(f"{head}    proxy: {{ {proxy} }}\n")
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    line = [sys.executable, "-m", "lockgate.cli.main", "plan", "dev"]
    done = subprocess.run(
        line, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == rc, done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


def test_the_schema_check_can_fail(tmp_path: Path) -> None:
    scaler = one(plan(tmp_path, autoscaling={"maxReplicas": 4}), "HorizontalPodAutoscaler")
    broken = json.loads(json.dumps(scaler).replace("maxReplicas", "mostReplicas"))
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.34", strict=True)
