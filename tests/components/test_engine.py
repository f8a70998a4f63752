"""The real Pulumi engine on this repository's own stacks: the CLI, its Kubernetes provider, a file backend.

Previews need no cluster. `up` needs an API server (KUBECONFIG), and makes and removes a namespace
of its own there; nobody needs to run its pods.
"""

import json
import os
import re
import shutil
import uuid
from pathlib import Path
from typing import Any

import kubernetes.client
import kubernetes.config
import pytest
from pulumi_lockgate.stack.evaluate import evaluate, read_stack
from pulumi_lockgate.widening import KEY

from tests.support.engine import Engine, project_in

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
ROOT = Path(__file__).parent.parent.parent
URN = "urn:pulumi:dev::lockgate::pulumi:pulumi:Stack::lockgate-dev"
needs_api_server = pytest.mark.skipif(
    "KUBECONFIG" not in os.environ, reason="NOT RUN: no KUBECONFIG"
)
NOBODY_RUNS_PODS = """
import pulumi as _pulumi

def _at_once(args):
    if "metadata" not in args.props:
        return None
    metadata = dict(args.props["metadata"])
    metadata["annotations"] = {**metadata.get("annotations", {}), "pulumi.com/skipAwait": "true"}
    return _pulumi.ResourceTransformResult({**args.props, "metadata": metadata}, args.opts)

_pulumi.runtime.register_resource_transform(_at_once)
"""
CLAIM = {
    "metadata": {"name": "models"},
    "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return project_in(tmp_path)


@pytest.fixture
def pulumi(project: Path) -> Engine:
    return Engine(project)


def stack(project: Path) -> Path:
    return project / "stacks" / "Pulumi.dev.yaml"


def put_out(pulumi: Engine, outputs: dict[str, Any]) -> None:
    """Give the stack a state in which it has put `outputs` out, and nothing else."""
    held = {"urn": URN, "custom": False, "type": "pulumi:pulumi:Stack", "outputs": outputs}
    state = {"version": 3, "deployment": {"manifest": {}, "resources": [held]}}
    done = pulumi("stack", "import", given=json.dumps(state))
    assert done.returncode == 0, done.stdout + done.stderr


def narrower(project: Path) -> dict[str, Any]:
    """What a policy that sends less to the cloud would have put out."""
    text = (ROOT / "stacks" / "Pulumi.dev.yaml").read_text()  # the CLI writes its own anew
    less = text.replace("route: {backends: [cloud-gpt,", "route: {backends: [")
    assert less != text
    old = project / "old.yaml"
    old.write_text(less)
    return dict(evaluate("dev", read_stack(old)).outputs)


def test_a_leak_fails_the_preview_with_its_curl_line(project: Path, pulumi: Engine) -> None:
    stack(project).write_text(stack(project).read_text().replace("[pii, phi]", "[pii]"))
    done = pulumi("preview")
    assert done.returncode != 0
    assert "VIOLATED" in done.stdout
    assert "x-llmkube-classification: phi" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "Namespace" not in done.stdout  # what is refused has changed nothing


def test_a_refused_stack_fails_the_preview_with_its_mend(project: Path, pulumi: Engine) -> None:
    stack(project).write_text(stack(project).read_text().replace("failClosed", "failClosd"))
    done = pulumi("preview")
    assert done.returncode != 0
    assert "did you mean failClosed?" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def acceptance(printed: str) -> str:
    """Return the digest of the list of widenings that was printed."""
    (digest,) = set(re.findall(r"widening:[0-9a-f]{64}", printed))
    return str(digest)


def test_what_widens_fails_with_the_line_to_write(project: Path, pulumi: Engine) -> None:
    put_out(pulumi, narrower(project))
    done = pulumi("preview")
    assert done.returncode != 0
    assert "cloud-gpt (https://api.openai.com/v1) can be reached and could not" in done.stdout
    assert "WIDENING NOT ACCEPTED" in done.stdout
    assert f"pulumi config set {KEY} {acceptance(done.stdout)} --stack dev" in done.stdout
    assert "Namespace" not in done.stdout  # what is refused has changed nothing


def test_every_stack_is_previewed_and_the_policy_pack_passes_it(
    project: Path, pulumi: Engine
) -> None:
    for name in ("dev", "staging", "prod", "openshift", "airgap"):
        shutil.copy(ROOT / "stacks" / f"Pulumi.{name}.yaml", stack(project))
        done = pulumi("preview", "--policy-pack", "policy-pack")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "nothing to compare" in done.stdout
        assert "lockgate@v0.2.0" in done.stdout


def test_stack_init_writes_its_own_line_and_nothing_else(tmp_path: Path) -> None:
    engine = Engine(project_in(tmp_path))
    for file in sorted((ROOT / "stacks").glob("Pulumi.*.yaml")):
        name = file.name.split(".")[1]
        written = engine.project / "stacks" / file.name
        if name != "dev":
            done = engine.unselected("stack", "init", name)
            assert done.returncode == 0, done.stderr
        lines = written.read_text().splitlines()
        assert [
            one for one in lines if not one.startswith("encryptionsalt: ")
        ] == file.read_text().splitlines()


def test_the_policy_pack_stops_a_preview(project: Path, pulumi: Engine) -> None:
    held = stack(project).read_text()
    stack(project).write_text(
        held.replace("quarantineDuration: 5s", "quarantineDuration: 5s\n      image: x:latest")
    )
    done = pulumi("preview", "--policy-pack", "policy-pack")
    assert done.returncode != 0
    assert "image-has-a-version" in done.stdout
    assert "'x:latest' is latest" in done.stdout


@needs_api_server
def test_a_policy_goes_up_and_narrows_and_comes_back_when_accepted(
    project: Path, pulumi: Engine
) -> None:
    program = project / "infra" / "__main__.py"
    program.write_text(NOBODY_RUNS_PODS + program.read_text())
    namespace = f"lockgate-{uuid.uuid4().hex[:8]}"
    source = (ROOT / "stacks" / "Pulumi.dev.yaml").read_text()
    space = "namespace: {{ name: {}, create: false }}"
    wide = source.replace("namespace: lockgate-dev", space.format(namespace))
    narrow = wide.replace("route: {backends: [cloud-gpt,", "route: {backends: [")
    accepted = wide.replace("config:\n", f"config:\n  {KEY}: LIST\n", 1)
    steps = [
        (wide, 0, "nothing to compare"), (wide, 0, "UNCHANGED"), (narrow, 0, "NARROWS"),
        (wide, 255, "WIDENING NOT ACCEPTED"), (wide, 255, "WIDENING NOT ACCEPTED"),
        (accepted, 0, "WIDENING ACCEPTED"), (accepted, 0, f"{KEY} is stale"),
    ]  # fmt: skip
    printed = ""
    core = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config())
    core.create_namespace({"metadata": {"name": namespace}})
    try:
        pulumi.write(wide)
        done = pulumi("up", "--yes", "--skip-preview")
        assert done.returncode, done.stdout
        assert (
            f"PersistentVolumeClaim models in {namespace}: for Deployment qwen3-coder"
            in done.stdout
        )
        assert "lockgate-router-proxy" not in done.stdout  # nothing was registered
        core.create_namespaced_persistent_volume_claim(namespace, CLAIM)
        for number, (text, status, said) in enumerate(steps):
            if said == "WIDENING ACCEPTED":
                accepted = accepted.replace("LIST", acceptance(printed))
            now = accepted if "LIST" in text else text
            pulumi.write(now)
            # a gate that only a preview held would be open here every other time
            skip = ["--skip-preview"] if number % 2 else []
            done = pulumi("up", "--yes", *skip, "--policy-pack", "policy-pack")
            assert bool(done.returncode) == bool(status), (number, done.stdout + done.stderr)
            assert said in done.stdout, number
            printed = done.stdout
    finally:
        done = pulumi("destroy", "--yes", "--skip-preview")
        kept = core.list_namespaced_persistent_volume_claim(namespace).items
        left = core.list_namespaced_config_map(
            namespace, label_selector="app.kubernetes.io/part-of=lockgate"
        ).items
        core.delete_namespace(namespace)
    assert done.returncode == 0, done.stdout
    assert [claim.metadata.name for claim in kept] == ["models"]  # what the user made is not ours
    assert left == []
