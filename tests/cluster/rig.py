"""A cluster under test: kubectl, manifests, and a client that runs in the cluster as a pod.

Which cluster it is says KUBECONFIG; `make test-cluster` starts the one of `tests/cluster/node`.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.support.wait import eventually

ROOT = Path(__file__).parent.parent.parent
OWN = ROOT / "build" / "cluster" / "kubectl"
KUBECTL = os.environ.get("KUBECTL") or (str(OWN) if OWN.exists() else shutil.which("kubectl") or "kubectl")  # fmt: skip
VERSION = "0.2.0"
STAND_IN = os.environ.get("STAND_IN_IMAGE", f"ghcr.io/lockgate/lockgate-stand-in:{VERSION}")
PROXY = os.environ.get("PROXY_IMAGE", f"ghcr.io/lockgate/lockgate-proxy:{VERSION}")
IS_HERE = os.environ.get("NODE_IS_HERE") == "1"
"""Whether the node's disk is this machine's."""
REPORT: list[str] = []
"""What the tests measured; the end of the run prints it."""
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
CONTAINER = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}

LOAD = """
import http.client, json, sys, threading, time
host, port, seconds, pause, label = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
head = {"content-type": "application/json"}
if label: head["x-llmkube-classification"] = label
body = json.dumps({"model": "qwen", "messages": [{"role": "user", "content": "hello"}]})
counts, lock, end = {}, threading.Lock(), time.time() + seconds
def count(what):
    with lock: counts[what] = counts.get(what, 0) + 1
def ask(keep):
    connection = None
    while time.time() < end:
        try:
            connection = connection or http.client.HTTPConnection(host, port, timeout=20)
            connection.request("POST", "/v1/chat/completions", body, head)
            response = connection.getresponse()
            response.read()
            backend = response.getheader("x-lockgate-backend", "")
            count(f"{response.status} {response.getheader('x-lockgate-policy', '')[:17]} {backend}")
            if response.will_close or not keep: connection.close(); connection = None
        except Exception as error:
            count(f"failed: {error!r}"[:150]); connection = None
        time.sleep(pause)
threads = [threading.Thread(target=ask, args=(n % 2 == 0,)) for n in range(8)]
print("began", flush=True)
for one in threads: one.start()
for one in threads: one.join()
print(json.dumps(counts))
"""
"""Eight askers, half of them on one connection each, for so many seconds; prints the counts."""


def say(line: str) -> None:
    """Have a line printed in the end."""
    REPORT.append(line)


class Cluster:
    """kubectl on the cluster that KUBECONFIG names."""

    def kubectl(
        self, *line: str, given: Any = None, check: bool = True, wait: float = 120
    ) -> "subprocess.CompletedProcess[str]":
        text = given if isinstance(given, str) or given is None else json.dumps(given)
        done = subprocess.run(
            [KUBECTL, *line], input=text, capture_output=True, text=True, check=False, timeout=wait
        )
        assert not check or done.returncode == 0, f"kubectl {' '.join(line)}: {done.stderr}"
        return done

    def get(self, *line: str) -> Any:
        return json.loads(self.kubectl("get", *line, "-o", "json").stdout)

    def apply(self, *objects: dict[str, Any]) -> None:
        whole = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=whole)

    def delete_namespace(self, name: str) -> None:
        line = ("delete", "namespace", name, "--ignore-not-found", "--timeout=90s")
        self.kubectl(*line, wait=120)

    def rolled_out(self, namespace: str, deployment: str, seconds: int = 90) -> None:
        line = ("rollout", "status", f"deployment/{deployment}", f"--timeout={seconds}s")
        self.kubectl("-n", namespace, *line, wait=seconds + 10)

    def pods(self, namespace: str, instance: str) -> list[dict[str, Any]]:
        """The pods of one of our components that are not on their way out."""
        found = self.get("-n", namespace, "pods", "-l", f"app.kubernetes.io/instance={instance}")
        return [one for one in found["items"] if "deletionTimestamp" not in one["metadata"]]


class Load:
    """A pod that asks the router for so many seconds."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        host: str,
        seconds: float,
        *,
        name: str = "load",
        label: str = "",
        pause: float = 0.2,
    ) -> None:
        self.cluster, self.where, self.seconds = cluster, (namespace, name), seconds
        cluster.kubectl("-n", namespace, "delete", "pod", name, "--ignore-not-found", "--now")
        arguments = [host, "8080", str(seconds), str(pause), label]
        cluster.apply(python_pod(namespace, name, LOAD, *arguments))
        eventually(lambda: "began" in self.log(), 60, lambda: f"load: {self.log()}", every_s=0.2)

    def log(self) -> str:
        namespace, name = self.where
        return self.cluster.kubectl("-n", namespace, "logs", name, check=False).stdout

    def counts(self) -> dict[str, int]:
        """What came, by status, policy and backend, once it is over."""
        eventually(lambda: "{" in self.log(), self.seconds + 60, self.log, every_s=0.5)
        found: dict[str, int] = json.loads(self.log().splitlines()[-1])
        return found


def python_pod(namespace: str, name: str, script: str, *arguments: str) -> dict[str, Any]:
    """A pod that runs a script with the stand-in's Python, as restricted as every other."""
    container = {
        "name": "main",
        "image": STAND_IN,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/usr/bin/python3.11", "-u", "-c", script, *arguments],
        "securityContext": CONTAINER,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": POD,
            "containers": [container],
        },
    }


def namespace(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": RESTRICTED},
    }


def disk(namespace: str, claim: str) -> Path:
    """Where a claim of `volume` lies on its node."""
    return Path(f"/tmp/{namespace}-{claim}")


def volume(namespace: str, claim: str) -> list[dict[str, Any]]:
    """A claim with a volume of its own, on the node's disk: a test cluster has no storage class."""
    size = {"storage": "1Mi"}
    modes = ["ReadWriteMany"]
    names = {"name": f"{namespace}-{claim}"}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": names,
            "spec": {
                "capacity": size,
                "accessModes": modes,
                "storageClassName": "",
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": namespace, "name": claim},
                "hostPath": {"path": str(disk(namespace, claim)), "type": "DirectoryOrCreate"},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": claim, "namespace": namespace},
            "spec": {
                "accessModes": modes,
                "storageClassName": "",
                "volumeName": names["name"],
                "resources": {"requests": size},
            },
        },
    ]


def stand_in(namespace: str, name: str) -> list[dict[str, Any]]:
    """A model server outside of the stack: a cloud that is none."""
    labels = {"app": name}
    container = {
        "name": "main",
        "image": STAND_IN,
        "imagePullPolicy": "IfNotPresent",
        "args": ["--host", "0.0.0.0", "--port", "8080", "--alias", name],
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1},
        "securityContext": CONTAINER,
    }
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"securityContext": POD, "containers": [container]},
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": labels, "ports": [{"port": 8080}]},
        },
    ]
