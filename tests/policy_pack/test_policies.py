"""Every rule of the policy pack: what it lets pass, and what it names, through the SDK's own types."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from google.protobuf.struct_pb2 import Struct
from lockgate_pack.policies import POLICIES
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc
from pulumi_policy import PolicyResource

from tests.policy_pack.stack import judged, planned, resource

PACK = Path(__file__).parent.parent.parent / "policy-pack"
BY_NAME = {policy.name: policy for policy in POLICIES}
ROUTER_POD = "urn:pulumi:dev::lockgate::lockgate:index:ModelRouter$kubernetes:apps/v1:Deployment::lockgate-deployment"
STACKS: dict[str, list[PolicyResource]] = {}


def stack(name: str = "dev") -> list[PolicyResource]:
    if name not in STACKS:
        STACKS[name] = planned(name)
    return list(STACKS[name])


def plain(value: Any) -> Any:
    if hasattr(value, "keys"):
        return {key: plain(value[key]) for key in value}
    if isinstance(value, str) or not hasattr(value, "__len__"):
        return value
    return [plain(held) for held in value]


def changed(urn: str, change: Callable[[dict[str, Any]], None]) -> list[PolicyResource]:
    """The dev stack with one resource's properties changed."""
    held = stack()
    [at] = [n for n, one in enumerate(held) if one.urn.endswith(urn)]
    props = copy.deepcopy(plain(held[at].props))
    change(props)
    held[at] = resource(held[at].resource_type, held[at].urn, props)
    return held


def pod(props: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = props["spec"]["template"]["spec"]
    return found


def stray(**spec: Any) -> PolicyResource:
    """A Deployment that no component made, in the dev stack's namespace."""
    props = {
        "metadata": {"name": "stray", "namespace": "lockgate-dev"},
        "spec": {"template": {"metadata": {"labels": {}}, "spec": {"containers": [], **spec}}},
    }
    kind = "kubernetes:apps/v1:Deployment"
    return resource(kind, f"urn:pulumi:dev::lockgate::{kind}::stray", props)


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_this_repositorys_own_stacks_meet_every_rule(name: str, policy: Any) -> None:
    assert judged(policy, stack(name)) == []


@pytest.mark.parametrize(
    ("image", "passes"),
    [
        ("registry.example.com:5000/a/b:1.2.3", True),
        ("b@sha256:" + "0" * 64, True),
        ("b:latest@sha256:" + "0" * 64, True),
        ("b:latest", False),
        ("registry.example.com:5000/a/b", False),
        ("b:", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("field", ["containers", "initContainers"])
def test_an_image_carries_a_version(image: str, passes: bool, field: str) -> None:
    def change(props: dict[str, Any]) -> None:
        pod(props).setdefault(field, [{"name": "x"}])[0]["image"] = image

    said = judged(BY_NAME["image-has-a-version"], changed("::lockgate-deployment", change))
    assert said == [] if passes else (said[0][0].startswith(f"{field}[0].image") and len(said) == 1)


LOOSENED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "host network": (lambda p: p.update(hostNetwork=True), "hostNetwork"),
    "host process ids": (lambda p: p.update(hostPID=True), "hostPID"),
    "host path": (lambda p: p["volumes"].append({"name": "h", "hostPath": {"path": "/"}}), "kind hostPath"),
    "unsafe sysctl": (lambda p: p["securityContext"].update(sysctls=[{"name": "kernel.msgmax", "value": "1"}]), "sysctl kernel.msgmax"),
    "pod as root": (lambda p: p["securityContext"].update(runAsUser=0), "runAsUser must not be 0"),
    "container as root": (lambda p: p["containers"][0]["securityContext"].update(runAsUser=0), "runAsUser must not be 0"),
    "non-root unsaid": (lambda p: [p["securityContext"].pop("runAsNonRoot"), p["containers"][0]["securityContext"].pop("runAsNonRoot")], "runAsNonRoot"),
    "non-root taken back": (lambda p: p["containers"][0]["securityContext"].update(runAsNonRoot=False), "runAsNonRoot"),
    "seccomp unsaid": (lambda p: p["securityContext"].pop("seccompProfile"), "seccompProfile.type"),
    "seccomp unconfined": (lambda p: p["containers"][0]["securityContext"].update(seccompProfile={"type": "Unconfined"}), "seccompProfile"),
    "privileged": (lambda p: p["containers"][0]["securityContext"].update(privileged=True), "privileged"),
    "escalation": (lambda p: p["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"), "allowPrivilegeEscalation"),
    "capabilities kept": (lambda p: p["containers"][0]["securityContext"].pop("capabilities"), "drop must have ALL"),
    "capabilities added": (lambda p: p["containers"][0]["securityContext"]["capabilities"].update(add=["SYS_ADMIN", "NET_BIND_SERVICE"]), "must not have SYS_ADMIN"),
    "host port": (lambda p: p["containers"][0]["ports"][0].update(hostPort=80), "hostPort 80"),
    "proc unmasked": (lambda p: p["containers"][0]["securityContext"].update(procMount="Unmasked"), "procMount"),
    "selinux": (lambda p: p["securityContext"].update(seLinuxOptions={"type": "spc_t"}), "seLinuxOptions"),
    "apparmor": (lambda p: p["securityContext"].update(appArmorProfile={"type": "Unconfined"}), "appArmorProfile"),
    "init container": (lambda p: p.update(initContainers=[{"name": "i", "image": "i:1"}]), "initContainers[0]"),
}  # fmt: skip


@pytest.mark.parametrize("loosened", LOOSENED)
def test_a_pod_that_is_not_restricted_is_named(loosened: str) -> None:
    change, words = LOOSENED[loosened]
    held = changed("::lockgate-deployment", lambda props: change(pod(props)))
    said = judged(BY_NAME["pod-is-restricted"], held)
    assert any(words in message for message, _ in said), said
    assert {urn for _, urn in said} == {ROUTER_POD}


def test_a_bare_pod_and_a_cron_job_are_pods_too() -> None:
    bare = {"spec": {"containers": [{"image": "a"}]}}
    job = {"spec": {"jobTemplate": {"spec": {"template": bare}}}}
    for kind, props in (("kubernetes:core/v1:Pod", bare), ("kubernetes:batch/v1:CronJob", job)):
        one = resource(kind, f"urn:pulumi:dev::lockgate::{kind}::x", props)
        for rule in ("image-has-a-version", "pod-is-restricted"):
            assert judged(BY_NAME[rule], [one])


def drop(*names: str) -> list[PolicyResource]:
    return [one for one in stack() if not one.urn.endswith(names)]


def test_a_pod_of_ours_without_a_network_policy_is_named() -> None:
    rule = BY_NAME["pod-has-a-network-policy"]
    said = judged(rule, drop("::lockgate-network-policy"))
    assert [(m.split()[4], urn) for m, urn in said] == [
        ("ingress", ROUTER_POD),
        ("egress", ROUTER_POD),
    ]
    # one that holds one direction only, and ones that select something else
    one_way = changed(
        "::lockgate-network-policy", lambda p: p["spec"].update(policyTypes=["Ingress"])
    )
    assert [m.split()[4] for m, _ in judged(rule, one_way)] == ["egress"]
    elsewhere = changed(
        "::lockgate-network-policy", lambda p: p["metadata"].update(namespace="other")
    )
    assert len(judged(rule, elsewhere)) == 2
    expression = {"key": "app.kubernetes.io/component", "operator": "NotIn", "values": ["router"]}
    except_it = changed(
        "::lockgate-network-policy",
        lambda p: p["spec"].update(podSelector={"matchExpressions": [expression]}),
    )
    assert len(judged(rule, except_it)) == 2
    every = changed("::lockgate-network-policy", lambda p: p["spec"].update(podSelector={}))
    assert judged(rule, every) == []


def test_what_no_component_made_needs_no_network_policy() -> None:
    assert judged(BY_NAME["pod-has-a-network-policy"], [*stack(), stray()]) == []


GIVEN: dict[str, dict[str, Any]] = {
    "volume": {"volumes": [{"name": "k", "secret": {"secretName": "openai-key"}}]},
    "projected": {"volumes": [{"name": "k", "projected": {"sources": [{"secret": {"name": "openai-key"}}]}}]},
    "env": {"containers": [{"name": "c", "env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "openai-key", "key": "k"}}}]}]},
    "envFrom": {"initContainers": [{"name": "c", "envFrom": [{"secretRef": {"name": "openai-key"}}]}]},
}  # fmt: skip


@pytest.mark.parametrize("way", GIVEN)
def test_a_cloud_credential_outside_a_router_is_named(way: str) -> None:
    rule = BY_NAME["cloud-credential-in-router-only"]
    [(message, urn)] = judged(rule, [*stack(), stray(**GIVEN[way])])
    assert "'openai-key'" in message
    assert urn is not None
    assert urn.endswith("::stray")


def test_another_secret_or_another_namespace_is_nobodys_business() -> None:
    rule = BY_NAME["cloud-credential-in-router-only"]
    other = {"volumes": [{"name": "k", "secret": {"secretName": "database"}}]}
    assert judged(rule, [*stack(), stray(**other)]) == []
    away = stray(**GIVEN["volume"])
    props = plain(away.props)
    props["metadata"]["namespace"] = "elsewhere"
    assert judged(rule, [*stack(), resource(away.resource_type, away.urn, props)]) == []


def test_a_router_without_a_proof_is_named() -> None:
    rule = BY_NAME["router-has-a-proof"]
    for change in (
        lambda p: p.pop("verdict"),
        lambda p: p.update(verdict="VIOLATED: 1 leak(s)"),
        lambda p: p.pop("digest"),
    ):
        said = judged(rule, changed("ModelRouter::lockgate", change))
        assert said[0][0].startswith("the router has no proof")
    policy = next(str(one.urn) for one in stack() if "::lockgate-policy-" in str(one.urn))
    other = changed(policy, lambda p: p["data"].update({"policy.json": '{"backends":[]}'}))
    [(message, urn)] = judged(rule, other)
    assert "not the policy that was proved" in message
    assert str(urn) == policy
    kept = {"metadata": {"name": "earlier"}, "data": {"policy.json": '{"backends":[]}'}}
    earlier = resource("kubernetes:core/v1:ConfigMap", f"{policy}0", kept)
    assert judged(rule, [*stack(), earlier]) == []  # no pod mounts it


def test_a_router_made_by_hand_is_named() -> None:
    by_hand = stray()
    props = plain(by_hand.props)
    props["spec"]["template"]["metadata"]["labels"] = {"app.kubernetes.io/component": "router"}
    made = resource(by_hand.resource_type, by_hand.urn, props)
    [(message, _)] = judged(BY_NAME["router-has-a-proof"], [*stack(), made])
    assert "no ModelRouter made them" in message


@pytest.fixture(scope="module")
def served() -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    """The pack as the engine starts it: a process that says its port and answers there."""
    process = subprocess.Popen(
        [sys.executable, "-u", str(PACK)], stdout=subprocess.PIPE, text=True, cwd=PACK
    )
    assert process.stdout is not None
    with process, grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
        yield analyzer_pb2_grpc.AnalyzerStub(channel)
        process.terminate()


def as_struct(props: Any) -> Struct:
    held = Struct()
    held.update(json.loads(json.dumps(plain(props))))
    return held


def test_the_engine_is_told_every_rule_as_mandatory(served: Any) -> None:
    info = served.GetAnalyzerInfo(empty_pb2.Empty())
    assert [policy.name for policy in info.policies] == list(BY_NAME)
    assert {p.enforcementLevel for p in info.policies} == {analyzer_pb2.MANDATORY}


def test_the_served_pack_passes_dev_and_stops_what_breaks_it(served: Any) -> None:
    def said(held: list[PolicyResource]) -> list[Any]:
        told = [
            analyzer_pb2.AnalyzerResource(
                type=r.resource_type, urn=r.urn, name=r.name, properties=as_struct(r.props)
            )
            for r in held
        ]
        return list(
            served.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=told)).diagnostics
        )

    assert said(stack()) == []
    [first, second] = said(drop("::lockgate-network-policy"))
    assert first.policyName == second.policyName == "pod-has-a-network-policy"
    assert first.enforcementLevel == analyzer_pb2.MANDATORY
    latest = stray(containers=[{"name": "c", "image": "c:latest"}])
    request = analyzer_pb2.AnalyzeRequest(
        type=latest.resource_type, urn=latest.urn, name="stray", properties=as_struct(latest.props)
    )
    names = {d.policyName for d in served.Analyze(request).diagnostics}
    assert names == {"image-has-a-version", "pod-is-restricted"}
