"""Every manifest of every stack against the published Kubernetes schemas, and what must stand in it."""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from lockgate.policy.spec.backends import Backend, InferenceServiceRef
from lockgate.policy.spec.model_router import RouterSpec
from pulumi_lockgate.manifests.network import router_network_policies
from pulumi_lockgate.stack.evaluate import Plan, evaluate, read_stack
from pulumi_lockgate.stack.files import stack_file

STACKS = ("dev", "staging", "prod", "first", "openshift", "airgap")
PLANS: dict[str, Plan] = {}


def plan(stack: str) -> Plan:
    if stack not in PLANS:
        PLANS[stack] = evaluate(stack, read_stack(stack_file(stack)))
    return PLANS[stack]


def of_kind(stack: str, kind: str) -> list[dict[str, Any]]:
    return [m for m in plan(stack).manifests if m["kind"] == kind]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for stack in STACKS:
        for deployment in of_kind(stack, "Deployment"):
            yield deployment["metadata"]["name"], deployment["spec"]["template"]["spec"]


@pytest.mark.parametrize("stack", STACKS)
def test_every_manifest_holds_to_the_published_schema(stack: str) -> None:
    manifests = plan(stack).manifests
    assert {m["kind"] for m in manifests} >= {"Deployment", "Service", "ConfigMap"}
    for manifest in manifests:
        if manifest["kind"] != "Route":  # tests/packages/test_published_crds.py
            kubernetes_validate.validate(manifest, "1.34", strict=True)


def test_the_schema_check_can_fail() -> None:
    (service, *_) = of_kind("dev", "Service")
    misspelt = {**service, "spec": {**service["spec"], "selektor": {}}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(misspelt, "1.34", strict=True)


def test_every_pod_is_admitted_by_the_restricted_profile() -> None:
    for name, pod in pods():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert ":latest" not in container["image"]
            assert ":" in container["image"].rpartition("/")[2]
        assert not any("hostPath" in volume for volume in pod["volumes"])


@pytest.mark.parametrize("stack", STACKS)
def test_every_deployment_has_its_own_account_and_network_policy(stack: str) -> None:
    policies = {p["metadata"]["name"]: p["spec"] for p in of_kind(stack, "NetworkPolicy")}
    accounts = {a["metadata"]["name"]: a for a in of_kind(stack, "ServiceAccount")}
    for deployment in of_kind(stack, "Deployment"):
        name = deployment["metadata"]["name"]
        assert accounts[name]["automountServiceAccountToken"] is False
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert policies[name]["podSelector"]["matchLabels"].items() <= labels.items()
        assert policies[name]["policyTypes"] == ["Ingress", "Egress"]


def test_the_pod_template_carries_the_digest_of_the_very_config_map() -> None:
    [deployment] = [d for d in of_kind("prod", "Deployment") if "router" in d["metadata"]["name"]]
    [config] = of_kind("prod", "ConfigMap")
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations == config["metadata"]["annotations"]
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    assert volumes[0]["configMap"]["name"] == config["metadata"]["name"]
    assert config["immutable"] is True


def test_a_model_server_lets_out_nothing_and_lets_in_routers_alone() -> None:
    [policy] = [
        p for p in of_kind("dev", "NetworkPolicy") if p["metadata"]["name"] == "qwen3-coder"
    ]
    assert policy["spec"]["egress"] == []
    [rule] = policy["spec"]["ingress"]
    assert rule["from"][0]["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/component": "router"
    }


def test_a_router_reaches_the_pods_of_a_service_be_they_ours_or_llmkube_s() -> None:
    backend = Backend(name="l", inference_service_ref=InferenceServiceRef(name="phi.4"))
    policy = router_network_policies("r", "n", RouterSpec(backends=(backend,)))["network-policy"]
    peers = policy["spec"]["egress"][1]["to"]
    pods = [peer["podSelector"]["matchLabels"] for peer in peers]
    assert pods[0]["app.kubernetes.io/instance"] == "phi-4"
    assert pods[1] == {"inference.llmkube.dev/service": "phi.4"}
    space = {"matchLabels": {"kubernetes.io/metadata.name": "n"}}
    assert [peer["namespaceSelector"] for peer in peers] == [space, space]


def test_a_named_cloud_backend_is_its_port_to_all_but_private_addresses() -> None:
    [policy] = [p for p in of_kind("prod", "NetworkPolicy") if "router" in p["metadata"]["name"]]
    public = [rule for rule in policy["spec"]["egress"] if "ipBlock" in rule["to"][0]]
    assert len(public) == 1
    assert public[0]["ports"] == [{"port": 443, "protocol": "TCP"}]
    assert "10.0.0.0/8" in public[0]["to"][0]["ipBlock"]["except"]


def test_prod_says_what_prod_is() -> None:
    [deployment] = [d for d in of_kind("prod", "Deployment") if "router" in d["metadata"]["name"]]
    pod = deployment["spec"]["template"]["spec"]
    assert deployment["spec"]["replicas"] == 3
    assert pod["terminationGracePeriodSeconds"] == 315
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    mounts = {m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
    assert mounts == {
        "/etc/lockgate/policy", "/etc/lockgate/secrets/anthropic-key",
        "/etc/lockgate/secrets/openai-key", "/var/log/lockgate",
    }  # fmt: skip
    [service] = [s for s in of_kind("prod", "Service") if "router" in s["metadata"]["name"]]
    assert (service["spec"]["type"], service["spec"]["ports"][0]["port"]) == ("ClusterIP", 80)
    qwen = next(d for d in of_kind("prod", "Deployment") if d["metadata"]["name"] == "qwen3-coder")
    container = qwen["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "4"
    assert container["args"][container["args"].index("--tensor-parallel-size") + 1] == "4"


def test_children_hang_under_their_component() -> None:
    resources = {r.name: r for r in plan("dev").resources}
    for child in ("lockgate-policy-203fa57e68", "lockgate-deployment", "lockgate-network-policy"):
        assert resources[child].parent.endswith("lockgate:index:ModelRouter::lockgate")
    assert resources["qwen3-coder-service"].parent.endswith("InferenceService::qwen3-coder")
    assert resources["lockgate-deployment"].type == "kubernetes:apps/v1:Deployment"


def test_the_programs_are_at_most_sixty_lines() -> None:
    from pulumi_lockgate.stack.project import SHIPPED

    root = Path(__file__).parent.parent.parent
    programs = [SHIPPED.parent / "__init__.py", SHIPPED, *root.glob("infra/*.py")]
    programs += root.glob("examples/program/*.py")
    assert [p for p in programs if len(p.read_text().splitlines()) > 60] == []


def test_the_proxys_image_is_of_this_very_version() -> None:
    [deployment] = [d for d in of_kind("dev", "Deployment") if "router" in d["metadata"]["name"]]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"].endswith(f"/lockgate-proxy:{version('lockgate')}")
