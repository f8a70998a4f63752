"""A command that is shown works where it is shown: by its name only where PATH finds this one."""

import sys
from pathlib import Path

import pytest
from lockgate.cli.shown import secret_line, shown


def program(folder: Path) -> Path:
    file = folder / "bin" / "lockgate"
    file.parent.mkdir(parents=True)
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_the_name_alone_where_path_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = program(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(file)])
    monkeypatch.setenv("PATH", str(file.parent))
    assert shown("check", "a b.yaml") == "lockgate check 'a b.yaml'"


def test_its_path_where_path_finds_another_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, other = program(tmp_path / "ours"), program(tmp_path / "other")
    monkeypatch.setattr(sys, "argv", [str(ours)])
    for path in (str(other.parent), "/nowhere"):
        monkeypatch.setenv("PATH", path)
        assert shown("check") == f"{ours} check"
    monkeypatch.chdir(tmp_path)
    assert shown("check") == "ours/bin/lockgate check"


def test_the_interpreter_where_there_is_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["-m"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "/nowhere")
    assert shown("check") == f"{tmp_path}/python -m lockgate.cli.main check"


def test_the_line_for_a_secret_holds_no_key() -> None:
    assert secret_line("agents", "openai-key", "OPENAI_API_KEY") == (
        'printf %s "$OPENAI_API_KEY" | kubectl -n agents create secret generic openai-key '
        "--from-file=OPENAI_API_KEY=/dev/stdin"
    )
