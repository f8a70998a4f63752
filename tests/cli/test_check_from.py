"""`lockgate check --from`: other products' configurations, through the door that a user takes."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lockgate.cli.main import cli

GUIDE = Path(__file__).parent.parent.parent / "docs" / "guides" / "prove-your-litellm.md"
CONFIG = """
model_list:
- model_name: qwen
  litellm_params: { model: hosted_vllm/qwen3, api_base: http://10.20.0.4:8000/v1 }
- model_name: gpt
  litellm_params: { model: openai/gpt-4o }
"""
ROUTER = """
apiVersion: inference.llmkube.dev/v1alpha1
kind: ModelRouter
metadata: { name: r }
spec:
  backends:
  - { name: own, inferenceServiceRef: { name: qwen } }
  - { name: gpt, external: { provider: openai, model: gpt-4o }, tier: cloud }
  defaultRoute: own
"""


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["check", *arguments], input=text)


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    return [text for named, text in found if named == language]


def test_the_guide_shows_what_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (config,) = blocks("yaml")
    (shown,) = [block for block in blocks("") if block.startswith("$ ")]
    (tmp_path / "config.yaml").write_text(config)
    monkeypatch.chdir(tmp_path)
    first, *lines = shown.splitlines()
    done = run(*first.removeprefix("$ lockgate check ").split())
    assert done.exit_code == 1
    wanted = ".*".join(re.escape(part) for part in "\n".join(lines).split("..."))
    assert re.search(wanted, done.stdout, re.DOTALL), done.stdout


def test_the_guides_own_mend_is_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (config,) = blocks("yaml")
    (tmp_path / "config.yaml").write_text(config)
    monkeypatch.chdir(tmp_path)
    (mend,) = [block for block in blocks("") if block.startswith("lockgate import")]
    imported, checked, _ = (line.split()[1:] for line in mend.splitlines())
    assert CliRunner().invoke(cli, imported).exit_code == 0
    assert CliRunner().invoke(cli, checked).exit_code == 0


def test_a_leak_is_on_stdout_as_a_curl_line_and_the_status_is_1() -> None:
    done = run("--from", "litellm", "-", text=CONFIG)
    assert done.exit_code == 1
    assert re.search(r"^curl http://localhost:4000/\S+ .*\"fallbacks\"", done.stdout, re.MULTILINE)


def test_what_holds_has_the_status_0() -> None:
    done = run("--from", "litellm", "--callers-trusted", "-", text=CONFIG)
    assert (done.exit_code, done.stdout.split(":")[0]) == (0, "PROVED")
    assert "taken for granted: no caller's body names fallbacks" in done.stdout
    assert run("--from", "llmkube", "-", text=ROUTER).exit_code == 0
    cloud = ROUTER.replace("defaultRoute: own", "defaultRoute: gpt")
    assert run("--from", "llmkube", "-", text=cloud).exit_code == 1


def test_mode_warn_prints_and_exits_0() -> None:
    done = run("--from", "litellm", "--mode", "warn", "-", text=CONFIG)
    assert done.exit_code == 0
    assert done.stdout.startswith("VIOLATED")


def test_machines_get_json_and_sarif(tmp_path: Path) -> None:
    file, sarif = tmp_path / "config.yaml", tmp_path / "out.sarif"
    file.write_text(CONFIG)
    done = run("--from", "litellm", "--json", "--sarif", str(sarif), str(file))
    assert json.loads(done.stdout)["findings"][0]["kind"] == "leak"
    (found,) = json.loads(sarif.read_text())["runs"][0]["results"]
    assert found["ruleId"] == "lockgate/leak"
    assert found["locations"][0]["physicalLocation"]["region"]["startLine"] == 5
    assert "curl http://localhost:4000" in found["message"]["text"]


LIST = "router_settings:\n  fallbacks: "
BAD_CONFIGS = [
    ("models: []", "model_list: is no list of models; write `model_list:`"),
    (
        CONFIG + LIST + "{ qwen: [gpt] }",
        "router_settings.fallbacks: is no list: LiteLLM does not start with it; write `fallbacks: [{ MODEL: [OTHER] }]`",
    ),
    (CONFIG + LIST + "[{ qwen: [gpt], gpt: [qwen] }]", "fallbacks[0]: is not one model with its"),
    (CONFIG + LIST + "[{ qwen: gpt }]", "fallbacks[0]: 'qwen' has no list of models"),
    (CONFIG + LIST + "[{ qwen: [7] }]", "fallbacks[0]: 7 names no model"),
    (
        CONFIG + "litellm_settings: { default_fallbacks: gpt }",
        "litellm_settings.default_fallbacks: is no list; write `default_fallbacks: [MODEL]`",
    ),
    (CONFIG + "router_settings: { model_group_alias: [a] }", "model_group_alias: is no mapping"),
    (
        CONFIG + "router_settings: { model_group_alias: { a: 7 } }",
        "model_group_alias.a: names no model",
    ),
    (CONFIG + "router_settings: { max_fallbacks: many }", "'many' is no number of fallbacks"),
    (CONFIG + "router_settings: { plugins: [a.b] }", "router_settings.plugins: is not read; one's"),
    (CONFIG + "include: [more.yaml]", "include: is not read; what other files say is not read"),
    ("model_list: [{ model_name: a }]", "model_list[0]: has no model_name, or no litellm_params"),
    (
        "model_list: [{ model_name: a, litellm_params: { model: openai/gpt-4o } }]",
        "no model has local deployments only; pass --tier NAME=local",
    ),
    ("model_list: [", "-:2: (document): is not YAML"),
]


@pytest.mark.parametrize(("text", "said"), BAD_CONFIGS)
def test_a_config_that_cannot_be_read_is_refused_with_place_and_mend(text: str, said: str) -> None:
    done = run("--from", "litellm", "-", text=text)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stdout == ""


BAD_LINES = [
    (["--from", "litellm", "--tier", "none=local"], "--tier names nothing called 'none'"),
    (["--from", "litellm", "--tier", "gpt=local"], "it is a provider's own address; pass --tier"),
    (["--from", "litellm", "--tier", "gpt=here"], "is not NAME=local or NAME=cloud"),
    (["--from", "litellm", "--local", "none"], "--local names no model 'none'; name one of qwen"),
    (["--from", "nginx"], "'nginx' is not one of"),
    (["--from", "litellm", "--strict"], "are for policies, not for --from"),
    (["--local", "qwen"], "--tier, --local and --callers-trusted go with --from"),
    (["--callers-trusted"], "go with --from"),
    (["--from", "llmkube", "--local", "qwen"], "are LiteLLM's: LLMKube has labels"),
    (["--from", "llmkube"], "has no objects of kind ModelRouter"),
]


@pytest.mark.parametrize(("line", "said"), BAD_LINES)
def test_a_line_that_asks_for_what_is_not_there_is_refused(line: list[str], said: str) -> None:
    done = run(*line, "-", text=CONFIG)
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_file_that_is_not_there_is_named() -> None:
    done = run("--from", "litellm", "/nowhere/config.yaml")
    assert done.exit_code == 2
    assert "/nowhere/config.yaml" in done.stderr
