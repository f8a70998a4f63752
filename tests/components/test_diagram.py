"""The picture: what it shows is what the engine does, and the same bytes come out every time."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from lockgate.cli.main import cli
from lockgate.policy.deciding.decide import decide
from lockgate.policy.deciding.decision import Request
from lockgate.policy.reading.load import compiled
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.rules import Match, RouteTo, Rule
from pulumi_lockgate.diagram.rows import Track, picture
from pulumi_lockgate.diagram.sheet import sheet
from pulumi_lockgate.stack.read import load_named

from tests.properties.policies import requests, specs

ROOT = Path(__file__).parent.parent.parent
SVG = "{http://www.w3.org/2000/svg}"
PUBLISHED = ROOT / "examples" / "llmkube-readme.yaml"


def track_of(tracks: tuple[Track, ...], number: int | None, via: str) -> list[Track]:
    named = via == "name_match"
    found = [t for t in tracks if t.number == number]
    return [t for t in found if number or (any(s.role == "named" for s in t.stops) == named)]


@given(specs(), requests)
def test_what_the_engine_considers_stands_on_a_track(spec: RouterSpec, request_: Request) -> None:
    reading = decide(compiled(spec), request_).reading
    number = spec.rules.index(reading.rule) + 1 if reading.rule else None
    shown = picture(spec)
    capable = [c.backend for c in reading.considered if c.reason != "lacks_capability"]
    tracks = track_of(shown.every, number, reading.via)
    if reading.labels.sensitive:
        sensitive = track_of(shown.sensitive, number, reading.via)
        assert sensitive, "a sensitive request takes a way that is not drawn"
        tracks += sensitive
    for track in tracks:
        stops = [stop.backend for stop in track.stops]
        if reading.via == "name_match":
            assert set(capable) <= set(stops)
        elif not any(c.reason == "cloud_tier_for_sensitive" for c in reading.considered):
            assert stops == capable
        assert not (track.sensitive and track in shown.sensitive) or track.refuses


@given(specs(), requests)
def test_a_sensitive_track_with_a_cloud_backend_is_called_a_leak(
    spec: RouterSpec, request_: Request
) -> None:
    reading = decide(compiled(spec), request_).reading
    number = spec.rules.index(reading.rule) + 1 if reading.rule else None
    if any(c.reason == "cloud_tier_for_sensitive" for c in reading.considered):
        tracks = track_of(picture(spec).sensitive, number, reading.via)
        required = reading.rule.match if reading.rule else None
        narrowed = bool(required and required.required_capabilities)
        assert narrowed or any(track.leaks for track in tracks)


def test_a_label_that_is_not_sensitive_can_stand_beside_one_that_is() -> None:
    spec = load_named(str(PUBLISHED)).spec
    open_rule = Rule(
        name="open",
        match=Match(data_classification=("public",)),
        route=RouteTo(backends=("cloud-opus",)),
    )
    mixed = RouterSpec(
        backends=spec.backends, rules=(open_rule, *spec.rules), default_route="local-coder"
    )
    first = picture(mixed).sensitive[0]
    assert (first.title, first.note) == ("phi, pii", "taken by open if also labelled public")
    assert first.leaks


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
    text = sheet(load_named("prod").spec, "prod")
    root = ET.fromstring(text)
    assert root.get("role") == "img"
    for name in (root.get("aria-labelledby") or "").split():
        assert root.find(f".//*[@id='{name}']") is not None
    title, words = root.findtext(f"{SVG}title"), root.findtext(f"{SVG}desc") or ""
    assert title == "Where requests go: stack prod"
    assert "rule 3, complex-to-cloud (complexity complex): cloud-opus (cloud)" in words
    assert "genomic, phi, pii (taken by records-stay-local): local-medgemma (local)" in words
    assert not root.findall(f".//{SVG}script")
    assert not re.search(r"@import|@font-face|url\(|href=", text)
    assert "prefers-color-scheme: dark" in text


def test_cloud_ways_and_leaks_are_told_without_colour() -> None:
    text = sheet(load_named(str(PUBLISHED)).spec, str(PUBLISHED))
    assert re.search(r"\.way\.cloud \{ stroke-dasharray", text)
    root = ET.fromstring(text)
    words = [node.text for node in root.iter(f"{SVG}text")]
    assert words.count("LEAK") == 1
    assert "cloud tier" in words
    assert 'class="way cloud"' in text


def test_names_from_the_policy_are_text_and_never_markup(tmp_path: Path) -> None:
    file = tmp_path / "<script>&.yaml"
    text = PUBLISHED.read_text().replace("models:", "models:")
    file.write_text(text.replace("taskComplexity: complex", 'models: ["<b>&\\""]'))
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
