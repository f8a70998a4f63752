"""A plan ends with what must be in the cluster, and how to make it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lockgate.cli.main import cli

from tests.cli.test_refusals import GOOD
from tests.support.project import project


@pytest.fixture(autouse=True)
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the stack dev, in a project of its own, which is the working directory."""
    return project(tmp_path, monkeypatch, GOOD)


def plan(*words: str) -> Result:
    done = CliRunner().invoke(cli, ["plan", "dev", *words])
    assert done.exit_code == 0, done.output
    return done


def test_secrets_claims_and_images_stand_at_the_end() -> None:
    shown = plan("--comment", "out.md").stdout.partition("must exist in the cluster:\n")[2]
    assert shown.splitlines()[:3] == [
        "  Secret openai-key with OPENAI_API_KEY in agents: for backend cloud-gpt",
        '    printf %s "$OPENAI_API_KEY" | kubectl -n agents create secret generic openai-key --from-file=OPENAI_API_KEY=/dev/stdin',
        "  PersistentVolumeClaim models in agents: for Deployment qwen",
    ]
    assert "  image ghcr.io/lockgate/lockgate-proxy:" in shown
    assert "Namespace" not in shown, "the program makes it"
    assert "What must exist in the cluster" in Path("out.md").read_text()


def test_a_namespace_that_is_not_made_must_be_there(stack: Path) -> None:
    held = GOOD.replace(
        "lockgate:namespace: agents", "lockgate:namespace: { name: agents, create: false }"
    )
    stack.write_text(held)
    needed = json.loads(plan("--json").stdout)["mustExist"]
    assert needed[0] == {
        "kind": "Namespace", "namespace": None, "name": "agents", "keys": [], "accessModes": [],
        "usedBy": ["Deployment lockgate-router-proxy", "Deployment qwen"],
        "command": "kubectl create namespace agents",
    }  # fmt: skip


def test_one_secret_for_several_uses_is_one_line_with_all_its_keys(stack: Path) -> None:
    tls = "      tls: { caSecretRef: { name: openai-key }, clientCertSecretRef: { name: shown } }\n"
    stack.write_text(GOOD.replace("    - name: cloud-gpt\n", f"    - name: cloud-gpt\n{tls}"))
    needed = {one["name"]: one for one in json.loads(plan("--json").stdout)["mustExist"]}
    assert needed["openai-key"]["keys"] == ["OPENAI_API_KEY", "ca.crt"]
    assert (
        needed["shown"]["command"]
        == "kubectl -n agents create secret tls shown --cert=tls.crt --key=tls.key"
    )


def test_pull_secrets_are_named(stack: Path) -> None:
    stack.write_text(
        GOOD.replace("replicas: 2,", "replicas: 2, imagePullSecrets: [{ name: registry }],")
    )
    assert "Secret registry with .dockerconfigjson in agents" in plan().stdout


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_loopback_address_is_the_pods_own(stack: Path, host: str) -> None:
    external = f"external: {{ provider: openai, model: m, url: 'http://{host}:11434/v1' }}"
    here = f"    - {{ name: here, tier: local, {external} }}\n"
    stack.write_text(GOOD.replace("    rules:\n", f"{here}    rules:\n", 1))
    said = "is the router's own pod there, and no model server runs in it; name a Service: `http://NAME.NAMESPACE.svc/v1`"
    assert said in plan().stdout
    checked = CliRunner().invoke(cli, ["check", "dev"])
    assert (checked.exit_code, said in checked.stderr) == (0, True), checked.output
