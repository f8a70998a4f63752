"""The real Pulumi engine on a copy of this repository's program, with a file backend of its own."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def project_in(folder: Path) -> Path:
    """Copy this repository, as far as Pulumi looks at it, into a new folder."""
    here = folder / "project"
    here.mkdir()
    shutil.copy(ROOT / "Pulumi.yaml", here)
    for name in ("stacks", "infra", "policy-pack"):
        shutil.copytree(
            ROOT / name, here / name, ignore=shutil.ignore_patterns(".venv", "__pycache__")
        )
    (here / ".venv").symlink_to(ROOT / ".venv")
    (here / "policy-pack" / ".venv").symlink_to(ROOT / ".venv")
    return here


class Engine:
    """`pulumi` on the dev stack of a project, with its state beside the project."""

    def __init__(self, project: Path) -> None:
        home = project.parent / "home"
        home.mkdir()
        self.project = project
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{home}",
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "KUBECONFIG": os.environ.get("KUBECONFIG", str(home / "none")),
        }
        self.stack = project / "stacks" / "Pulumi.dev.yaml"
        done = self._run(["pulumi", "stack", "init", "dev"], None, 60)
        assert done.returncode == 0, done.stderr
        lines = self.stack.read_text().splitlines()
        self.salt = next(line for line in lines if "encryptionsalt" in line)

    def __call__(
        self, *arguments: str, given: str | None = None, wait: int = 300
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return self._run(self._line(arguments), given, wait)

    def unselected(self, *arguments: str, wait: int = 300) -> "subprocess.CompletedProcess[str]":
        """Run a command that names its stack itself."""
        return self._run(["pulumi", *arguments, "--non-interactive"], None, wait)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command, and do not wait for it."""
        return subprocess.Popen(
            self._line(arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.project,
            env=self.environment,
        )

    def write(self, text: str) -> None:
        """Write the stack file: the engine's own salt stays."""
        self.stack.write_text(f"{text}{self.salt}\n")

    @staticmethod
    def _line(arguments: tuple[str, ...]) -> list[str]:
        return ["pulumi", *arguments, "--stack", "dev", "--non-interactive"]

    def _run(
        self, line: list[str], given: str | None, wait: int
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            line,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.project,
            env=self.environment,
            input=given,
            timeout=wait,
        )
