"""examples/program: a foreign program with Lockgate in it is planned, previewed and goes up."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "program"
Run = Callable[..., "subprocess.CompletedProcess[str]"]
AT_ONCE = """
import pulumi as _pulumi

def _at_once(args):
    if "metadata" not in args.props:
        return None
    metadata = dict(args.props["metadata"])
    metadata["annotations"] = {**metadata.get("annotations", {}), "pulumi.com/skipAwait": "true"}
    return _pulumi.ResourceTransformResult({**args.props, "metadata": metadata}, args.opts)

_pulumi.runtime.register_resource_transform(_at_once)
"""
"""Nobody runs pods where these tests run, so nobody waits for them."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    here = tmp_path / "program"
    shutil.copytree(EXAMPLE, here)
    settings = here / "Pulumi.yaml"
    settings.write_text(settings.read_text().replace("../../.venv", str(ROOT / ".venv")))
    return here


def plan(project: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "lockgate.cli.main", "plan", "dev", *more]
    return subprocess.run(
        line, capture_output=True, text=True, check=False, cwd=project, timeout=60
    )


def leak(project: Path) -> None:
    program = project / "__main__.py"
    text = program.read_text()
    assert '["pii", "phi"]' in text
    program.write_text(
        text.replace('["pii", "phi"]', '["pii"]').replace(
            "default_route=local", "default_route=cloud"
        )
    )


def test_it_is_planned_and_proved(project: Path) -> None:
    done = plan(project, "--json")
    assert done.returncode == 0, done.stderr
    planned = json.loads(done.stdout)
    assert planned["outputs"]["gate"]["verdict"].startswith("PROVED")
    [agents] = [
        r for r in planned["resources"] if r["name"] == "agents" and r["type"].endswith("ConfigMap")
    ]
    assert agents["inputs"]["data"]["OPENAI_BASE_URL"] == planned["outputs"]["gate"]["url"]


def test_its_leak_ends_a_plan_with_1_and_a_curl_line(project: Path) -> None:
    leak(project)
    done = plan(project)
    assert done.returncode == 1, done.stderr
    assert "curl " in done.stdout
    assert "Traceback" not in done.stderr


@pytest.fixture
def pulumi(project: Path, tmp_path: Path) -> Run:
    home = tmp_path / "home"
    home.mkdir()
    kept = ("PULUMI_HOME", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION")
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(home), "PULUMI_BACKEND_URL": f"file://{home}",
        "PULUMI_CONFIG_PASSPHRASE": "x", "PULUMI_SKIP_UPDATE_CHECK": "1",
        "KUBECONFIG": os.environ.get("KUBECONFIG", str(home / "none")),
        **{key: os.environ[key] for key in kept if key in os.environ},
    }  # fmt: skip

    def run(*arguments: str, wait: int = 300) -> "subprocess.CompletedProcess[str]":
        line = ["pulumi", *arguments, "--stack", "dev", "--non-interactive"]
        return subprocess.run(line, capture_output=True, text=True, check=False, cwd=project,
                              env=environment, timeout=wait)  # fmt: skip

    line = ["pulumi", "stack", "init", "dev"]
    done = subprocess.run(
        line, capture_output=True, text=True, check=False, cwd=project, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    namespace = f"agents-{uuid.uuid4().hex[:8]}"
    assert run("config", "set", "namespace", namespace).returncode == 0
    secret = run("config", "set", "--secret", "openaiUrl", "https://hidden.example/v1")
    assert secret.returncode == 0, secret.stderr
    return run


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_the_engine_previews_it_with_the_secret_read_and_not_shown(
    project: Path, pulumi: Run
) -> None:
    done = pulumi("preview")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PROVED" in done.stdout
    assert "nothing to compare" in done.stdout
    assert "hidden.example" not in done.stdout
    leak(project)
    done = pulumi("preview")
    assert done.returncode != 0
    assert "VIOLATED" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "ConfigMap" not in done.stdout.partition("Diagnostics")[0].replace("agents", "")


@pytest.mark.engine
@pytest.mark.timeout(600)
@pytest.mark.skipif("KUBECONFIG" not in os.environ, reason="NOT RUN: no KUBECONFIG")
def test_it_goes_up_twice_and_its_secret_is_encrypted(project: Path, pulumi: Run) -> None:
    program = project / "__main__.py"
    program.write_text(AT_ONCE + program.read_text())
    try:
        done = pulumi("up", "--yes", "--skip-preview")
        assert done.returncode == 0, done.stdout + done.stderr
        state = pulumi("stack", "export").stdout
        assert "hidden.example" not in state
        assert '"sha256:' in state
        again = pulumi("up", "--yes")
        assert again.returncode == 0, again.stdout + again.stderr
        assert "UNCHANGED" in again.stdout
        assert "replace" not in again.stdout.partition("Resources:")[2]
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            pulumi("destroy", "--yes", "--skip-preview", wait=60)
