"""Pods as OpenShift would run them: users and groups of the namespace's own range, and a site's authorities."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
import yaml

from tests.cluster.rig import PROXY, STAND_IN, Cluster, Load, namespace
from tests.cluster.test_on_a_cluster import ROUTER, rendered

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif("KUBECONFIG" not in os.environ, reason="NOT RUN: no KUBECONFIG"),
]
HERE = "lockgate-site"
SOMEBODY = 1000650000
"""A user as restricted-v2 gives one, which is in no image."""
STACK = f"""
config:
  lockgate:namespace: {{ name: {HERE}, create: false }}
  lockgate:site: {{ platform: openshift, caConfigMapRef: {{ name: trusted-ca, key: ca-bundle.crt }} }}
  lockgate:models:
    qwen: {{ runtime: generic, image: "{STAND_IN}", extraArgs: [--host, 0.0.0.0, --port, "8080", --alias, qwen] }}
  lockgate:router:
    backends: [{{ name: local-qwen, inferenceServiceRef: {{ name: qwen }} }}]
    defaultRoute: local-qwen
    proxy: {{ image: "{PROXY}" }}
    endpoint: {{ route: {{ host: llm.apps.example.com }} }}
"""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    made.apply(namespace(HERE))
    try:
        yield made
    finally:
        made.delete_namespace(HERE)


def test_pods_run_as_whoever_the_platform_says(cluster: Cluster, tmp_path: Path) -> None:
    ca = {"ca-bundle.crt": trustme.CA().cert_pem.bytes().decode()}
    bundle = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "trusted-ca", "namespace": HERE}, "data": ca}  # fmt: skip
    objects = [
        yaml.safe_load(file.read_text()) for file in rendered(tmp_path, STACK).glob("*.yaml")
    ]
    for one in objects:
        if one["kind"] == "Deployment":  # what the SCC's admission writes into each pod
            context = one["spec"]["template"]["spec"]["securityContext"]
            assert not {"runAsUser", "runAsGroup", "fsGroup"} & context.keys()
            context |= {"runAsUser": SOMEBODY, "fsGroup": SOMEBODY}
    cluster.apply(bundle, *(one for one in objects if one["kind"] != "Route"))
    cluster.rolled_out(HERE, "qwen")
    cluster.rolled_out(HERE, ROUTER)
    counts = Load(cluster, HERE, f"{ROUTER}.{HERE}.svc.cluster.local", 1).counts()
    assert {said.split(" ")[0] for said in counts} == {"200"}, counts
    [pod, *_] = cluster.pods(HERE, ROUTER)
    script = "import os; print(os.getuid(), open(os.environ['SSL_CERT_FILE']).read()[:27])"
    line = (
        "exec",
        pod["metadata"]["name"],
        "-c",
        "proxy",
        "--",
        "/usr/bin/python3.11",
        "-c",
        script,
    )
    said = cluster.kubectl("-n", HERE, *line).stdout
    assert said.startswith(f"{SOMEBODY} -----BEGIN CERTIFICATE-----"), said
