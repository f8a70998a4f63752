"""Lockgate on a real cluster: pods, Services, rollouts, drains, kills. `make test-cluster`.

What `lockgate plan --out` renders is applied with kubectl, so that no engine is needed.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.rig import (
    IS_HERE,
    PROXY,
    ROOT,
    STAND_IN,
    Cluster,
    Load,
    disk,
    namespace,
    python_pod,
    say,
    stand_in,
    volume,
)
from tests.support.wait import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(500),
    pytest.mark.skipif("KUBECONFIG" not in os.environ, reason="NOT RUN: no KUBECONFIG"),
]
HERE, OUTSIDE = "lockgate-test", "lockgate-outside"
ROUTER = "lockgate-router-proxy"
RECORDS = disk(HERE, "records")
HOST = f"{ROUTER}.{HERE}.svc.cluster.local"
# a disk of the node's is everybody's only where the test itself can say so
AUDIT = (
    """
    policy:
      auditLog:
        sink: file
        filePath: /var/log/lockgate/audit.jsonl
        volumeClaim: { existing: records }
"""
    if IS_HERE
    else ""
)
STACK = f"""
config:
  lockgate:namespace: {HERE}
  lockgate:models:
    qwen: {{ modelRef: pvc://models/any.gguf, image: "{STAND_IN}" }}
  lockgate:router:
    backends:
    - name: local-qwen
      displayName: qwen
      inferenceServiceRef: {{ name: qwen }}
      tier: local
    - name: cloud
      external:
        provider: openai
        model: gpt-5
        url: http://cloud.{OUTSIDE}.svc.cluster.local:8080/v1
        credentialsSecretRef: {{ name: openai-key }}
        allowPrivateAddress: true
      tier: cloud
    rules:
    - name: stays
      match: {{ dataClassification: [pii, phi] }}
      route: {{ backends: [local-qwen] }}
      failClosed: true
    - name: everyday
      route: {{ backends: [local-qwen, cloud] }}
    defaultRoute: local-qwen
{AUDIT}
    proxy: {{ replicas: 2, image: "{PROXY}", quarantineDuration: 1s, drainGrace: 30s }}
"""


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return Cluster()


def rendered(folder: Path, text: str, name: str = "dev") -> Path:
    """Render a stack of this text by `lockgate plan --out`."""
    (folder / "stacks").mkdir(parents=True, exist_ok=True)
    (folder / "stacks" / f"Pulumi.{name}.yaml").write_text(text)
    shutil.copy(ROOT / "Pulumi.yaml", folder)
    shutil.copytree(ROOT / "infra", folder / "infra", dirs_exist_ok=True)
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    line = [sys.executable, "-m", "lockgate.cli.main", "plan", name, "--out", str(out)]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.mark.parametrize("stack", sorted(path.name.split(".")[1] for path in (ROOT / "stacks").glob("Pulumi.*.yaml")))  # fmt: skip
def test_every_stack_is_admitted_without_a_warning(
    cluster: Cluster, tmp_path: Path, stack: str
) -> None:
    text = (ROOT / "stacks" / f"Pulumi.{stack}.yaml").read_text()
    out = rendered(tmp_path, text, stack)
    spaces = [file for file in out.iterdir() if "-namespace-" in file.name]
    named = yaml.safe_load(text)["config"]["lockgate:namespace"]
    if not spaces:  # one that exists
        space = namespace(named["name"])
        (spaces := [out / "space.json"])[0].write_text(json.dumps(space))
    names = [
        cluster.kubectl("create", "-f", str(one), "-o", "name").stdout.strip() for one in spaces
    ]
    try:
        line = ("apply", "--server-side", "--dry-run=server", "--validate=strict")
        objects = [f for f in out.iterdir() if f.suffix == ".yaml" and f not in spaces]
        # OpenShift's own kind: tests/packages/test_published_crds.py has its schema
        objects = [f for f in objects if "-route-" not in f.name]
        done = cluster.kubectl(*line, *(word for f in sorted(objects) for word in ("-f", str(f))))
        assert "Warning" not in done.stderr, done.stderr
        assert done.stdout.count("serverside-applied") == len(objects)
    finally:
        for one in names:
            cluster.kubectl("delete", one, "--timeout=60s")


@pytest.fixture(scope="module")
def gate(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The stack above, serving; the folder that it was rendered in."""
    folder = tmp_path_factory.mktemp("gate")
    began = time.monotonic()
    cluster.apply(namespace(HERE), namespace(OUTSIDE))
    if IS_HERE:
        shutil.rmtree(RECORDS, ignore_errors=True)
        RECORDS.mkdir()
        RECORDS.chmod(0o777)
        cluster.apply(*volume(HERE, "records"))
    cluster.apply(*volume(HERE, "models"), *stand_in(OUTSIDE, "cloud"))
    cluster.rolled_out(OUTSIDE, "cloud")
    try:
        cluster.kubectl("apply", "--server-side", "-f", str(rendered(folder, STACK)))
        cluster.rolled_out(HERE, "qwen")
        cluster.rolled_out(HERE, ROUTER)
        say(f"from nothing to ready pods: {time.monotonic() - began:.1f} s")
        yield folder
    finally:
        for space in (HERE, OUTSIDE):
            cluster.delete_namespace(space)
        for claim in ("models", "records"):
            line = ("delete", "persistentvolume", f"{HERE}-{claim}", "--ignore-not-found")
            cluster.kubectl(*line)


def counted(cluster: Cluster, seconds: float = 2, **more: Any) -> dict[str, int]:
    """What came of some seconds of requests, by status and backend."""
    found: dict[str, int] = {}
    for said, count in Load(cluster, HERE, HOST, seconds, **more).counts().items():
        status, _, rest = said.partition(" ")
        key = f"{status} {rest.rpartition(' ')[2]}".strip() if status.isdigit() else said
        found[key] = found.get(key, 0) + count
    return found


def ready_after(pod: dict[str, Any]) -> str:
    """How long a pod took from scheduled to Ready: the API says whole seconds."""
    when = {one["type"]: one["lastTransitionTime"] for one in pod["status"]["conditions"]}
    return f"{when['PodScheduled']} to {when['Ready']}"


def test_a_request_comes_through_the_service(cluster: Cluster, gate: Path) -> None:
    assert counted(cluster).keys() == {"200 local-qwen"}
    for pod in cluster.pods(HERE, ROUTER):
        say(f"a router's pod from scheduled to Ready: {ready_after(pod)}")


def test_a_secret_is_taken_up_without_a_restart(cluster: Cluster, gate: Path) -> None:
    before = {pod["metadata"]["uid"] for pod in cluster.pods(HERE, ROUTER)}
    [pod, *_] = cluster.pods(HERE, ROUTER)
    path = f"/api/v1/namespaces/{HERE}/pods/{pod['metadata']['name']}:9090/proxy/metrics"

    def missing() -> str:
        text = cluster.kubectl("get", "--raw", path).stdout
        return next(line for line in text.splitlines() if 'credentials_missing{backend="cloud"' in line)  # fmt: skip

    assert missing().endswith(" 1.0")
    began = time.monotonic()
    line = ("create", "secret", "generic", "openai-key", "--from-literal=OPENAI_API_KEY=x")
    cluster.kubectl("-n", HERE, *line)
    eventually(lambda: missing().endswith(" 0.0"), 150, every_s=1)
    say(
        f"a Secret that was made is in use after {time.monotonic() - began:.0f} s, without a restart"
    )
    assert {pod["metadata"]["uid"] for pod in cluster.pods(HERE, ROUTER)} == before


def test_sensitive_requests_stay_when_the_local_model_is_gone(cluster: Cluster, gate: Path) -> None:
    cluster.kubectl("-n", HERE, "scale", "deployment/qwen", "--replicas=0")
    every = ("-n", HERE, "pods", "-l", "app.kubernetes.io/instance=qwen")
    eventually(lambda: not cluster.get(*every)["items"], 60, every_s=0.5)
    refused = counted(cluster, label="pii")
    assert {key.split(" ")[0] for key in refused} == {"503"}, refused
    assert not any("cloud" in key for key in refused)
    assert "200 cloud" in counted(cluster)
    cluster.kubectl("-n", HERE, "scale", "deployment/qwen", "--replicas=1")
    cluster.rolled_out(HERE, "qwen")
    eventually(lambda: "200 local-qwen" in counted(cluster, label="pii"), 60)


def test_a_policy_rolls_out_with_no_request_failed(cluster: Cluster, gate: Path) -> None:
    load = Load(cluster, HERE, HOST, 40)
    edited = STACK.replace("quarantineDuration: 1s", "quarantineDuration: 2s")
    began = time.monotonic()
    cluster.kubectl("apply", "--server-side", "-f", str(rendered(gate, edited)))
    applied = time.monotonic()
    cluster.rolled_out(HERE, ROUTER)
    say(
        f"a policy edit: rendered in {applied - began:.1f} s, serving {time.monotonic() - began:.1f} s after"
    )
    counts = load.counts()
    assert {key.split(" ")[0] for key in counts} == {"200"}, counts
    assert len({key.split(" ")[1] for key in counts}) == 2, counts  # both policies answered
    say(f"requests over the roll, none failed: {sum(counts.values())}")


@pytest.mark.skipif(not IS_HERE, reason="NOT RUN: the node's disk is another machine's")
def test_the_records_of_pods_that_are_gone_are_there(cluster: Cluster, gate: Path) -> None:
    pods = {pod["metadata"]["name"] for pod in cluster.pods(HERE, ROUTER)}
    files = {file.parent.name: file for file in RECORDS.glob("*/audit.jsonl")}
    assert pods <= files.keys()
    assert len(files) == 4  # of two pods before the policy rolled out, and of two since
    kept = [json.loads(line) for file in files.values() for line in file.read_text().splitlines()]
    gone = sum(len(files[name].read_text().splitlines()) for name in files.keys() - pods)
    say(f"records kept: {len(kept)}, of them {gone} of pods that are gone")
    assert gone > 100
    assert {one["backend"] for one in kept} >= {"local-qwen", "cloud"}


def test_a_drain_takes_one_pod_at_a_time(cluster: Cluster, gate: Path) -> None:
    load = Load(cluster, HERE, HOST, 15)
    one, other = (pod["metadata"]["name"] for pod in cluster.pods(HERE, ROUTER))

    def evict(pod: str) -> int:
        meta = {"name": pod, "namespace": HERE}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
        path = f"/api/v1/namespaces/{HERE}/pods/{pod}/eviction"
        return cluster.kubectl(
            "create", "--raw", path, "-f", "-", given=body, check=False
        ).returncode

    assert evict(one) == 0
    assert evict(other) != 0  # the budget holds it until the first has a successor
    eventually(lambda: evict(other) == 0, 60, every_s=0.5)
    counts = load.counts()
    assert {key.split(" ")[0] for key in counts} == {"200"}, counts
    cluster.rolled_out(HERE, ROUTER)


def test_a_stream_that_runs_is_finished_when_its_pod_is_deleted(
    cluster: Cluster, gate: Path
) -> None:
    line = ("exec", "deploy/qwen", "--", "/usr/bin/python3.11", "-c")
    slow = 'import urllib.request as u; u.urlopen(u.Request("http://127.0.0.1:8080/stand-in", b\'{"mode": "%s"}\'))'
    cluster.kubectl("-n", HERE, *line, slow % "slow")
    try:
        stream = """
import json, sys, time, urllib.request
body = json.dumps({"model": "qwen", "stream": True, "messages": []}).encode()
asked = urllib.request.Request(f"http://{sys.argv[1]}:8080/v1/chat/completions", body, {"content-type": "application/json"})
with urllib.request.urlopen(asked) as response:
    print(response.readline().decode(), flush=True)
    print(response.read().decode()[-40:])
"""
        cluster.apply(python_pod(HERE, "stream", stream, HOST))
        log = ("-n", HERE, "logs", "stream")
        eventually(lambda: "data:" in cluster.kubectl(*log, check=False).stdout, 30, every_s=0.1)
        for pod in cluster.pods(HERE, ROUTER):
            cluster.kubectl("-n", HERE, "delete", "pod", pod["metadata"]["name"], "--wait=false")
        eventually(lambda: "[DONE]" in cluster.kubectl(*log).stdout, 60, every_s=0.5)
        cluster.rolled_out(HERE, ROUTER)
    finally:
        cluster.kubectl("-n", HERE, *line, slow % "ok")


def test_a_killed_process_is_started_again(cluster: Cluster, gate: Path) -> None:
    uids = [pod["metadata"]["uid"] for pod in cluster.pods(HERE, ROUTER)]
    found = [int(one.name) for one in Path("/proc").iterdir() if _is_proxy(one, uids)]
    if not found:
        pytest.skip("NOT RUN: the cluster's node is another machine")
    os.kill(found[0], signal.SIGKILL)

    def restarts() -> int:
        pods = cluster.pods(HERE, ROUTER)
        return sum(
            one["restartCount"] for pod in pods for one in pod["status"]["containerStatuses"]
        )

    eventually(lambda: restarts() == 1, 60, every_s=0.5)
    cluster.rolled_out(HERE, ROUTER)
    assert "200 local-qwen" in counted(cluster)


def test_a_pod_that_takes_too_much_memory_is_started_again(cluster: Cluster, gate: Path) -> None:
    [pod, *_] = (one["metadata"]["name"] for one in cluster.pods(HERE, ROUTER))
    load = Load(cluster, HERE, HOST, 15)
    # many that are smaller than the proxy: the kernel takes the largest
    script = """
import os, time
for _ in range(20):
    if os.fork() == 0:
        held = b"x" * (32 << 20)
        time.sleep(20)
        os._exit(0)
time.sleep(20)
"""
    line = ("exec", pod, "-c", "proxy", "--", "/usr/bin/python3.11", "-c", script)
    cluster.kubectl("-n", HERE, *line, check=False)

    def last_end() -> str:
        held = cluster.get("-n", HERE, "pod", pod)["status"]["containerStatuses"][0]
        return str(held["lastState"].get("terminated", {}).get("reason"))

    eventually(lambda: last_end() == "OOMKilled", 60, last_end, every_s=0.5)
    counts = load.counts()
    cluster.rolled_out(HERE, ROUTER)
    served = sum(n for key, n in counts.items() if key.startswith("200"))
    say(f"a pod killed for memory: {served} requests served meanwhile by the other, or {counts}")
    assert served > 100, counts  # what was under way in that pod is cut; the Service has the other
    assert not any(key.startswith("5") for key in counts), counts
    assert counted(cluster).keys() == {"200 local-qwen"}


def test_a_policy_that_is_changed_in_place_rolls_no_pod(cluster: Cluster, gate: Path) -> None:
    hot = STACK.replace("drainGrace", "rollout: hot, drainGrace")
    hot = hot.replace("replicas: 2", "autoscaling: { minReplicas: 2, maxReplicas: 4, by: other }")
    cluster.kubectl("apply", "--server-side", "-f", str(rendered(gate, hot)))
    cluster.kubectl("-n", HERE, "scale", f"deployment/{ROUTER}", "--replicas=3")
    cluster.rolled_out(HERE, ROUTER)
    before = {pod["metadata"]["uid"] for pod in cluster.pods(HERE, ROUTER)}
    assert len(before) == 3

    load = Load(cluster, HERE, HOST, 110)
    began = time.monotonic()
    edited = hot.replace("quarantineDuration: 1s", "quarantineDuration: 3s")
    cluster.kubectl("apply", "--server-side", "-f", str(rendered(gate, edited)))
    held = cluster.get("-n", HERE, "configmap", ROUTER)["metadata"]["annotations"]
    digest = held["lockgate.dev/policy-digest"]

    def in_force() -> set[str]:
        names = [pod["metadata"]["name"] for pod in cluster.pods(HERE, ROUTER)]
        at = f"/api/v1/namespaces/{HERE}/pods/%s:9090/proxy/readyz?verbose"
        texts = [cluster.kubectl("get", "--raw", at % name).stdout for name in names]
        return {word for text in texts for word in text.split() if word.startswith("sha256:")}

    eventually(lambda: in_force() == {digest}, 150, lambda: str(in_force()), every_s=1)
    say(f"a policy in place: in force in every pod {time.monotonic() - began:.0f} s after")
    counts = load.counts()
    assert {key.split(" ")[0] for key in counts} == {"200"}, counts
    assert len({key.split(" ")[1] for key in counts}) == 2, counts  # both policies answered
    after = {pod["metadata"]["uid"] for pod in cluster.pods(HERE, ROUTER)}
    assert after == before  # none was rolled, and the three stay three


def test_a_model_that_something_else_runs_answers_by_its_service(
    cluster: Cluster, gate: Path
) -> None:
    reference = f"serviceRef: {{ name: cloud, namespace: {OUTSIDE}, port: 8080, path: /v1 }}"
    edited = STACK.replace("inferenceServiceRef: { name: qwen }", reference)
    cluster.kubectl("apply", "--server-side", "-f", str(rendered(gate, edited)))
    cluster.rolled_out(HERE, ROUTER)
    cluster.kubectl("-n", HERE, "scale", "deployment/qwen", "--replicas=0")
    eventually(lambda: counted(cluster, label="pii").keys() == {"200 local-qwen"}, 60)


def _is_proxy(entry: Path, uids: list[str]) -> bool:
    """Whether a process of this machine is the proxy in one of these pods."""
    try:
        line, group = (entry / "cmdline").read_bytes(), (entry / "cgroup").read_text()
    except OSError:
        return False
    return b"/etc/lockgate/policy/policy.json" in line and any(uid in group for uid in uids)


def test_deleting_it_leaves_nothing_and_no_namespace_but_its_own(
    cluster: Cluster, gate: Path
) -> None:
    cluster.kubectl("delete", "-f", str(gate / "out"), "--timeout=120s", wait=150)
    gone = cluster.kubectl("get", "namespace", HERE, check=False)
    assert gone.returncode != 0
    assert cluster.get("namespace", OUTSIDE)["status"]["phase"] == "Active"
    left = cluster.get("all,configmap,networkpolicy,pdb", "-A", "-l", "app.kubernetes.io/part-of=lockgate")  # fmt: skip
    assert json.dumps(left["items"]) == "[]"
