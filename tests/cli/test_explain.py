"""`lockgate explain`: every rule and candidate with its reason, as text and for a machine."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lockgate.cli.main import cli

ROOT = Path(__file__).parents[2]
PROD = str(ROOT / "stacks" / "Pulumi.prod.yaml")
LABEL = "x-llmkube-classification"


def explain(*line: str) -> Result:
    return CliRunner().invoke(cli, ["explain", *line])


def test_every_rule_is_told_and_not_only_the_one_that_decides() -> None:
    done = explain(PROD, "--model", "gpt-5", "--header", "X-LLMKube-Task-Complexity=complex")
    assert done.exit_code == 0
    said = {line.split()[0]: line for line in done.output.splitlines()}
    assert (
        "does not hold: dataClassification wants genomic or phi or pii, got none"
        in said["records-stay-local"]
    )
    assert "does not hold: models wants medgemma*, got gpt-5" in said["research-images"]
    assert "holds, and decides" in said["complex-to-cloud"]
    assert "does not hold: headers.x-workload wants batch, got none" in said["batch"]
    assert said["route"].split()[1:] == ["cloud-opus", "->", "cloud-gpt", "->", "local-qwen"]


def test_a_rule_that_holds_too_is_said_to_stand_later() -> None:
    fields = ("--header", f"{LABEL}=phi", "--header", "x-workload=batch")
    done = explain(PROD, "--model", "m", *fields, "--json")
    shown = json.loads(done.output)
    assert [(r["name"], r["holds"], r["decides"]) for r in shown["rules"]] == [
        ("records-stay-local", True, True),
        ("research-images", False, False),
        ("complex-to-cloud", False, False),
        ("batch", True, False),
    ]
    assert shown["headers_read"][LABEL] == ["phi"]
    assert shown["headers_read"]["x-llmkube-team"] == []
    assert "holds too, but stands later" in explain(PROD, "--model", "m", *fields).output


def test_a_refusal_ends_with_4_and_names_every_backend_it_skipped(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "backends:\n- name: cloud\n  tier: cloud\n  external: { provider: openai, model: m }\n"
        "defaultRoute: cloud\n"
    )
    done = explain(str(policy), "--model", "m", "--header", f"{LABEL}=typo")
    assert done.exit_code == 4
    assert "unrecognised: every sensitive one" in done.output
    assert "cloud (cloud): skipped: a cloud backend, and the request is sensitive" in done.output
    assert "refused     503 refused_by_policy" in done.output


@pytest.mark.parametrize(
    ("model", "said"),
    [("cloud", "refused     503 no_route"), ("gpt-9", "refused     404 model_not_found")],
)
def test_a_model_that_nothing_takes_is_told_as_the_proxy_does(
    tmp_path: Path, model: str, said: str
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "backends:\n- name: cloud\n  tier: cloud\n  external: { provider: openai, model: m }\n"
    )
    done = explain(str(policy), "--model", model)
    assert done.exit_code == 4
    assert said in done.output


def test_a_header_that_the_proxy_drops_is_told() -> None:
    done = explain(PROD, "--model", "m", "--header", "x_llmkube_classification=pii")
    assert done.exit_code == 2
    assert "write x-llmkube-classification=pii" in done.output


def test_the_body_names_the_model(tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_text('{"model": "medgemma-27b", "messages": []}')
    done = explain(PROD, "--body", str(body), "--json")
    assert done.exit_code == 0
    assert json.loads(done.output)["rule"] == "research-images"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", "not a JSON document"),
        ('{"model": "m", "api_base": "http://x"}', 'Remove "api_base"'),
        ('{"messages": []}', "model"),
        ('{"model": "a", "model": "b"}', '"model" stands twice'),
    ],
)
def test_a_body_that_the_proxy_would_refuse_ends_with_2(
    tmp_path: Path, body: str, words: str
) -> None:
    file = tmp_path / "body.json"
    file.write_text(body)
    done = explain(PROD, "--body", str(file))
    assert done.exit_code == 2
    assert words in done.output
    assert str(file) in done.output


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ((PROD,), "name the model with --model, or give a --body"),
        (("/nowhere.yaml", "--model", "m"), "/nowhere.yaml"),
        ((PROD, "--model", "m", "--header", "x"), "or NAME=VALUE"),
        ((PROD, "--model", "m", "--body", "/nowhere.json"), "/nowhere.json"),
    ],
)
def test_what_is_of_no_use_ends_with_2(line: tuple[str, ...], words: str) -> None:
    done = explain(*line)
    assert done.exit_code == 2
    assert words in done.output


def test_a_model_said_twice_must_be_the_same(tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_text('{"model": "a"}')
    assert explain(PROD, "--body", str(body), "--model", "b").exit_code == 2
    assert explain(PROD, "--body", str(body), "--model", "a").exit_code == 0
