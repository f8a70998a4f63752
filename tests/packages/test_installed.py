"""Both distributions as users have them: wheels in environments that hold nothing else."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "llmkube-readme-mended.yaml"
LEAKS = ROOT / "examples" / "llmkube-readme.yaml"
PROGRAM = """
import pulumi
from components.names import NAMESPACE
from pulumi_lockgate.program import deploy
deploy()
pulumi.export("whose", NAMESPACE)
"""
Done = subprocess.CompletedProcess[str]


def run(*line: str | Path, cwd: Path) -> Done:
    return subprocess.run(line, capture_output=True, text=True, check=False, cwd=cwd, timeout=600)


class Environment:
    """A virtual environment with pip's own packages and what is installed into it."""

    def __init__(self, folder: Path, wheels: Path, *packages: str) -> None:
        self.bin, self.wheels, self.folder = folder / "bin", wheels, folder
        done = run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
        assert done.returncode == 0, done.stderr
        if packages:
            done = self.pip("install", *packages)
            assert done.returncode == 0, done.stderr

    def pip(self, *arguments: str) -> Done:
        """Only our own wheels come from the folder: no index has these versions."""
        line = (self.bin / "pip", *arguments, "--quiet", "--disable-pip-version-check")
        return run(*line, "--find-links", self.wheels, cwd=self.folder)

    def lockgate(self, *arguments: str, cwd: Path) -> Done:
        return run(self.bin / "lockgate", *arguments, cwd=cwd)

    def python(self, code: str, cwd: Path) -> Done:
        return run(self.bin / "python", "-c", code, cwd=cwd)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for distribution in ("proxy", "components"):
        source = folder.parent / f"{folder.name}-{distribution}"
        shutil.copytree(
            ROOT / distribution, source, ignore=shutil.ignore_patterns("build", "*.egg-info")
        )
        line = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
        ]
        done = run(*line, "--wheel-dir", folder, source, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Environment:
    return Environment(tmp_path_factory.mktemp("alone") / "env", wheels, "lockgate")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Environment:
    """`pulumi-lockgate`, and PyPI's proxy.py, whose module is called `proxy`."""
    folder = tmp_path_factory.mktemp("whole") / "env"
    return Environment(folder, wheels, "pulumi-lockgate", "proxy.py")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A foreign project whose program has a folder `components/` of its own."""
    (tmp_path / "app" / "components").mkdir(parents=True)
    (tmp_path / "app" / "components" / "names.py").write_text('NAMESPACE = "ours"\n')
    (tmp_path / "app" / "__main__.py").write_text(PROGRAM)
    (tmp_path / "Pulumi.yaml").write_text("name: agents\nruntime: python\nmain: app\n")
    shutil.copy(ROOT / "stacks" / "Pulumi.dev.yaml", tmp_path)
    return tmp_path


def test_a_wheel_holds_its_own_folder_and_no_other(wheels: Path) -> None:
    tops = {}
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            named = {name.partition("/")[0] for name in archive.namelist()}
            tops[wheel.name.partition("-")[0]] = {n for n in named if not n.endswith(".dist-info")}
            assert any(name.endswith("/py.typed") for name in archive.namelist())
    assert tops == {"lockgate": {"lockgate"}, "pulumi_lockgate": {"pulumi_lockgate"}}


def test_the_proxy_alone_explains_and_serves(alone: Environment, tmp_path: Path) -> None:
    told = alone.lockgate("explain", str(EXAMPLE), "--model", "m", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    served = alone.lockgate("serve", "--policy", str(tmp_path / "none.yaml"), cwd=tmp_path)
    assert served.returncode == 2
    assert "none.yaml" in served.stderr
    assert "Traceback" not in served.stderr
    assert alone.python("import pulumi_lockgate", cwd=tmp_path).returncode != 0


def test_the_proxy_alone_says_what_checks_a_policy(alone: Environment, tmp_path: Path) -> None:
    for name in ("check", "plan", "graph", "diff", "import", "test", "demo"):
        done = alone.lockgate(name, str(LEAKS), cwd=tmp_path)
        assert done.returncode == 2, name
        assert "pip install pulumi-lockgate" in done.stderr
        assert f"\n  {name} " not in alone.lockgate("--help", cwd=tmp_path).stdout


def test_the_extra_brings_the_same(alone: Environment) -> None:
    done = alone.pip("install", "lockgate[plan]", "--dry-run", "--report", "-")
    assert done.returncode == 0, done.stderr
    names = {one["metadata"]["name"] for one in json.loads(done.stdout)["install"]}
    assert {"pulumi-lockgate", "pulumi", "pulumi_kubernetes", "z3-solver"} <= names


def test_the_plan_time_package_checks_and_plans(whole: Environment, project: Path) -> None:
    assert whole.lockgate("check", str(EXAMPLE), cwd=project).returncode == 0
    assert whole.lockgate("check", str(LEAKS), cwd=project).returncode == 1
    planned = whole.lockgate("plan", "dev", "--out", "out", cwd=project)
    assert planned.returncode == 0, planned.stderr
    assert "  out cloud-gpt " in planned.stdout
    assert list((project / "out").glob("*networkpolicy*"))
    outputs = json.loads(whole.lockgate("plan", "dev", "--json", cwd=project).stdout)["outputs"]
    assert outputs["whose"] == "ours"


def test_it_plans_without_any_program(whole: Environment, project: Path) -> None:
    shutil.rmtree(project / "app")
    planned = whole.lockgate("plan", "dev", cwd=project)
    assert planned.returncode == 0, planned.stderr
    assert "evaluating the one that pulumi-lockgate ships" in planned.stderr


def test_neither_takes_a_name_from_another(whole: Environment, project: Path) -> None:
    code = "import proxy, lockgate, pulumi_lockgate; print(proxy.Proxy, lockgate.__file__)"
    done = whole.python(code, cwd=project)
    assert done.returncode == 0, done.stderr
    assert "proxy.proxy.Proxy" in done.stdout
    assert str(whole.folder) in done.stdout.split()[-1]
