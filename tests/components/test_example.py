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


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("{}['no such key']\n", "KeyError"),
        ("raise SystemExit(1)\n", "SystemExit"),
        ("import pulumi\npulumi.Config().require('nothing')\n", "nothing"),
        ("import pulumi\npulumi.runtime.invoke('aws:index:getRegion', {})\n", "run `pulumi preview`"),
        ("import pulumi\nraise pulumi.RunError('not today')\n", "not today"),
    ],
)  # fmt: skip
def test_a_program_that_fails_ends_a_plan_with_2_never_with_the_1_of_a_leak(
    project: Path, program: str, said: str
) -> None:
    (project / "__main__.py").write_text(program)
    done = plan(project)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_program_of_another_language_is_not_evaluated_here(project: Path) -> None:
    (project / "Pulumi.yaml").write_text("name: agents\nruntime: nodejs\n")
    done = plan(project)
    assert done.returncode == 2
    assert "its runtime is nodejs; only Python programs are evaluated here" in done.stderr


def test_main_may_be_a_file_or_a_folder_seen_from_below(project: Path) -> None:
    (project / "app").mkdir()
    (project / "__main__.py").rename(project / "app" / "run.py")
    for main, file in (("app/run.py", "run.py"), ("app", "__main__.py")):
        (project / "app" / "run.py").rename(project / "app" / file)
        (project / "Pulumi.yaml").write_text(f"name: agents\nruntime: python\nmain: {main}\n")
        done = plan(project / "app")
        assert done.returncode == 0, done.stderr
        assert "gate-router-proxy" in done.stdout
        if file == "run.py":
            continue
        assert "evaluating the one" not in done.stderr


def test_another_stacks_outputs_are_not_known_in_process(project: Path) -> None:
    (project / "__main__.py").write_text(
        "import pulumi, pulumi_lockgate as lockgate\n"
        "other = pulumi.StackReference('org/models/prod')\n"
        "local = lockgate.Backend.local('local', url=other.require_output('endpoint'), model='m')\n"
        "policy = {'backends': [local], 'defaultRoute': 'local'}\n"
        "lockgate.ModelRouter('gate', policy, other.get_output('namespace'))\n"
    )
    done = plan(project)
    assert done.returncode == 0, done.stderr
    assert "PROVED" in done.stdout
    assert "finds for: backends[0].external.url, namespace" in done.stdout


LATE = """
import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_lockgate as lockgate

space = kubernetes.core.v1.Namespace("home", metadata={"name": pulumi.Config().require("namespace")})
name = space.metadata["name"]
late = space.id  # unknown until the cluster has it
address = pulumi.Output.concat("https://", late, ".example/v1")
local = lockgate.Backend.local("local", service="qwen")
cloud = lockgate.Backend.cloud("cloud", provider="openai", model="m", url=address)
rules = RULES
router = lockgate.ModelRouter("late", {"backends": [local, cloud], "rules": rules, "defaultRoute": "cloud"}, name)
pulumi.export("late", router.record)
"""
HOLDS = '[lockgate.Rule("stays", [local], data_classification=["pii", "phi"], fail_closed=True)]'


@pytest.mark.engine
@pytest.mark.timeout(600)
@pytest.mark.skipif("KUBECONFIG" not in os.environ, reason="NOT RUN: no KUBECONFIG")
def test_what_the_cluster_alone_knows_is_proved_in_up(project: Path, pulumi: Run) -> None:
    program = project / "__main__.py"
    try:
        program.write_text(AT_ONCE + LATE.replace("RULES", HOLDS))
        shown = pulumi("preview")
        assert shown.returncode == 0, shown.stdout + shown.stderr
        assert "backends[1].external.url is known in `up`, which proves it" in shown.stdout
        leaking = f"late.apply(lambda _: {HOLDS}[:0])"
        program.write_text(AT_ONCE + LATE.replace("RULES", leaking))
        shown = pulumi("preview")
        assert shown.returncode == 0, shown.stdout + shown.stderr
        assert "NOT PROVED yet" in shown.stdout
        assert "rules" in shown.stdout
        up = pulumi("up", "--yes", "--skip-preview")
        assert up.returncode != 0
        assert "VIOLATED" in up.stdout
        assert "Traceback" not in up.stdout + up.stderr
        assert "lockgate:index:ModelRouter" not in pulumi("stack", "export").stdout
        program.write_text(AT_ONCE + LATE.replace("RULES", HOLDS))
        up = pulumi("up", "--yes", "--skip-preview")
        assert up.returncode == 0, up.stdout + up.stderr
        assert "PROVED" in up.stdout
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            pulumi("destroy", "--yes", "--skip-preview", wait=60)
