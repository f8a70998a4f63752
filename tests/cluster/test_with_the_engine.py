"""What `pulumi up` leaves behind is what was proved, whatever happened to it since.

The real engine on a real cluster, with the images of `make image` and `make image-stand-in`.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.rig import PROXY, STAND_IN, Cluster, namespace, volume
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


def test_what_runs_is_what_was_proved(
    cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    engine = Engine(project_in(tmp_path))
    times: list[str] = []

    def up(said: str, *, fails: bool = False) -> str:
        began = time.monotonic()
        done = engine("up", "--yes", "--skip-preview")
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        assert said in done.stdout, done.stdout
        times.append(f"up ({said[:24]}): {time.monotonic() - began:.1f} s")
        return done.stdout

    try:
        _play(cluster, engine, up)
    finally:
        done = engine("destroy", "--yes", "--skip-preview")
        terminal = request.config.pluginmanager.getplugin("terminalreporter")
        for line in ["", *times]:
            terminal.write_line(line)
    assert done.returncode == 0, done.stdout + done.stderr
    kinds = "deployment,service,configmap,networkpolicy,pdb,serviceaccount"
    left = cluster.get("-n", HERE, kinds, "-l", "app.kubernetes.io/part-of=lockgate")["items"]
    assert left == []
    assert cluster.get("-n", HERE, "pvc", "models")["status"]["phase"] == "Bound"


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
    cluster.kubectl("-n", HERE, "annotate", f"deployment/{ROUTER}", "istio.io/by-hand=1")
    cluster.kubectl("-n", HERE, "rollout", "restart", f"deployment/{ROUTER}")
    cluster.rolled_out(HERE, ROUTER)
    engine.write(config(pause="6s"))
    up("UNCHANGED")
    third = runs(cluster)
    held = cluster.get("-n", HERE, "deployment", ROUTER)
    assert held["metadata"]["annotations"]["istio.io/by-hand"] == "1"
    pods = held["spec"]["template"]["metadata"]["annotations"]
    assert "kubectl.kubernetes.io/restartedAt" in pods
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
