"""What is written for others' controllers, against the schemas that they publish.

Fetched as Go modules when the test runs (some tens of megabytes), and not run without `go`.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from lockgate.policy.reading.load import load_policy
from pulumi_lockgate.manifests.gpu_kinds import CLASS_LABELS
from pulumi_lockgate.manifests.network import CILIUM, router_network_policies
from pulumi_lockgate.manifests.pools import node_pool
from pulumi_lockgate.manifests.site import route
from pulumi_lockgate.stack.pools import read_pool

from tests.support.crds import faults, published

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CILIUM_CRD = (
    "github.com/cilium/cilium",
    "v1.18.4",
    "pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml",
)
KARPENTER = ("sigs.k8s.io/karpenter", "v1.15.0", "pkg/apis/crds/karpenter.sh_nodepools.yaml")
KARPENTER_ON_AWS = (
    "github.com/aws/karpenter-provider-aws",
    "v1.15.1",
    "pkg/apis/crds/karpenter.sh_nodepools.yaml",
)
OLDEST_KARPENTER = ("sigs.k8s.io/karpenter", "v1.0.0", "pkg/apis/crds/karpenter.sh_nodepools.yaml")
ROUTE = (
    "github.com/openshift/api",
    "v0.0.0-20251120220512-cb382c9eaf42",
    "route/v1/zz_generated.crd-manifests/routes.crd.yaml",
)
FLUX, BASES = "github.com/fluxcd", "config/crd/bases"
ARGO_CRD = ("github.com/argoproj/argo-cd/v3", "v3.2.0", "manifests/crds/application-crd.yaml")
CONTROLLERS = {
    "Application": ARGO_CRD,
    "GitRepository": (f"{FLUX}/source-controller", "v1.10.1", f"{BASES}/source.toolkit.fluxcd.io_gitrepositories.yaml"),
    "Kustomization": (f"{FLUX}/kustomize-controller", "v1.10.1", f"{BASES}/kustomize.toolkit.fluxcd.io_kustomizations.yaml"),
}  # fmt: skip
EXAMPLES = Path(__file__).parents[2] / "examples" / "gitops"
POLICY: dict[str, Any] = {
    "backends": [
        {"name": "l", "inferenceServiceRef": {"name": "s"}},
        {"name": "c", "tier": "cloud", "external": {"provider": "openai", "model": "m"}},
    ],
    "defaultRoute": "l",
    "proxy": {"egress": {"fqdnPolicy": "cilium"}},
}


def test_a_cilium_network_policy_is_what_cilium_publishes() -> None:
    spec = load_policy(json.dumps(POLICY).encode(), "p").spec
    made = router_network_policies("r", "n", spec)[CILIUM]
    definition = published(*CILIUM_CRD)
    assert faults(definition, made) == []
    misspelt: dict[str, Any] = {**made, "spec": {**made["spec"], "endpointSelektor": {}}}
    assert faults(definition, misspelt)
    egress = [{"toFQDNs": [{"matchName": "not a name"}]}]
    assert faults(definition, {**made, "spec": {**made["spec"], "egress": egress}})


POOLS: tuple[dict[str, Any], ...] = (
    {},
    {
        "gpu": "l40s", "instanceTypes": ["g6e.12xlarge"], "instanceFamilies": ["g6e"],
        "zones": ["eu-central-1a"], "capacityTypes": ["on-demand", "spot", "reserved"],
        "requirements": [{"key": "kubernetes.io/arch", "values": ["amd64"]}, {"key": "a/b", "operator": "Gt", "values": ["8"]}],
        "limits": {"cpu": 96, "memory": "768Gi", "gpu": 4}, "labels": {"team": "a"},
        "taints": [{"key": "nvidia.com/gpu", "effect": "NoExecute"}, {"key": "team", "value": "a"}],
        "expireAfter": "Never", "terminationGracePeriod": "1h30m", "weight": 100,
        "disruption": {
            "consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "Never",
            "budgets": [{"nodes": "10%", "reasons": ["Drifted"]}, {"nodes": "0", "schedule": "0 9 * * mon-fri", "duration": "8h"}],
        },
    },
)  # fmt: skip
"""Pools with nothing and with everything stated."""


@pytest.mark.parametrize("where", [KARPENTER, KARPENTER_ON_AWS, OLDEST_KARPENTER])
def test_a_node_pool_is_what_karpenter_publishes(where: tuple[str, str, str]) -> None:
    definition = published(*where)
    ref = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"}
    for stated in POOLS:
        pool, problems = read_pool("gpu", {"kind": "karpenter", "nodeClassRef": ref, **stated})
        assert pool is not None, problems
        assert pool.node_class is not None
        made = node_pool(pool, pool.node_class)
        assert faults(definition, made) == []
        assert faults(definition, {**made, "spec": {**made["spec"], "limit": {}}})
        spec = {**made["spec"], "disruption": {"consolidateAfter": "soon"}}
        assert faults(definition, {**made, "spec": spec})


def test_a_route_is_what_openshift_publishes() -> None:
    stated = {**POLICY, "proxy": {"site": {"platform": "openshift"}}}
    stated["endpoint"] = {"route": {"host": "llm.apps.example.com"}}
    made = route("r", "n", load_policy(json.dumps(stated).encode(), "p").spec)["route"]
    definition = published(*ROUTE)
    assert faults(definition, made) == []
    assert faults(definition, {**made, "spec": {**made["spec"], "hots": "a"}})
    tls = {"termination": "none"}
    assert faults(definition, {**made, "spec": {**made["spec"], "tls": tls}})


def test_the_labels_that_a_gpu_and_a_family_stand_for_may_be_required() -> None:
    text = str(published(*KARPENTER_ON_AWS))
    own = CLASS_LABELS["karpenter.k8s.aws"]
    assert f"'{own.gpu_name}'" in text or f'"{own.gpu_name}"' in text
    assert f"'{own.family}'" in text or f'"{own.family}"' in text


def test_the_examples_are_what_argo_cd_and_flux_publish() -> None:
    seen = set()
    for file in sorted(EXAMPLES.rglob("*.yaml")):
        for one in yaml.safe_load_all(file.read_text()):
            assert faults(published(*CONTROLLERS[one["kind"]]), one) == [], file
            assert faults(
                published(*CONTROLLERS[one["kind"]]), {**one, "spec": {**one["spec"], "pruen": 1}}
            )
            seen.add(one["kind"])
    assert seen == set(CONTROLLERS)
