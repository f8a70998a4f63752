"""A project in a folder of its own, for tests of what a stack file may say."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lockgate.cli.main import cli

Run = Callable[..., Result]


@pytest.fixture
def run_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on the stack dev of this text."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: agents\nruntime: python\n")

    def lockgate(name: str, *arguments: str, text: str) -> Result:
        (tmp_path / "Pulumi.dev.yaml").write_text(text)
        return CliRunner().invoke(cli, [name, "dev", *arguments])

    return lockgate
