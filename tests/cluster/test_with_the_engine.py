"""What `pulumi up` leaves behind is what was proved, whatever happened to it since.

The real engine on a real cluster, with the images of `make image` and `make image-stand-in`.
"""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lockgate.policy.canonical import digest_of

from tests.cluster.rig import (
    IS_HERE,
    KUBECTL,
    PROXY,
    ROOT,
    STAND_IN,
    Cluster,
    disk,
    namespace,
    say,
    volume,
)
from tests.support.engine import Engine, project_in
from tests.support.wait import eventually

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif("KUBECONFIG" not in os.environ, reason="NOT RUN: no KUBECONFIG"),
]
HERE, ROUTER = "lockgate-engine", "lockgate-router-proxy"
CONFIG = """
config:
  lockgate:namespace: {{ name: {here}, create: false }}
  lockgate:models:
    qwen: {{ modelRef: pvc://models/any.gguf, image: "{stand_in}" }}
  lockgate:router:
    backends:
    - name: local-qwen
      displayName: qwen
      inferenceServiceRef: {{ name: qwen }}
      tier: local
    - name: cloud
      external: {{ provider: openai, model: gpt-5 }}
      tier: cloud
    rules:
    - name: stays
      match: {{ dataClassification: [pii, phi] }}
      route: {{ backends: [local-qwen] }}
      failClosed: true
    - name: everyday
      route: {{ backends: [local-qwen{more}] }}
    defaultRoute: local-qwen
    proxy: {{ replicas: 2, image: "{image}", revisionHistoryLimit: 1, quarantineDuration: {pause} }}
"""


def config(more: str = "", image: str = PROXY, pause: str = "5s", accepted: str = "") -> str:
    text = CONFIG.format(here=HERE, stand_in=STAND_IN, more=more, image=image, pause=pause)
    return text.replace("config:\n", f"config:\n  lockgate:acceptWidening: {accepted}\n", 1) if accepted else text  # fmt: skip


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    made.apply(namespace(HERE))
    made.apply(*volume(HERE, "models"))
    yield made
    made.delete_namespace(HERE)
    made.kubectl("delete", "persistentvolume", f"{HERE}-models", "--ignore-not-found")


def runs(cluster: Cluster) -> str:
    """The digest of the policy that the router's pods are made from."""
    pods = cluster.get("-n", HERE, "deployment", ROUTER)["spec"]["template"]["metadata"]
    return str(pods["annotations"]["lockgate.dev/policy-digest"])


def policies(cluster: Cluster) -> set[str]:
    part = "app.kubernetes.io/component=router"
    found = cluster.get("-n", HERE, "configmap", "-l", part)["items"]
    return {one["metadata"]["annotations"]["lockgate.dev/policy-digest"] for one in found}


def test_what_runs_is_what_was_proved(cluster: Cluster, tmp_path: Path) -> None:
    with destroyed(cluster, Engine(project_in(tmp_path))) as engine:
        _play(cluster, engine, partial(up, engine))


@contextmanager
def destroyed(cluster: Cluster, engine: Engine) -> Iterator[Engine]:
    """Destroy the stack in the end, and see that nothing of it is left, and the claim is."""
    try:
        yield engine
    finally:
        done = engine("destroy", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stdout + done.stderr
    kinds = "deployment,service,configmap,networkpolicy,pdb,serviceaccount,secret,hpa"
    left = cluster.get("-n", HERE, kinds, "-l", "app.kubernetes.io/part-of=lockgate")["items"]
    assert left == []
    assert cluster.get("-n", HERE, "pvc", "models")["status"]["phase"] == "Bound"


def up(engine: Engine, said: str, *, fails: bool = False) -> str:
    """Bring the stack up, and return what was printed, in which something must be said."""
    began = time.monotonic()
    done = engine("up", "--yes", "--skip-preview")
    assert bool(done.returncode) == fails, done.stdout + done.stderr
    assert said in done.stdout, done.stdout
    say(f"up ({said[:24]}): {time.monotonic() - began:.1f} s")
    return done.stdout


def _play(cluster: Cluster, engine: Engine, up: Callable[..., str]) -> None:
    engine.write(config())
    up("nothing to compare")
    narrow = runs(cluster)

    # a second one changes nothing
    assert re.search(r"Resources:\n\s+\d+ unchanged\n", up("UNCHANGED"))

    # a wider policy, accepted, whose image cannot be pulled: stopped while it waits
    wide = {"more": ", cloud", "image": "localhost/none:1"}
    engine.write(config(**wide))
    (accepted,) = set(re.findall(r"widening:[0-9a-f]{64}", up("WIDENING NOT ACCEPTED", fails=True)))
    engine.write(config(**wide, accepted=accepted))
    stuck = engine.start("up", "--yes", "--skip-preview")
    eventually(lambda: runs(cluster) != narrow, 90, every_s=0.5)
    wider = runs(cluster)
    stuck.send_signal(signal.SIGINT)
    try:
        stuck.wait(60)
    except subprocess.TimeoutExpired:
        stuck.send_signal(signal.SIGINT)
        stuck.wait(60)

    # the narrow file is put back: the drift is said, and mended
    engine.write(config())
    preview = engine("preview")
    assert f"the cluster runs {wider}, the stack says {narrow}" in preview.stdout, preview.stdout
    up("the cluster runs")
    assert runs(cluster) == narrow
    cluster.rolled_out(HERE, ROUTER)
    assert policies(cluster) == {narrow}

    # another policy; what others wrote onto the objects stays; the earlier policy is kept
    for name in (ROUTER, "qwen"):
        for line in (
            ("annotate", "istio.io/by-hand=1"),
            ("label", "argocd.argoproj.io/instance=a"),
        ):
            cluster.kubectl("-n", HERE, line[0], f"deployment/{name}", line[1])
        cluster.kubectl("-n", HERE, "rollout", "restart", f"deployment/{name}")
        cluster.rolled_out(HERE, name)
    engine.write(config(pause="6s").replace("image:", "parallelSlots: 2, image:", 1))
    up("UNCHANGED")
    third = runs(cluster)
    for name in (ROUTER, "qwen"):
        held = cluster.get("-n", HERE, "deployment", name)
        assert held["metadata"]["annotations"]["istio.io/by-hand"] == "1"
        assert held["metadata"]["labels"]["argocd.argoproj.io/instance"] == "a"
        pods = held["spec"]["template"]["metadata"]["annotations"]
        assert "kubectl.kubernetes.io/restartedAt" in pods
    assert "--parallel" in held["spec"]["template"]["spec"]["containers"][0]["args"]
    assert policies(cluster) == {narrow, third}

    # a rollback by hand finds its policy, is said, and is mended
    cluster.kubectl("-n", HERE, "rollout", "undo", f"deployment/{ROUTER}")
    cluster.rolled_out(HERE, ROUTER)
    assert runs(cluster) == narrow
    up(f"the cluster runs {narrow}, the stack says {third}")
    assert runs(cluster) == third

    # the one before the last is pruned
    engine.write(config(pause="7s"))
    up("UNCHANGED")
    assert policies(cluster) == {third, runs(cluster)}


def test_a_policy_goes_in_place_and_scaled_replicas_stay(cluster: Cluster, tmp_path: Path) -> None:
    def stated(pause: str, more: str = "") -> str:
        scaled = f"rollout: hot, autoscaling: {{ maxReplicas: 4, by: other }}{more},"
        return config(pause=pause).replace("replicas: 2,", scaled)

    def held(kind: str, name: str = ROUTER) -> Any:
        return cluster.get("-n", HERE, kind, name)

    def text() -> str:
        return str(held("configmap")["data"]["policy.json"])

    with destroyed(cluster, Engine(project_in(tmp_path))) as engine:
        engine.write(stated("5s"))
        up(engine, "nothing to compare")
        cluster.kubectl("-n", HERE, "scale", f"deployment/{ROUTER}", "--replicas=3")
        cluster.rolled_out(HERE, ROUTER)
        config_map, deployment, first = held("configmap"), held("deployment"), text()
        assert re.search(r"Resources:\n\s+\d+ unchanged\n", up(engine, "UNCHANGED"))

        # the text alone is another one: no pod, no replica, no ConfigMap is replaced
        engine.write(stated("6s"))
        up(engine, "UNCHANGED")
        assert text() != first
        assert held("configmap")["metadata"]["uid"] == config_map["metadata"]["uid"]
        assert held("deployment")["spec"] == deployment["spec"]

        # what changes the pods rolls them, and leaves the replicas alone
        engine.write(stated("6s", ", nodeSelector: { kubernetes.io/os: linux }"))
        up(engine, "UNCHANGED")
        assert held("deployment")["spec"]["template"] != deployment["spec"]["template"]
        assert held("deployment")["spec"]["replicas"] == 3

        # an edit past the stack is said, whoever made it, and the proved text put back
        proved = text()
        for manager in ("kubectl-edit", "somebody"):
            edit = json.dumps({"data": {"policy.json": first}})
            line = ("patch", "configmap", ROUTER, "--type=merge", f"--field-manager={manager}")
            cluster.kubectl("-n", HERE, *line, "-p", edit)
            up(engine, f"the cluster runs {digest_of(first.encode())}, the stack says")
            assert text() == proved

        # and back to a ConfigMap for each policy
        engine.write(config(pause="6s"))
        up(engine, "UNCHANGED")
        assert held("deployment")["spec"]["replicas"] == 2
        assert policies(cluster) == {runs(cluster)}

        # which goes away when it is in place again
        engine.write(stated("7s"))
        up(engine, "UNCHANGED")
        part = "app.kubernetes.io/component=router"
        [left] = cluster.get("-n", HERE, "configmap", "-l", part)["items"]
        assert left["metadata"]["name"] == ROUTER


@pytest.mark.skipif(not IS_HERE, reason="NOT RUN: the node's disk is another machine's")
def test_a_claim_of_records_outlives_its_stack_and_is_found_again(
    cluster: Cluster, tmp_path: Path
) -> None:
    claim = f"{ROUTER}-audit"
    audit = "    policy: { auditLog: { sink: file, filePath: /var/log/lockgate/a.jsonl, volumeClaim: { size: 1Mi, storageClass: by-hand } } }\n"
    disk(HERE, "audit").mkdir(exist_ok=True)
    disk(HERE, "audit").chmod(0o777)
    [held, _] = volume(HERE, "audit")
    held["spec"] |= {"storageClassName": "by-hand"}
    held["spec"]["claimRef"]["name"] = claim
    cluster.apply(held)
    uids = set()
    try:
        for _ in range(2):
            with destroyed(cluster, Engine(project_in(tmp_path))) as engine:
                engine.write(config().replace("    proxy:", audit + "    proxy:"))
                up(engine, "nothing to compare")
            uids.add(cluster.get("-n", HERE, "pvc", claim)["metadata"]["uid"])
            shutil.rmtree(tmp_path)
            tmp_path.mkdir()
        assert len(uids) == 1
    finally:
        cluster.kubectl("-n", HERE, "delete", "pvc", claim, "--ignore-not-found", "--wait=false")
        cluster.kubectl("delete", "persistentvolume", held["metadata"]["name"], "--wait=false")


def test_a_full_quota_is_said_and_what_failed_is_repeated(cluster: Cluster, tmp_path: Path) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "full", "namespace": HERE},
        "spec": {"hard": {"pods": "0"}},
    }
    cluster.apply(quota)
    with destroyed(cluster, Engine(project_in(tmp_path))) as engine:
        engine.write(config().replace("replicas: 2", "replicas: 1"))
        began = time.monotonic()
        failed = engine("up", "--yes", "--skip-preview")
        assert failed.returncode != 0
        printed = failed.stdout + failed.stderr
        assert "ResourceQuota full leaves 0 pods, and the pods that are new want 2" in printed, (
            printed
        )
        say(f"a full quota: named before anything is made, after {time.monotonic() - began:.0f} s")

        cluster.kubectl("-n", HERE, "delete", "resourcequota", "full")

        # one that fails in the middle, by an object that somebody else has, is finished afterwards
        other = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "qwen", "namespace": HERE}}  # fmt: skip
        cluster.apply(other)
        half = engine("up", "--yes", "--skip-preview")
        assert half.returncode != 0, half.stdout
        assert 'serviceaccounts "qwen" already exists' in half.stdout, half.stdout
        cluster.kubectl("-n", HERE, "delete", "serviceaccount", "qwen")
        assert re.search(r"\d+ created\n\s+\d+ unchanged\n", up(engine, "nothing to compare"))
        cluster.rolled_out(HERE, ROUTER)
        assert len(policies(cluster)) == 1

        # a refresh finds all as it is, and under another name the stack is the same stack
        refreshed = engine("refresh", "--yes", "--skip-preview")
        assert refreshed.returncode == 0, refreshed.stdout
        assert re.search(r"Resources:\n\s+\d+ unchanged\n", up(engine, "UNCHANGED"))
        renamed = engine.unselected("stack", "rename", "other", "--stack", "dev")
        assert renamed.returncode == 0, renamed.stderr
        try:
            again = engine.unselected("preview", "--stack", "other", "--expect-no-changes")
            assert again.returncode == 0, again.stdout + again.stderr
            assert "UNCHANGED" in again.stdout
        finally:
            back = engine.unselected("stack", "rename", "dev", "--stack", "other")
            assert back.returncode == 0, back.stderr


def test_secrets_of_the_stack_are_made_and_renewed(cluster: Cluster, tmp_path: Path) -> None:
    def value() -> str:
        held = cluster.get("-n", HERE, "secret", "openai-key")["data"]["OPENAI_API_KEY"]
        return base64.b64decode(held).decode()

    with destroyed(cluster, Engine(project_in(tmp_path))) as engine:
        engine.write(config())
        uids = set()
        for key in ("sk-CANARY-1", "sk-CANARY-2"):
            path = "lockgate:secrets.openai-key.OPENAI_API_KEY"
            done = engine("config", "set", "--secret", "--path", path, given=key)
            assert done.returncode == 0, done.stderr
            assert key not in engine.stack.read_text()
            printed = up(engine, "") + engine("stack", "export").stdout
            assert "CANARY" not in printed
            assert base64.b64encode(key.encode()).decode() not in printed
            assert value() == key
            uids.add(cluster.get("-n", HERE, "secret", "openai-key")["metadata"]["uid"])
        assert len(uids) == 1


def test_the_rights_of_one_namespace_are_enough(cluster: Cluster, tmp_path: Path) -> None:
    """Also where API servers ask for rights on finalizers (OpenShift does): there are none."""
    text = (ROOT / "examples" / "rights" / "deployer.yaml").read_text()
    cluster.kubectl("-n", HERE, "apply", "-f", "-", given=text)
    token = cluster.kubectl("-n", HERE, "create", "token", "lockgate-deployer").stdout
    flattened = cluster.kubectl("config", "view", "--raw", "--flatten", "-o", "json").stdout
    access = json.loads(flattened)
    names = [user["name"] for user in access["users"]]
    access["users"] = [{"name": name, "user": {"token": token}} for name in names]
    held = tmp_path / "kubeconfig"
    held.write_text(json.dumps(access))
    held.chmod(0o600)

    engine = Engine(project_in(tmp_path))
    engine.environment["KUBECONFIG"] = str(held)
    denied = subprocess.run(
        [KUBECTL, "--kubeconfig", str(held), "get", "nodes"], capture_output=True, check=False
    )
    assert b"Forbidden" in denied.stderr
    with destroyed(cluster, engine):
        engine.write(config().replace("replicas: 2", "autoscaling: { maxReplicas: 2 }"))
        up(engine, "nothing to compare")
        engine.write(config(pause="6s"))
        printed = up(engine, "UNCHANGED")
        assert "orbidden" not in printed, printed
