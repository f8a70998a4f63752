"""Records on a claim: each pod's in a folder of its own, kept when the pod and the stack are gone."""

import json
from typing import Any

import kubernetes_validate
import pytest
from lockgate.policy.reading.problem import PolicyRefusedError
from pulumi_lockgate import ModelRouter
from pulumi_lockgate.stack.evaluate import Plan, evaluate, read_stack
from pulumi_lockgate.stack.files import stack_file

from tests.components.conftest import Run
from tests.components.program import tell

NAME = "lockgate-router-proxy"
FILE = {"sink": "file", "filePath": "/var/log/lockgate/audit.jsonl"}
STACK = """config:
  lockgate:router:
    backends: [{ name: l, inferenceServiceRef: { name: s } }]
    defaultRoute: l
    policy:
      auditLog: %s
    proxy: { replicas: %s }
"""
POLICY: dict[str, Any] = {
    "backends": [{"name": "l", "inferenceServiceRef": {"name": "s"}}],
    "defaultRoute": "l",
}


def plan(claim: dict[str, str], replicas: int = 2) -> Plan:
    config = read_stack(stack_file("dev"))
    router = config["lockgate:router"]
    router["policy"] = {"auditLog": {**FILE, "volumeClaim": claim}}
    router["proxy"] = {"replicas": replicas}
    return evaluate("dev", config)


def one(plan: Plan, kind: str) -> dict[str, Any]:
    [found] = [
        m for m in plan.manifests if m["kind"] == kind and m["metadata"]["name"].startswith(NAME)
    ]
    return found


def pod(plan: Plan) -> dict[str, Any]:
    made: dict[str, Any] = one(plan, "Deployment")["spec"]["template"]["spec"]
    return made


def test_each_pod_writes_into_a_folder_with_its_own_name() -> None:
    made = plan({"size": "10Gi", "storageClass": "shared"})
    [container] = pod(made)["containers"]
    [mount] = [m for m in container["volumeMounts"] if m["name"] == "audit"]
    assert mount == {
        "name": "audit", "mountPath": "/var/log/lockgate", "subPathExpr": "$(POD_NAME)",
    }  # fmt: skip
    assert container["env"] == [
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    ]
    volumes = {v["name"]: v for v in pod(made)["volumes"]}
    assert volumes["audit"] == {
        "name": "audit", "persistentVolumeClaim": {"claimName": f"{NAME}-audit"},
    }  # fmt: skip
    assert not any("emptyDir" in volume for volume in volumes.values())


def test_a_claim_of_several_pods_is_one_that_every_node_can_mount() -> None:
    made = one(plan({"size": "10Gi", "storageClass": "shared"}), "PersistentVolumeClaim")
    kubernetes_validate.validate(made, "1.34", strict=True)
    assert made["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "10Gi"}},
        "storageClassName": "shared",
    }
    surges = one(plan({"size": "10Gi"}), "Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert surges == {"maxSurge": 1, "maxUnavailable": 0}


def test_one_pod_is_replaced_after_it_is_gone() -> None:
    made = plan({"size": "10Gi"}, replicas=1)
    assert one(made, "PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteOnce"]
    surges = one(made, "Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert surges == {"maxSurge": 0, "maxUnavailable": 1}


def test_a_pause_and_what_destroy_leaves_are_said(run_on: Run) -> None:
    claim = "{ sink: file, filePath: /a/b.jsonl, volumeClaim: { size: 10Gi } }"
    said = run_on("plan", text=STACK % (claim, 1)).stdout
    assert "each change of the pod is a pause" in said
    assert "left in the cluster by `destroy`" in said
    assert "pause" not in run_on("plan", text=STACK % (claim, 2)).stdout


def test_a_claim_that_exists_is_not_made_and_must_be_there() -> None:
    made = plan({"existing": "records"})
    assert not [m for m in made.manifests if m["kind"] == "PersistentVolumeClaim"]
    [volume] = [v for v in pod(made)["volumes"] if v["name"] == "audit"]
    assert volume["persistentVolumeClaim"] == {"claimName": "records"}


def test_it_must_let_itself_be_mounted_by_every_node_that_has_a_pod(run_on: Run) -> None:
    claim = "{ sink: file, filePath: /a/b.jsonl, volumeClaim: { existing: records } }"
    said = run_on("plan", text=STACK % (claim, 2)).stdout
    assert "PersistentVolumeClaim records with ReadWriteMany in lockgate" in said
    said = run_on("plan", text=STACK % (claim, 1)).stdout
    assert "PersistentVolumeClaim records in lockgate" in said


def test_the_claim_is_no_part_of_the_policy() -> None:
    digests = {
        plan(claim).routers[0].digest
        for claim in ({"size": "10Gi"}, {"size": "20Gi"}, {"existing": "records"})
    }
    assert len(digests) == 1


def test_destroy_leaves_it_and_the_next_stack_finds_it() -> None:
    policy = {**POLICY, "policy": {"auditLog": {**FILE, "volumeClaim": {"size": "1Gi"}}}}
    told = tell(lambda: ModelRouter("gate", policy, deployed=None), preview=False)
    assert told.error is None
    [claim] = [r for r in told.registered.values() if r["name"] == "gate-audit-claim"]
    assert claim["retained"] is True


@pytest.mark.parametrize(
    ("audit", "said"),
    [
        ("{ sink: file, filePath: /a/b }", "auditLog.volumeClaim: is missing: records on a pod's own disk"),
        ("{ sink: file, filePath: /b, volumeClaim: { size: 1Gi } }", "filePath: '/b' is in no folder"),
        ("{ sink: file, filePath: /a/b, volumeClaim: {} }", "volumeClaim: has neither of existing and size"),
        ("{ sink: file, filePath: /a/b, volumeClaim: { existing: x, size: 1Gi } }", "has both of existing and size"),
        ("{ sink: file, filePath: /a/b, volumeClaim: { existing: x, storageClass: y } }", "storageClass: is for a claim that is made"),
        ("{ sink: file, filePath: /a/b, volumeClaim: { existing: X } }", "'X' is no name of a claim"),
        ("{ sink: file, filePath: /a/b, volumeClaim: { size: ten } }", "'ten' is no size"),
        ("{ sink: file, filePath: /a/b, volumeClaim: { size: 1Gi, storageClass: A b } }", "no name of a storage class"),
        ("{ volumeClaim: { size: 1Gi } }", "volumeClaim: means nothing with sink stdout"),
    ],
)  # fmt: skip
def test_what_would_lose_records_is_refused_with_its_line(
    run_on: Run, audit: str, said: str
) -> None:
    done = run_on("plan", text=STACK % (audit, 2))
    assert (done.exit_code, said in done.stderr) == (2, True), done.output
    assert "Pulumi.dev.yaml:6: " in done.stderr


def test_a_program_of_ones_own_is_refused_too() -> None:
    policy = {**POLICY, "policy": {"auditLog": FILE}}
    told = tell(lambda: ModelRouter("gate", policy, deployed=None))
    assert isinstance(told.error, PolicyRefusedError)
    assert "policy.auditLog.volumeClaim: is missing" in str(told.error)
    assert told.registered == {}


def test_a_file_elsewhere_than_in_a_cluster_needs_no_claim(run_on: Run) -> None:
    policy = {**POLICY, "policy": {"auditLog": FILE}}
    assert run_on("check", text=json.dumps(policy)).exit_code == 0


def test_callers_from_outside_are_named(run_on: Run) -> None:
    text = STACK % ("{ sink: stdout }", 2)
    outside = text.replace(
        "    defaultRoute", "    endpoint: { type: LoadBalancer }\n    defaultRoute"
    )
    said = " ".join(run_on("plan", text=outside).stdout.split())
    assert (
        "endpoint.type is LoadBalancer: callers from outside the cluster speak plain HTTP" in said
    )
    assert "speak plain HTTP" not in run_on("plan", text=text).stdout
