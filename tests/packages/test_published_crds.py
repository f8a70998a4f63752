"""What is written for others' controllers, against the schemas that they publish.

Fetched as Go modules when the test runs (some tens of megabytes), and not run without `go`.
"""

import json
from typing import Any

import pytest
from lockgate.policy.reading.load import load_policy
from pulumi_lockgate.manifests.network import CILIUM, router_network_policies

from tests.support.crds import faults, published

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CILIUM_CRD = (
    "github.com/cilium/cilium",
    "v1.18.4",
    "pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml",
)
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
