"""`lockgate check`: what is an error, what is a warning, and how it ends."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lockgate.cli.main import cli

POLICY = """
backends:
- { name: l, inferenceServiceRef: { name: s, namespace: d } }
- { name: c, tier: cloud, external: { provider: openai, model: g } }
rules:
- { name: s, match: { dataClassification: [pii, phi] }, route: { backends: [l] }, failClosed: true }
- { name: again, match: { dataClassification: [pii] }, route: { backends: [l] }, failClosed: true }
- { name: rest, route: { backends: [c] }, failClosed: true }
"""
LEAKS = POLICY.replace("[pii, phi]", "[pii]")
CLOUD_ONLY = """
backends:
- { name: c, tier: cloud, external: { provider: openai, model: g } }
rules:
- { name: no, match: { dataClassification: [pii, phi] }, route: { refuse: true } }
- { name: rest, route: { backends: [c] }, failClosed: true }
"""


def check(folder: Path, text: str, *options: str) -> Result:
    file = folder / "policy.yaml"
    file.write_text(text)
    return CliRunner().invoke(cli, ["check", str(file), *options])


def test_a_dead_rule_is_a_warning_that_is_shown(tmp_path: Path) -> None:
    done = check(tmp_path, POLICY)
    assert done.exit_code == 0
    assert done.output.startswith("PROVED: no request marked sensitive has a cloud backend in its chain (1 dead rule)")  # fmt: skip
    assert "warning: dead rule 1: rule again never takes a request" in done.output
    (found,) = json.loads(check(tmp_path, POLICY, "--json").stdout)["findings"]
    assert (found["kind"], found["severity"]) == ("dead_rule", "warning")


@pytest.mark.parametrize("by", ["flag", "policy"])
def test_strict_makes_it_an_error(tmp_path: Path, by: str) -> None:
    text = POLICY if by == "flag" else f"{POLICY}policy: {{ strict: true }}"
    done = check(tmp_path, text, *(["--strict"] if by == "flag" else []))
    assert done.exit_code == 1
    assert "VIOLATED: 1 dead rule" in done.output
    assert "warning" not in done.output


def test_a_warning_is_one_in_the_code_view_too(tmp_path: Path) -> None:
    for options, level in (([], "warning"), (["--strict"], "error")):
        check(tmp_path, POLICY, "--sarif", str(tmp_path / "s.sarif"), *options)
        ((result,),) = (
            r["results"] for r in json.loads((tmp_path / "s.sarif").read_text())["runs"]
        )
        assert (result["ruleId"], result["level"]) == ("lockgate/dead_rule", level)


def test_a_leak_stays_an_error_whatever_is_a_warning(tmp_path: Path) -> None:
    assert check(tmp_path, LEAKS).exit_code == 1


def test_mode_warn_shows_what_is_violated_and_ends_with_0(tmp_path: Path) -> None:
    done = check(tmp_path, LEAKS, "--mode", "warn")
    assert done.exit_code == 0
    assert "VIOLATED: 1 leak" in done.output
    assert "--mode warn: violated, and exit status 0" in done.output
    assert check(tmp_path, "backends: []", "--mode", "warn").exit_code == 2


def test_a_policy_without_a_local_backend_can_refuse_and_is_proved(tmp_path: Path) -> None:
    done = check(tmp_path, CLOUD_ONLY, "--strict")
    assert done.exit_code == 0, done.output
    assert "  phi: rule no (refused)" in done.output
    half = CLOUD_ONLY.replace("[pii, phi]", "[pii]")
    done = check(tmp_path, half)
    assert done.exit_code == 1
    assert "leak 1: a request labelled phi" in done.output


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ("backends: [c]", "route.backends"),
        ("strategy: weighted", "route.strategy"),
        ("shadowPercent: 5", "route.shadowPercent"),
    ],
)
def test_a_rule_that_refuses_says_nothing_else_of_its_route(
    tmp_path: Path, more: str, path: str
) -> None:
    done = check(tmp_path, CLOUD_ONLY.replace("refuse: true", f"refuse: true, {more}"))
    assert done.exit_code == 2
    assert f"rules[0].{path}: means nothing at a rule that refuses" in done.output


@pytest.mark.parametrize(
    "more", ["timeout: 5s", "timeouts: { idle: 5s }", "retry: connect-only", "recovery: resume"]
)
def test_nor_of_what_would_be_done_there(tmp_path: Path, more: str) -> None:
    text = CLOUD_ONLY.replace("refuse: true } }", f"refuse: true }}, {more} }}")
    assert text != CLOUD_ONLY
    done = check(tmp_path, text)
    assert done.exit_code == 2
    assert "means nothing at a rule that refuses" in done.output


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        (CLOUD_ONLY.replace("refuse: true", "backends: []"), "write `route: { refuse: true }` to"),
        (CLOUD_ONLY.replace("refuse: true", "backends: [c]"), "write `route: { refuse: true }`"),
        (POLICY.replace("backends: [l] }", "backends: [] }"), "write `backends: [l]`, or"),
        (POLICY.replace("backends: [l] }", "backends: [c] }"), "write `backends: [l]`: local"),
    ],
)
def test_no_suggestion_leads_sensitive_data_to_a_cloud(
    tmp_path: Path, text: str, mend: str
) -> None:
    done = check(tmp_path, text)
    assert done.exit_code == 2
    assert mend in done.output
    assert "[c]`" not in done.output


def test_a_report_on_teams_says_whose_word_a_team_is(tmp_path: Path) -> None:
    invariant = "policy: { invariants: [{ name: i, when: { team: red }, never: { tier: cloud } }] }"
    text = POLICY.replace("[c] }", "[l] }") + invariant
    done = check(tmp_path, text)
    assert "teams are what clients say in x-llmkube-team" in done.output
    assert "teams are" not in check(tmp_path, POLICY).output
