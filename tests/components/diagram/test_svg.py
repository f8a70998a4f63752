"""The SVG: the same bytes each time, readable without colours and without eyes, and never markup."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner
from lockgate.cli.main import cli
from pulumi_lockgate.diagram.rows import picture
from pulumi_lockgate.diagram.svg import svg_of
from pulumi_lockgate.proof.checks import prove
from pulumi_lockgate.stack.read import load_named

ROOT = Path(__file__).parent.parent.parent.parent
SVG = "{http://www.w3.org/2000/svg}"
PUBLISHED = ROOT / "examples" / "llmkube-readme.yaml"


def svg(named: str) -> str:
    policy = load_named(named)
    return svg_of(picture(policy, prove(policy)), f"stack {named}")


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_the_committed_picture_is_what_the_command_draws_whatever_the_seed(
    seed: str, tmp_path: Path
) -> None:
    out = tmp_path / "prod.svg"
    line = [sys.executable, "-m", "lockgate.cli.main", "graph", "prod", "--out", str(out)]
    done = subprocess.run(
        line, capture_output=True, text=True, check=False, cwd=ROOT, env={"PYTHONHASHSEED": seed}
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert out.read_bytes() == (ROOT / "docs" / "policy-prod.svg").read_bytes()


def test_it_can_be_read_without_seeing_it_and_loads_nothing() -> None:
    text = svg("prod")
    root = ET.fromstring(text)
    assert root.get("role") == "img"
    for name in (root.get("aria-labelledby") or "").split():
        assert root.find(f".//*[@id='{name}']") is not None
    title, words = root.findtext(f"{SVG}title"), root.findtext(f"{SVG}desc") or ""
    assert title == "Where requests go: stack prod"
    assert words.startswith("PROVED: no request marked sensitive")
    assert "rule 3, complex-to-cloud (complexity complex): cloud-opus (cloud)" in words
    assert "genomic, phi, pii (taken by 1 records-stay-local): local-medgemma (local)" in words
    assert not root.findall(f".//{SVG}script")
    assert not re.search(r"@import|@font-face|url\(|href=", text)
    assert "prefers-color-scheme: dark" in text


def test_verdict_and_digest_stand_in_the_picture() -> None:
    policy = load_named("prod")
    words = [node.text for node in ET.fromstring(svg("prod")).iter(f"{SVG}text")]
    assert "PROVED" in words
    assert policy.digest in words


def test_cloud_ways_and_leaks_are_said_without_colour() -> None:
    text = svg(str(PUBLISHED))
    assert re.search(r"\.way\.cloud \{ stroke-dasharray", text)
    words = [node.text for node in ET.fromstring(text).iter(f"{SVG}text")]
    assert words.count("LEAK") == 1
    assert "VIOLATED" in words
    assert "cloud tier" in words
    assert 'class="way cloud"' in text


def test_names_from_the_policy_are_text_and_never_markup(tmp_path: Path) -> None:
    file = tmp_path / "<script>&.yaml"
    file.write_text(PUBLISHED.read_text().replace("taskComplexity: complex", 'models: ["<b>&\\""]'))
    out = tmp_path / "out.svg"
    done = CliRunner().invoke(cli, ["graph", str(file), "--out", str(out)])
    assert done.exit_code == 0, done.stderr
    root = ET.fromstring(out.read_text())
    assert not root.findall(f".//{SVG}script")
    assert 'model <b>&"' in (root.findtext(f"{SVG}desc") or "")


def test_what_cannot_be_drawn_or_written_ends_with_2(tmp_path: Path) -> None:
    broken, out = tmp_path / "broken.yaml", tmp_path / "out.svg"
    broken.write_text("backends: []\n")
    for arguments, said in (
        ([str(broken), "--out", str(out)], f"{broken}:1: backends: is empty"),
        (["prdo", "--out", str(out)], "did you mean prod?"),
        (["prod", "--out", str(tmp_path / "none" / "x.svg")], "cannot be written: No such file"),
        (["prod"], "Missing option '--out'"),
    ):
        done = CliRunner().invoke(cli, ["graph", *arguments])
        assert (done.exit_code, done.stdout) == (2, "")
        assert said in done.stderr
    assert not out.exists()
