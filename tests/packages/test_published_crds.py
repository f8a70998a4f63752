"""What is written for others' controllers, against the schemas that they publish.

Fetched as Go modules when the test runs (some tens of megabytes), and not run without `go`.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from lockgate.policy.reading.load import load_policy
from pulumi_lockgate.manifests.network import CILIUM, router_network_policies

from tests.support.crds import faults, published

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CILIUM_CRD = (
    "github.com/cilium/cilium",
    "v1.18.4",
    "pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml",
)
FLUX, BASES = "github.com/fluxcd", "config/crd/bases"
ARGO_CRD = ("github.com/argoproj/argo-cd/v3", "v3.2.0", "manifests/crds/application-crd.yaml")
CONTROLLERS = {
    "Application": ARGO_CRD,
    "GitRepository": (f"{FLUX}/source-controller", "v1.10.1", f"{BASES}/source.toolkit.fluxcd.io_gitrepositories.yaml"),
    "Kustomization": (f"{FLUX}/kustomize-controller", "v1.10.1", f"{BASES}/kustomize.toolkit.fluxcd.io_kustomizations.yaml"),
}  # fmt: skip
EXAMPLES = Path(__file__).parents[2] / "examples" / "gitops"
POLICY = {
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
