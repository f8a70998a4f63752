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


def test_its_table_has_every_command() -> None:
    named = set(re.findall(r"^\| `lockgate (\w+)", TEXT, re.MULTILINE))
    assert named == {entry.name for entry in entry_points(group="lockgate.verbs")}


def pages() -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", "*.md"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    named = [ROOT / line for line in done.stdout.splitlines()]
    return named or [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(page: Path) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text))
    out = []
    for target in targets:
        path, _, anchor = target.partition("#")
        at = page.parent / path if path else page
        if re.match(r"[a-z]+:", target) is None and (
            not at.exists() or (anchor and anchor not in anchors(at))
        ):
            out.append(target)
    return out


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_every_page_leads_somewhere(page: Path) -> None:
    assert broken(page) == []


SOURCES = [path for path in ROOT.glob("*/**/*.py") if not {".venv", "build"} & set(path.parts)]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_source_file_that_a_page_names_is_there(page: Path) -> None:
    named = set(re.findall(r"`([\w./-]+\.py)`", page.read_text()))
    ends = {name: f"/{name}" for name in named}
    found = {name for name, end in ends.items() if any(str(s).endswith(end) for s in SOURCES)}
    assert named == found


def test_a_link_that_leads_nowhere_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A title\n[a](gone.md) [b](page.md#a-title) [c](#gone) [d](https://e.f/)\n")
    assert broken(page) == ["gone.md", "#gone"]


def test_it_is_short_and_leads_on() -> None:
    assert len(TEXT.splitlines()) <= 125
    for target in ("docs/README.md", "docs/glossary.md", "docs/guides/library.md"):
        assert f"]({target})" in TEXT


@pytest.mark.parametrize("name", re.findall(r"`(test_\w+)`", TEXT))
def test_the_tests_it_names_exist(name: str) -> None:
    assert any(f"def {name}(" in path.read_text() for path in ROOT.glob("tests/**/test_*.py"))
