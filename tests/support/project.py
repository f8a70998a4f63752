"""A Pulumi project of a test's own, with one stack."""

from pathlib import Path

import pytest


def project(folder: Path, monkeypatch: pytest.MonkeyPatch, stack: str) -> Path:
    """Make a project in `folder` and go there; return the file of its stack dev."""
    (folder / "Pulumi.yaml").write_text("name: lockgate\nruntime: python\n")
    (folder / "stacks").mkdir()
    monkeypatch.chdir(folder)
    file = folder / "stacks" / "Pulumi.dev.yaml"
    file.write_text(stack)
    return file
