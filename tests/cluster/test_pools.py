"""Karpenter's own rules on a real API server: what a stack may say of a pool is admitted there.

Only on a cluster of one's own: the definitions lie in no namespace.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from pulumi_lockgate.manifests.pools import node_pool
from pulumi_lockgate.stack.pools import read_pool

from tests.cluster.rig import IS_HERE, Cluster
from tests.packages.test_published_crds import KARPENTER, OLDEST_KARPENTER, POOLS
from tests.support.crds import published
from tests.support.wait import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif("KUBECONFIG" not in os.environ, reason="NOT RUN: no KUBECONFIG"),
    pytest.mark.skipif(not IS_HERE, reason="NOT RUN: it would change another one's cluster"),
]
REF = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"}
# what a schema's rules (CEL) refuse, and a reading of its types alone does not
REFUSED: tuple[dict[str, Any], ...] = (
    {"requirements": [{"key": "karpenter.sh/initialized", "values": ["true"]}]},
    {"requirements": [{"key": "kubernetes.io/hostname", "values": ["a"]}]},
    {"requirements": [{"key": "a/b", "operator": "In", "values": []}]},
    {"requirements": [{"key": "a/b", "operator": "Gt", "values": ["many"]}]},
    {"labels": {"karpenter.sh/nodepool": "a"}},
    {"disruption": {"budgets": [{"nodes": "1", "schedule": "0 9 * * mon-fri"}]}},
    {"disruption": {"budgets": [{"nodes": "1", "schedule": "at nine", "duration": "8h"}]}},
)


@pytest.fixture(params=[KARPENTER, OLDEST_KARPENTER], ids=["newest", "oldest"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster that has Karpenter's definition of a NodePool."""
    made = Cluster()
    definition = published(*request.param)
    made.apply(definition)
    name = definition["metadata"]["name"]
    try:
        line = ("wait", "--for=condition=Established", f"crd/{name}", "--timeout=30s")
        made.kubectl(*line)
        eventually(lambda: made.kubectl("get", "nodepools", check=False).returncode == 0, 30)
        yield made
    finally:
        made.kubectl("delete", "crd", name, "--timeout=60s")


def admitted(cluster: Cluster, made: dict[str, Any]) -> str:
    """What the API server has against an object; nothing where it takes it."""
    line = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
    done = cluster.kubectl(*line, given=json.dumps(made), check=False)
    return done.stderr if done.returncode else ""


def test_every_pool_that_is_taken_is_admitted(
    cluster: Cluster, request: pytest.FixtureRequest
) -> None:
    for stated in POOLS:
        pool, problems = read_pool("gpu", {"kind": "karpenter", "nodeClassRef": REF, **stated})
        assert pool is not None, problems
        assert pool.node_class is not None
        made = node_pool(pool, pool.node_class)
        if "oldest" in request.node.name:  # it reserved nothing of clouds yet
            for one in made["spec"]["template"]["spec"]["requirements"]:
                if one["key"] == "karpenter.sh/capacity-type":
                    one["values"] = [v for v in one["values"] if v != "reserved"]
        assert admitted(cluster, made) == ""


def test_what_it_refuses_is_refused_before(cluster: Cluster) -> None:
    pool, _ = read_pool("gpu", {"kind": "karpenter", "nodeClassRef": REF})
    assert pool is not None
    assert pool.node_class is not None
    for stated in REFUSED:
        _, problems = read_pool("gpu", {"kind": "karpenter", "nodeClassRef": REF, **stated})
        assert problems, stated
        made = node_pool(pool, pool.node_class)
        template = made["spec"]["template"]
        template["spec"]["requirements"] = [
            {"operator": "In", **one} for one in stated.get("requirements", [])
        ]
        template.setdefault("metadata", {})["labels"] = stated.get("labels", {})
        made["spec"]["disruption"] |= stated.get("disruption", {})
        assert "nvalid" in admitted(cluster, made), stated
