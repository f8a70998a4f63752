"""What import makes of a LiteLLM config: groups, fallbacks, tiers, keys, and what is not carried."""

import json
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from lockgate.cli.main import cli
from lockgate.policy.deciding.decide import decide
from lockgate.policy.deciding.decision import Request, Route
from lockgate.policy.reading.document import parse
from lockgate.policy.reading.problem import PolicyRefusedError
from pulumi_lockgate.convert.difference import Imported
from pulumi_lockgate.convert.litellm.config import import_litellm
from pulumi_lockgate.convert.llmkube.router import load_imported

LOCAL = "http://qwen.models.svc:8000/v1"


def entry(group: str, model: str, **params: Any) -> dict[str, Any]:
    return {"model_name": group, "litellm_params": {"model": model, **params}}


GPT = entry("gpt-4", "openai/gpt-4o", api_key="os.environ/OPENAI_API_KEY")
QWEN = entry("qwen", "hosted_vllm/qwen3", api_base=LOCAL)


def take(*models: dict[str, Any], tiers: dict[str, str] | None = None, **more: Any) -> Imported:
    text = yaml.safe_dump({"model_list": list(models), **more}, sort_keys=False)
    there = {model["model_name"] for model in models}
    both = {"gpt-4": "cloud", "qwen": "local"} if tiers is None else tiers
    stated = {name: tier for name, tier in both.items() if name in there}
    return import_litellm(parse(text.encode(), "config.yaml"), "config.yaml", stated)


def candidates(imported: Imported, model: str, *labels: str) -> list[str]:
    headers = {"x-llmkube-classification": labels} if labels else {}
    decision = decide(load_imported(imported), Request(model, headers))
    return [b.name for b in decision.candidates] if isinstance(decision, Route) else []


def backend(imported: Imported, number: int = 0) -> dict[str, Any]:
    load_imported(imported)
    found: dict[str, Any] = imported.config["lockgate:router"]["backends"][number]
    return found


def test_a_group_goes_to_its_deployments_then_to_those_of_its_fallbacks() -> None:
    imported = take(
        GPT, QWEN, entry("qwen", "ollama/qwen3", api_base="http://10.0.0.4:11434"),
        router_settings={"fallbacks": [{"gpt-4": ["qwen"]}], "model_group_alias": {"fast": "qwen"}},
    )  # fmt: skip
    assert candidates(imported, "gpt-4") == ["gpt-4", "qwen", "qwen-2"]
    assert candidates(imported, "qwen") == candidates(imported, "fast") == ["qwen", "qwen-2"]
    assert candidates(imported, "gpt-5") == []
    assert backend(imported, 2)["external"]["url"] == "http://10.0.0.4:11434/v1"


def test_what_is_sensitive_meets_local_backends_only_and_the_policy_is_proved() -> None:
    imported = take(GPT, QWEN)
    assert candidates(imported, "gpt-4", "pii") == ["qwen"]
    assert candidates(imported, "gpt-4", "typo") == ["qwen"]


def test_several_deployments_are_spread_by_weight_unless_there_are_fallbacks() -> None:
    two = (QWEN, entry("qwen", "hosted_vllm/qwen3", api_base=LOCAL, weight=3))
    rules = take(*two).config["lockgate:router"]["rules"]
    assert rules[1]["route"] == {"backends": ["qwen", "qwen-2"], "strategy": "weighted"}
    assert [backend(take(*two), n).get("weight") for n in (0, 1)] == [None, 3]
    both = take(*two, GPT, litellm_settings={"fallbacks": [{"qwen": ["gpt-4"]}]})
    assert "strategy" not in both.config["lockgate:router"]["rules"][1]["route"]
    assert any("asked in order, not spread" in d.message for d in both.differences)


def test_a_tier_cannot_be_known_and_is_asked_for_with_both_lines() -> None:
    imported = take(GPT, QWEN, tiers={"qwen": "local"})
    (problem,) = imported.refused
    assert (problem.path, problem.line) == ("model_list[0]", 2)
    assert problem.suggestion == "pass --tier gpt-4=local or --tier gpt-4=cloud"
    with pytest.raises(PolicyRefusedError):
        load_imported(imported)


def test_default_fallbacks_are_for_groups_without_their_own() -> None:
    imported = take(GPT, QWEN, litellm_settings={"default_fallbacks": ["qwen"]})
    assert candidates(imported, "gpt-4") == ["gpt-4", "qwen"]
    assert candidates(imported, "qwen") == ["qwen"]


def test_a_key_is_never_copied() -> None:
    literal = entry("gpt-4", "openai/gpt-4o", api_key="sk-CANARY")
    imported = take(literal, QWEN, general_settings={"master_key": "sk-CANARY"})
    assert "CANARY" not in str(imported)
    assert backend(imported)["external"]["credentialsSecretRef"] == {"name": "gpt-4-key"}
    assert backend(take(GPT))["external"]["credentialsSecretRef"] == {"name": "openai-api-key"}
    assert "credentialsSecretRef" not in backend(take(QWEN))["external"]


@pytest.mark.parametrize(
    ("model", "params", "external"),
    [
        ("gpt-4o", {}, {"provider": "openai", "model": "gpt-4o"}),
        ("claude-opus-4-7", {}, {"provider": "anthropic", "model": "claude-opus-4-7"}),
        ("anthropic/claude", {"api_base": "https://a.example.com/v1"}, {"provider": "anthropic", "model": "claude", "url": "https://a.example.com"}),
        ("groq/llama", {}, {"provider": "openai", "model": "llama", "url": "https://api.groq.com/openai/v1"}),
        ("openrouter/anthropic/claude", {}, {"provider": "openai", "model": "anthropic/claude", "url": "https://openrouter.ai/api/v1"}),
        ("litellm_proxy/x", {"api_base": "https://l.example.com"}, {"provider": "litellm", "model": "x", "url": "https://l.example.com"}),
    ],
)  # fmt: skip
def test_each_provider_is_spoken_to_as_ours(model: str, params: Any, external: Any) -> None:
    found = backend(take(entry("gpt-4", model, **params)))["external"]
    found.pop("credentialsSecretRef", None)
    assert found == external


@pytest.mark.parametrize(
    ("model", "params", "place", "words"),
    [
        ("bedrock/claude", {}, "model", "keep LiteLLM before it"),
        ("azure/gpt-4", {"api_base": "https://x"}, "model", "does not speak to that provider"),
        ("mystery-model", {}, "model", "does not speak to that provider"),
        ("openai/*", {}, "model", "write an entry for each model"),
        ("hosted_vllm/q", {}, "api_base", "is missing"),
        ("openai/q", {"api_base": "os.environ/BASE"}, "api_base", "write the address itself"),
        ("openai/q", {"tags": ["eu"]}, "tags", "deployments by tag"),
        ("openai/q", {"region_name": "eu"}, "region_name", "deployments by region"),
        ("openai/q", {"timeout": "os.environ/T"}, "timeout", "is not seconds"),
        ("openai/q", {"weight": "much"}, "weight", "is not a whole number"),
    ],
)
def test_what_cannot_be_carried_is_refused_by_name(
    model: str, params: Any, place: str, words: str
) -> None:
    (problem,) = take(entry("gpt-4", model, **params), tiers={"gpt-4": "cloud"}).refused
    assert problem.path == f"model_list[0].litellm_params.{place}"
    assert words in f"{problem.message}; {problem.suggestion}"


@pytest.mark.parametrize(
    "more",
    [
        {"guardrails": [{"guardrail_name": "pii"}]},
        {"include": ["other.yaml"]},
        {"litellm_settings": {"guardrails": [{"pii": {}}]}},
        {"router_settings": {"enable_tag_filtering": True}},
        {"router_settings": {"fallbacks": [{"gpt-4": ["nobody"]}]}},
        {"router_settings": {"fallbacks": {"gpt-4": "qwen"}}},
        {"router_settings": {"model_group_alias": {"a": "nobody"}}},
    ],
)
def test_a_setting_whose_loss_could_matter_is_refused(more: Any) -> None:
    assert take(GPT, QWEN, **more).refused


def test_every_other_setting_is_listed_and_never_dropped_in_silence() -> None:
    more = {
        "litellm_settings": {"drop_params": True, "cache": True, "request_timeout": 600},
        "router_settings": {"routing_strategy": "least-busy", "num_retries": 2, "redis_host": "r"},
        "general_settings": {"master_key": "k", "database_url": "postgresql://x"},
        "environment_variables": {"A": "b"},
    }
    imported = take({**GPT, "rpm": 3}, QWEN, **more)
    said = {d.path for d in imported.differences}
    for section, held in more.items():
        names = (
            {section} if section == "environment_variables" else {f"{section}.{n}" for n in held}
        )
        assert names <= said
    assert "model_list[0].rpm" in said
    router = imported.config["lockgate:router"]
    assert router["proxy"]["timeouts"] == {"total": "600s"}


def test_deadlines_of_a_deployment_are_the_backend_s() -> None:
    found = backend(take(entry("gpt-4", "openai/x", timeout=5, stream_timeout=0.5)))
    assert found["timeouts"] == {"total": "5s", "firstToken": "0.5s"}


def test_what_is_not_for_chat_is_left_out_with_its_fallbacks() -> None:
    embed = {**entry("embed", "openai/e"), "model_info": {"mode": "embedding"}}
    fallbacks = {"fallbacks": [{"embed": ["embed-2"]}]}
    imported = take(GPT, embed, tiers={"gpt-4": "cloud"}, router_settings=fallbacks)
    assert not imported.refused
    assert [b["name"] for b in imported.config["lockgate:router"]["backends"]] == ["gpt-4"]


@pytest.mark.parametrize(
    "text", [b"", b"model_list: []\n", b"a: 1\n", b"model_list: [1]\n", b"- a\n"]
)
def test_what_is_no_config_is_refused(text: bytes) -> None:
    with pytest.raises(PolicyRefusedError, match="is no list of models"):
        import_litellm(parse(text, "c.yaml"), "c.yaml")


groups = st.sampled_from(["a", "b[1]?", "c/d", "E"])


@given(
    st.lists(groups, min_size=1, max_size=5),
    st.dictionaries(groups, st.lists(groups, max_size=2), max_size=3),
    st.sets(groups),
    groups,
)
def test_a_request_reaches_its_group_and_its_fallbacks_and_nothing_else(
    listed: list[str], fallbacks: dict[str, list[str]], local: set[str], asked: str
) -> None:
    tiers = {group: "local" if group in local else "cloud" for group in listed}
    urls = {"local": LOCAL, "cloud": "https://x.example.com/v1"}
    models = [entry(group, "openai/m", api_base=urls[tiers[group]]) for group in listed]
    stated = {g: [o for o in others if o in tiers] for g, others in fallbacks.items() if g in tiers}
    imported = take(*models, tiers=tiers, router_settings={"fallbacks": [stated]})
    assert not imported.refused
    names = [b["name"] for b in imported.config["lockgate:router"]["backends"]]
    group_of = dict(zip(names, listed, strict=True))
    wanted = {asked, *stated.get(asked, [])} if asked in tiers else set()
    assert {group_of[name] for name in candidates(imported, asked)} == wanted
    assert all(tiers[group_of[name]] == "local" for name in candidates(imported, asked, "phi"))


def test_through_the_command(tmp_path: Any) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"model_list": [GPT, QWEN]}))
    line = ["import", "--from", "litellm", str(file), "--tier", "gpt-4=cloud"]
    refused = CliRunner().invoke(cli, line)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "refused: LiteLLM does not say whether it is local" in refused.stderr
    done = CliRunner().invoke(cli, [*line, "--tier", "qwen=local"])
    stack = tmp_path / "Pulumi.x.yaml"
    stack.write_text(done.stdout)
    checked = CliRunner().invoke(cli, ["check", str(stack), "--json"])
    assert (checked.exit_code, json.loads(checked.stdout)["proved"]) == (0, True), checked.output
