"""A machine outside the cluster that serves a model: llama.cpp itself, on the node's own address.

It stands for a Mac: no pod, reached by its address alone, and looked after by the router's checks.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.llama import Llama
from tests.clients.tiny_model import write
from tests.cluster.rig import IS_HERE, PROXY, Cluster, Load, namespace, python_pod, say
from tests.cluster.test_on_a_cluster import ROUTER, rendered
from tests.support.proxy import free_port
from tests.support.wait import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif("KUBECONFIG" not in os.environ, reason="NOT RUN: no KUBECONFIG"),
    pytest.mark.skipif(not IS_HERE, reason="NOT RUN: the node is another machine"),
]
HERE = "lockgate-metal"
STACK = """
config:
  lockgate:namespace: {here}
  lockgate:metal:
    studio:
      address: {address}
      port: {port}
      model: /models/tiny.gguf
      memory: 64Gi
      user: _llama
      declaration: {{ owner: the tests, place: the node itself }}
  lockgate:router:
    backends:
    - name: local-studio
      inferenceServiceRef: {{ name: studio }}
      healthCheck: {{ intervalSeconds: 1, timeoutSeconds: 1 }}
    rules:
    - name: stays
      match: {{ dataClassification: [pii, phi] }}
      route: {{ backends: [local-studio] }}
      failClosed: true
    defaultRoute: local-studio
    proxy: {{ image: "{image}", quarantineDuration: 1s }}
"""
ASK = """
import sys, urllib.request
print(urllib.request.urlopen(f"http://studio:{sys.argv[1]}/v1/models", timeout=10).read().decode())
"""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    made.apply(namespace(HERE))
    try:
        yield made
    finally:
        made.delete_namespace(HERE)


def counts(cluster: Cluster, label: str = "pii") -> set[str]:
    """The statuses of a second's requests."""
    host = f"{ROUTER}.{HERE}.svc.cluster.local"
    found = Load(cluster, HERE, host, 1, label=label).counts()
    return {said.split(" ")[0] for said in found}


def test_a_machine_outside_serves_and_is_left_out_while_it_sleeps(
    cluster: Cluster, tmp_path: Path
) -> None:
    [node] = cluster.get("nodes")["items"]
    addresses = {one["type"]: one["address"] for one in node["status"]["addresses"]}
    address, port = addresses["InternalIP"], free_port()
    model = tmp_path / "tiny.gguf"
    write(model)
    stack = STACK.format(here=HERE, address=address, port=port, image=PROXY)
    out = rendered(tmp_path / "stack", stack)
    machine = Llama(tmp_path, model, 512, address, port)
    try:
        cluster.kubectl("apply", "--server-side", "-f", str(out))
        cluster.rolled_out(HERE, ROUTER)
        eventually(lambda: counts(cluster) == {"200"}, 60)

        # by its Service too, for whoever is no router
        cluster.apply(python_pod(HERE, "ask", ASK, str(port)))
        log = ("-n", HERE, "logs", "ask")
        eventually(lambda: "tiny" in cluster.kubectl(*log, check=False).stdout, 30, every_s=0.2)
    finally:
        machine.stop()
    assert counts(cluster) == {"503"}
    machine = Llama(tmp_path, model, 512, address, port)
    try:
        eventually(lambda: counts(cluster) == {"200"}, 60)
    finally:
        machine.stop()
    say("a machine outside, llama.cpp itself: 200, 503 while it is off, 200 when it is back")
