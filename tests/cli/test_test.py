"""`lockgate test` through its door: exit statuses, the report, JUnit."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result
from lockgate.cli.main import cli

ROOT = Path(__file__).parents[2]
MENDED = ROOT / "examples" / "tests" / "llmkube-readme-mended.yaml"
LEAKS = str(ROOT / "examples" / "llmkube-readme.yaml")
OWN = sorted([*(ROOT / "stacks" / "tests").glob("*.yaml"), *(ROOT / "examples" / "tests").glob("*.yaml")])  # fmt: skip


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["test", *words])


@pytest.mark.parametrize("file", OWN, ids=lambda path: path.stem)
def test_the_repository_s_own_policies_pass_their_tests(file: Path) -> None:
    done = run(str(file))
    assert done.exit_code == 0, done.output
    assert "FAIL" not in done.output


def test_every_stack_has_its_tests() -> None:
    stacks = {path.name.split(".")[1] for path in (ROOT / "stacks").glob("Pulumi.*.yaml")}
    assert stacks == {path.stem for path in (ROOT / "stacks" / "tests").glob("*.yaml")}


def test_a_failure_ends_with_1_and_says_expected_got_and_why() -> None:
    done = run(str(MENDED), "--policy", LEAKS)
    assert done.exit_code == 1
    assert f"({MENDED}:3)" in done.output
    assert (
        "          expected  pii-stays-local\n          got       complex-to-cloud" in done.output
    )
    assert "got       its chain leads to cloud-opus (cloud)" in done.output
    assert "dataClassification wants pii, got phi" in done.output
    assert done.output.endswith("2 tests: 1 passed, 1 failed\n")


def test_json_says_the_same() -> None:
    shown = json.loads(run(str(MENDED), "--policy", LEAKS, "--json").output)
    assert (shown["tests"], shown["failed"]) == (2, 1)
    first = shown["files"][0]["tests"][0]
    assert (first["passed"], first["line"]) == (False, 3)
    assert [m["part"] for m in first["mismatches"]] == ["rule", "never"]


def test_junit_has_a_suite_a_file_a_case_a_test_and_a_failure_with_its_lines(
    tmp_path: Path,
) -> None:
    file = tmp_path / "junit.xml"
    assert run(str(MENDED), "--policy", LEAKS, "--junit", str(file)).exit_code == 1
    root = ET.fromstring(file.read_bytes())
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "2", "1")
    (suite,) = root.findall("testsuite")
    first, second = suite.findall("testcase")
    (failed,) = first.findall("failure")
    assert (first.get("file"), first.get("line")) == (str(MENDED), "3")
    assert "got       complex-to-cloud" in (failed.text or "")
    assert second.findall("failure") == []


def test_a_name_that_xml_cannot_hold_is_still_written(tmp_path: Path) -> None:
    tests, file = tmp_path / "t.yaml", tmp_path / "junit.xml"
    tests.write_text(
        'policy: dev\ntests:\n- name: "a\\x01<b>&"\n  request: { model: m }\n  expect: { rule: everyday }\n'
    )
    assert run(str(tests), "--junit", str(file)).exit_code == 0
    case = ET.fromstring(file.read_bytes()).find(".//testcase")
    assert case is not None
    assert case.get("name") == "a\ufffd<b>&"


def test_every_file_that_is_of_no_use_is_told_and_none_is_run(tmp_path: Path) -> None:
    typo = tmp_path / "typo.yaml"
    typo.write_text(MENDED.read_text().replace("rule: pii-stays-local", "rule: pii-stay-local"))
    done = run(str(typo), str(tmp_path / "none.yaml"), str(MENDED), "--policy", LEAKS)
    assert done.exit_code == 2
    assert f"{typo}:7: tests[0].expect.rule: the policy has no rule 'pii-stay-local'" in done.stderr
    assert "did you mean pii-stays-local?" in done.stderr
    assert "none.yaml: cannot be read" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("policy: prd\n", "did you mean prod?"),
        ("policy: ./nowhere.yaml\n", "nowhere.yaml: cannot be read"),
        ("", "policy: is missing"),
    ],
)
def test_a_policy_that_is_not_there_ends_with_2(tmp_path: Path, policy: str, words: str) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(
        f"{policy}tests:\n- name: a\n  request: {{ model: m }}\n  expect: {{ rule: null }}\n"
    )
    done = run(str(file))
    assert done.exit_code == 2
    assert words in done.stderr


def test_the_guide_s_example_passes(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "guides" / "policy-tests.md").read_text()
    file = tmp_path / "t.yaml"
    file.write_text(page.split("```yaml\n")[1].split("```")[0])
    done = run(str(file))
    assert (done.exit_code, "2 passed" in done.output) == (0, True), done.output
