"""SARIF that a code host takes, with the lines of the file; comments that nothing breaks out of."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from lockgate.cli.main import cli
from lockgate.policy.reading.problem import UnusableInputError
from pulumi_lockgate.ci_output.comment import MOST, comment
from pulumi_lockgate.ci_output.sarif import RULES, Run, log, of_failure
from pulumi_lockgate.planned import Refused
from pulumi_lockgate.proof.report import WORDS

from tests.ci.schemas import faults
from tests.cli.test_refusals import GOOD
from tests.support.project import project

SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the stack dev, in a project of its own, which is the working directory."""
    return project(tmp_path, monkeypatch, GOOD)


def lockgate(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def checked(*named: str) -> tuple[Result, list[Run]]:
    done = lockgate("check", *named, "--sarif", "out.sarif")
    document: dict[str, Any] = json.loads(Path("out.sarif").read_text())
    assert faults(SARIF, document) == []
    return done, document["runs"]


def places(run: Run) -> list[tuple[str, str, int, str]]:
    """Return (rule, uri, line, path in the spec) of each result."""
    found = []
    for result in run["results"]:
        [where] = result["locations"]
        physical = where["physicalLocation"]
        found.append((
            result["ruleId"],
            physical["artifactLocation"]["uri"],
            physical["region"]["startLine"],
            where["logicalLocations"][0]["fullyQualifiedName"],
        ))  # fmt: skip
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    return found


def test_a_leak_stands_at_the_line_of_its_rule(stack: Path) -> None:
    stack.write_text(GOOD.replace("dataClassification: [pii, phi]", "dataClassification: [pii]"))
    done, [run] = checked("dev")
    assert done.exit_code == 1
    [leak] = [place for place in places(run) if place[0] == "lockgate/leak"]
    line = 1 + stack.read_text().splitlines().index("    - name: complex-to-cloud")
    assert leak == ("lockgate/leak", "stacks/Pulumi.dev.yaml", line, "rules[1]")
    text = next(r["message"]["text"] for r in run["results"] if r["ruleId"] == "lockgate/leak")
    assert "\ncurl http://localhost:8080/v1/chat/completions " in text
    assert run["properties"]["proved"] is False


def test_a_refusal_stands_at_its_line_too(stack: Path) -> None:
    stack.write_text(GOOD.replace("failClosed", "failClosd").replace("pvc://", "hf://"))
    done, [run] = checked(str(stack))
    assert done.exit_code == 2
    assert places(run) == [
        ("lockgate/refused", "stacks/Pulumi.dev.yaml", 5, "config.lockgate:models.qwen.modelRef"),
        ("lockgate/refused", "stacks/Pulumi.dev.yaml", 23, "config.lockgate:router.rules[0].failClosd"),
    ]  # fmt: skip
    assert "write `failClosed: true`" in run["results"][1]["message"]["text"]


def test_what_holds_has_no_results(stack: Path) -> None:
    done, [run] = checked("dev")
    assert (done.exit_code, run["results"]) == (0, [])
    assert run["properties"]["policyDigest"] in done.stdout


def test_what_cannot_be_read_is_a_run_that_failed(stack: Path) -> None:
    done, [run] = checked("none.yaml")
    assert done.exit_code == 2
    [invocation] = run["invocations"]
    assert invocation["executionSuccessful"] is False
    [note] = invocation["toolExecutionNotifications"]
    assert note["message"]["text"] == "none.yaml: cannot be read: No such file or directory"


def test_several_policies_are_several_runs_and_end_as_the_worst_does(stack: Path) -> None:
    stack.with_name("Pulumi.bad.yaml").write_text(GOOD.replace("failClosed", "failClosd"))
    done, runs = checked("dev", "bad", "dev")
    assert done.exit_code == 2
    assert [len(run["results"]) for run in runs] == [0, 1, 0]
    assert len({run["automationDetails"]["id"] for run in runs}) == 2
    assert "PROVED" in done.stdout
    assert lockgate("check", "dev", "bad", "--json").exit_code == 2


def test_a_finding_keeps_its_fingerprint_when_lines_move(stack: Path) -> None:
    leaking = GOOD.replace("dataClassification: [pii, phi]", "dataClassification: [pii]")
    stack.write_text(leaking)
    _, [first] = checked("dev")
    stack.write_text("# a line\n" + leaking)
    _, [second] = checked("dev")
    prints = [[r["partialFingerprints"] for r in run["results"]] for run in (first, second)]
    assert prints[0] == prints[1]
    assert places(first) != places(second)


def test_a_sarif_file_that_cannot_be_written_ends_with_2(stack: Path) -> None:
    done = lockgate("check", "dev", "--sarif", "none/out.sarif")
    assert done.exit_code == 2
    assert done.stderr == "none/out.sarif: cannot be written: No such file or directory\n"


def test_every_kind_of_finding_is_a_rule() -> None:
    assert set(RULES) == {*WORDS, "refused", "widening"}


def test_the_schema_refuses_what_is_wrong() -> None:
    document = json.loads(log([of_failure("x", Path("p"))]))
    assert faults(SARIF, document) == []
    document["runs"][0]["results"] = [{"level": "error"}]
    assert faults(SARIF, document)


def test_a_comment_has_verdict_change_and_resources(stack: Path) -> None:
    done = lockgate("plan", "dev", "--comment", "comment.md")
    text = Path("comment.md").read_text()
    assert done.exit_code == 0, done.output
    assert text.startswith("### ✅ Lockgate, stack `dev`: proved")
    assert "PROVED: no request marked sensitive" in text
    assert re.search(r"<details><summary>\d+ resources</summary>\n\n```text\n  \+ ", text)
    assert "\x1b" not in text
    chart = re.search(
        r"<details><summary>Where requests go</summary>\n\n```mermaid\n(.*?)```", text, re.DOTALL
    )
    assert chart
    assert "\nflowchart LR\n" in chart[1]


@pytest.mark.parametrize(
    ("old", "new", "status", "words"),
    [
        ("[pii, phi] }", "[pii] }", 1, "VIOLATED: the policy must not be deployed"),
        ("failClosed", "failClosd", 2, "REFUSED: the stack does not load"),
    ],
)
def test_a_comment_is_written_for_a_bad_verdict_too(
    stack: Path, old: str, new: str, status: int, words: str
) -> None:
    stack.write_text(GOOD.replace(old, new, 1))
    done = lockgate("plan", "dev", "--comment", "comment.md")
    text = Path("comment.md").read_text()
    assert done.exit_code == status
    assert text.startswith(f"### ❌ Lockgate, stack `dev`: {words}")
    assert (done.stdout + done.stderr).strip() in text
    assert ('== "LEAK' in text) == ("<details open>" in text) == (status == 1)


def test_a_comment_is_for_people_and_needs_a_place(stack: Path) -> None:
    done = lockgate("plan", "dev", "--json", "--comment", "comment.md")
    assert (done.exit_code, "leave --json out" in done.stderr) == (2, True)
    done = lockgate("plan", "dev", "--comment", "none/comment.md")
    assert done.exit_code == 2
    assert "none/comment.md: cannot be written" in done.stderr


@pytest.mark.parametrize("inside", ["```", "`````\n# heading", "</details>", "\x1b[31mred"])
def test_nothing_that_is_printed_breaks_out_of_its_block(inside: str) -> None:
    text = comment(Refused("a`b", UnusableInputError(f"one\n{inside}\nend")))
    assert text.startswith("### ❌ Lockgate, stack `a'b`: ")
    fence = re.search(r"^(`{3,})text$", text, re.MULTILINE)
    assert fence is not None
    body = text[fence.end() + 1 :]
    assert [line for line in body.splitlines() if line.startswith(fence[1])] == [fence[1]]
    assert body.endswith(f"{fence[1]}\n")
    assert "\x1b" not in text


def test_a_comment_stays_within_what_hosts_take() -> None:
    text = comment(Refused("dev", UnusableInputError("line of a report\n" * 20_000)))
    assert len(text) < MOST + 200
    assert "\n... cut\n```" in text
