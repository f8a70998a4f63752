"""What the README says is so: its policy loads and is proved, what it shows is printed."""

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()


def lockgate(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "lockgate.cli.main", *arguments]
    return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return [text for named, text in found if named == language]


def test_its_policy_is_proved(tmp_path: Path) -> None:
    (policy,) = blocks("yaml")
    file = tmp_path / "policy.yaml"
    file.write_text(policy)
    done = lockgate("check", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_it_shows_of_a_command_is_what_the_command_prints() -> None:
    (shown,) = [block for block in blocks("") if block.startswith("$ ")]
    first, *lines = shown.splitlines()
    done = lockgate(*first.removeprefix("$ lockgate ").split())
    assert done.returncode == 1
    wanted = ".*".join(re.escape(part) for part in "\n".join(lines).split("..."))
    assert re.search(wanted, done.stdout, re.DOTALL), done.stdout


def test_its_table_has_every_verb() -> None:
    named = set(re.findall(r"^\| `lockgate (\w+)", TEXT, re.MULTILINE))
    assert named == {entry.name for entry in entry_points(group="lockgate.verbs")}


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)]+)\)", TEXT))
def test_its_links_lead_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


@pytest.mark.parametrize("name", re.findall(r"`(test_\w+)`", TEXT))
def test_the_tests_it_names_exist(name: str) -> None:
    assert any(f"def {name}(" in path.read_text() for path in ROOT.glob("tests/**/test_*.py"))
