"""A model that lies on a hub, fetched by the pods of its server: once, verified, and there when the hub is away."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.rig import (
    IS_HERE,
    ROOT,
    STAND_IN,
    Cluster,
    disk,
    namespace,
    python_pod,
    say,
    volume,
)
from tests.cluster.test_on_a_cluster import rendered
from tests.support.wait import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif("KUBECONFIG" not in os.environ, reason="NOT RUN: no KUBECONFIG"),
    pytest.mark.skipif(not IS_HERE, reason="NOT RUN: the node's disk is another machine's"),
]
HERE, OUTSIDE = "lockgate-fetch", "lockgate-hub"
SIZE = 30_000_000
HUB = """
import hashlib, http.server, json, re, sys
size = int(sys.argv[1])
data = bytes(range(256)) * (size // 256 + 1)
data = data[:size]
sum_ = hashlib.sha256(data).hexdigest()
asked = []
class Hub(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(f"{self.path} {self.headers.get('range', '')} {self.headers.get('authorization', '')}")
        if self.path == "/asked": return self.give(200, json.dumps(asked).encode())
        if "/revision/" in self.path: return self.give(200, json.dumps({"sha": "c" * 40}).encode())
        if "/tree/" in self.path:
            lfs = {"oid": sum_, "size": size, "pointerSize": 135}
            tree = [{"type": "file", "path": n, "size": size, "oid": "b" * 40, "lfs": lfs} for n in ("m.gguf", "bad.gguf")]
            return self.give(200, json.dumps(tree).encode())
        whole = data if "m.gguf" in self.path else data[::-1]
        first = re.fullmatch("bytes=([0-9]+)-", self.headers.get("range", ""))
        n = int(first[1]) if first else 0
        said = {"content-range": f"bytes {n}-{size - 1}/{size}"} if first else {}
        # the first connection breaks in the middle, as they do
        cut = 10_000_000 if len([a for a in asked if "resolve" in a]) == 1 else size
        self.give(206 if first else 200, whole[n:], cut=cut, **said)
    def give(self, status, body, cut=None, **said):
        self.send_response(status)
        for name, value in said.items(): self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
    def log_message(self, *_): pass
print("up", flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Hub).serve_forever()
"""
STACK = f"""
config:
  lockgate:namespace: {HERE}
  lockgate:models:
    qwen:
      modelRef: hf://org/repo/FILE
      runtime: generic
      image: "{STAND_IN}"
      replicas: 2
      extraArgs: [--host, 0.0.0.0, --port, "8080", --alias, $(MODEL_PATH)]
      fetch:
        endpoint: http://hub.{OUTSIDE}.svc.cluster.local:8080
        cache: {{ existing: models }}
        timeout: 2m
  lockgate:router:
    backends: [{{ name: local-qwen, inferenceServiceRef: {{ name: qwen }} }}]
    defaultRoute: local-qwen
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    shutil.rmtree(disk(HERE, "models"), ignore_errors=True)
    disk(HERE, "models").mkdir()
    disk(HERE, "models").chmod(0o777)
    hub = python_pod(OUTSIDE, "hub", HUB, str(SIZE))
    hub["metadata"]["labels"] = {"app": "hub"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "hub", "namespace": OUTSIDE},
        "spec": {"selector": {"app": "hub"}, "ports": [{"port": 8080}]},
    }
    made.apply(namespace(HERE), namespace(OUTSIDE))
    made.apply(*volume(HERE, "models"), hub, service)
    try:
        eventually(
            lambda: "up" in made.kubectl("-n", OUTSIDE, "logs", "hub", check=False).stdout, 60
        )
        yield made
    finally:
        for space in (HERE, OUTSIDE):
            made.delete_namespace(space)
        made.kubectl("delete", "persistentvolume", f"{HERE}-models", "--ignore-not-found")


def asked(cluster: Cluster) -> list[str]:
    path = f"/api/v1/namespaces/{OUTSIDE}/pods/hub:8080/proxy/asked"
    found: list[str] = json.loads(cluster.kubectl("get", "--raw", path).stdout)
    return [line for line in found if "/resolve/" in line]


def logs(cluster: Cluster) -> dict[str, str]:
    """What the fetching of each pod said."""
    names = [pod["metadata"]["name"] for pod in cluster.pods(HERE, "qwen")]
    return {
        n: cluster.kubectl("-n", HERE, "logs", n, "-c", "fetch", check=False).stdout for n in names
    }


def test_a_model_is_fetched_once_and_is_there_when_the_hub_is_away(
    cluster: Cluster, tmp_path: Path
) -> None:
    out = rendered(tmp_path, STACK.replace("FILE", "m.gguf"))
    cluster.kubectl("apply", "--server-side", "-f", str(out))
    cluster.rolled_out(HERE, "qwen", 120)

    # two pods, one download: cut once, and gone on with where it stopped
    found = asked(cluster)
    assert [line.split(" ")[1] for line in found] == ["", "bytes=10000000-"], found
    whole = sorted(logs(cluster).values(), key=len)
    assert any("30.0 MB, verified by its sha256 sum" in text for text in whole), whole
    assert any("is there already" in text for text in whole), whole
    [file] = disk(HERE, "models").glob("*/m.gguf")
    data = bytes(range(256)) * (SIZE // 256 + 1)
    assert hashlib.sha256(file.read_bytes()).digest() == hashlib.sha256(data[:SIZE]).digest()

    # the server was told where it is
    pods = cluster.pods(HERE, "qwen")
    url = f"/api/v1/namespaces/{HERE}/pods/{pods[0]['metadata']['name']}:8080/proxy/v1/models"
    assert f"/models/{file.parent.name}/m.gguf" in cluster.kubectl("get", "--raw", url).stdout

    # the hub is away, and a pod starts all the same
    cluster.kubectl("-n", OUTSIDE, "delete", "service", "hub")
    cluster.kubectl("-n", HERE, "delete", "pod", pods[0]["metadata"]["name"])
    cluster.rolled_out(HERE, "qwen")
    assert all("is there already" in text for text in list(logs(cluster).values())[-1:])
    say("a fetched model: two pods, one download, a cut in the middle, and no hub for the next pod")
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "hub", "namespace": OUTSIDE},
        "spec": {"selector": {"app": "hub"}, "ports": [{"port": 8080}]},
    }
    cluster.apply(service)


def test_a_wrong_sum_is_never_served(cluster: Cluster, tmp_path: Path) -> None:
    out = rendered(tmp_path, STACK.replace("FILE", "bad.gguf"))
    cluster.kubectl("apply", "--server-side", "-f", str(out))

    def states() -> list[Any]:
        pods = cluster.get("-n", HERE, "pods", "-l", "app.kubernetes.io/instance=qwen")["items"]
        inits = [i for p in pods for i in p["status"].get("initContainerStatuses", [])]
        return [one for one in inits if one["restartCount"] > 0]

    eventually(states, 90, every_s=1)
    text = "".join(logs(cluster).values())
    assert "has the sha256 sum" in text, text
    assert "and it is removed" in text or "was to come; it is removed" in text
    assert not list(disk(HERE, "models").glob("*/bad.gguf"))


def test_the_example_that_fetches_once_is_admitted(cluster: Cluster) -> None:
    text = (ROOT / "examples" / "models" / "fetch-once.yaml").read_text()
    objects = [
        {**one, "metadata": {**one["metadata"], "namespace": HERE}}
        for one in yaml.safe_load_all(text)
    ]
    whole = {"apiVersion": "v1", "kind": "List", "items": objects}
    line = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
    done = cluster.kubectl(*line, given=whole)
    assert done.stdout.count("serverside-applied") == 2
    assert "Warning" not in done.stderr
