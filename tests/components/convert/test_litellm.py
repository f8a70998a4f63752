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
from pulumi_lockgate.convert.llmkube.router import load_written
from pulumi_lockgate.proof.checks import prove

LOCAL = "http://qwen.models.svc:8000/v1"


def entry(group: str, model: str, **params: Any) -> dict[str, Any]:
    return {"model_name": group, "litellm_params": {"model": model, **params}}


GPT = entry("gpt-4", "openai/gpt-4o", api_key="os.environ/OPENAI_API_KEY")
QWEN = entry("qwen", "hosted_vllm/qwen3", api_base=LOCAL)


def take(*models: dict[str, Any], tiers: dict[str, str] | None = None, **more: Any) -> Imported:
    text = yaml.safe_dump({"model_list": list(models), **more}, sort_keys=False)
    return import_litellm(parse(text.encode(), "config.yaml"), "config.yaml", tiers or {})


def candidates(imported: Imported, model: str, *labels: str) -> list[str]:
    headers = {"x-llmkube-classification": labels} if labels else {}
    decision = decide(load_written(imported), Request(model, headers))
    return [b.name for b in decision.candidates] if isinstance(decision, Route) else []


def backend(imported: Imported, number: int = 0) -> dict[str, Any]:
    load_written(imported)
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
    refusing = take(GPT)
    assert candidates(refusing, "gpt-4", "pii") == []
    assert prove(load_written(refusing)).proved
    assert candidates(imported, "gpt-4", "typo") == ["qwen"]


def rule_of(imported: Imported, name: str) -> dict[str, Any]:
    rules = imported.config["lockgate:router"]["rules"]
    found: dict[str, Any] = next(rule for rule in rules if rule["name"] == name)
    return found


def left_out(imported: Imported) -> dict[str, str]:
    return {d.path: d.message for d in imported.differences if d.kind == "left out"}


def own(group: str, host: str = "10.0.0.4", **params: Any) -> dict[str, Any]:
    return entry(group, "hosted_vllm/m", api_base=f"http://{host}/v1", **params)


def cloud(group: str, **params: Any) -> dict[str, Any]:
    return entry(group, "openai/m", **params)


# -- groups, order, weights


def test_several_deployments_are_spread_by_weight_unless_there_are_fallbacks() -> None:
    two = (QWEN, entry("qwen", "hosted_vllm/qwen3", api_base=LOCAL, weight=3))
    imported = take(*two)
    assert rule_of(imported, "qwen")["route"] == {
        "backends": ["qwen", "qwen-2"],
        "strategy": "weighted",
    }
    assert [backend(imported, n).get("weight") for n in (0, 1)] == [0, None], "LiteLLM: 0 and all"
    both = take(*two, GPT, litellm_settings={"fallbacks": [{"qwen": ["gpt-4"]}]})
    assert rule_of(both, "qwen")["route"] == {"backends": ["qwen", "qwen-2", "gpt-4"]}
    assert any("asked in order, not spread" in d.message for d in both.differences)


@pytest.mark.parametrize(
    ("params", "weights"),
    [
        ([{}, {}], [1, 1]),
        ([{"weight": 1}, {"weight": 3}], [1, 3]),
        ([{"weight": 0.5}, {"weight": 1.5}], [1, 3]),
        ([{"rpm": 60}, {"rpm": 600}], [1, 10]),
        ([{"tpm": 5}, {"tpm": 5}], [1, 1]),
        ([{"weight": 2, "rpm": 9}, {"weight": 1, "rpm": 900}], [2, 1]),
        ([{"rpm": 9}, {}], [1, 0]),
    ],
)
def test_weight_then_rpm_then_tpm_are_weights(params: Any, weights: list[int]) -> None:
    imported = take(*(own("a", **p) for p in params))
    assert [backend(imported, n).get("weight", 1) for n in range(len(params))] == weights


def test_by_another_strategy_than_simple_shuffle_there_are_no_weights() -> None:
    imported = take(
        own("a", rpm=1), own("a", rpm=9), router_settings={"routing_strategy": "least-busy"}
    )
    assert [backend(imported, n).get("weight") for n in (0, 1)] == [None, None]


def test_order_is_order_and_what_has_none_comes_last() -> None:
    imported = take(cloud("a", order=2), own("a", order=1), own("a"))
    assert rule_of(imported, "a")["route"] == {"backends": ["a-2", "a", "a-3"]}


def test_where_deployments_are_asked_in_order_local_ones_are_first() -> None:
    imported = take(cloud("a"), own("a"), own("b"), router_settings={"fallbacks": [{"a": ["b"]}]})
    assert rule_of(imported, "a")["route"]["backends"] == ["a-2", "a", "b"]


# -- aliases, fallbacks, wildcards


def test_an_alias_is_looked_at_before_the_models() -> None:
    imported = take(
        GPT, QWEN, router_settings={"model_group_alias": {"gpt-4": "qwen", "x": {"model": "qwen"}}}
    )
    assert candidates(imported, "gpt-4") == candidates(imported, "x") == ["qwen"]
    assert any("its own deployments are not asked" in d.message for d in imported.differences)


def test_an_alias_of_nobody_is_left_out_and_its_name_refused() -> None:
    imported = take(GPT, QWEN, router_settings={"model_group_alias": {"gpt-4": "nobody"}})
    assert left_out(imported).keys() == {"router_settings.model_group_alias.gpt-4"}
    assert candidates(imported, "gpt-4") == []


def test_default_fallbacks_and_a_star_are_for_groups_without_their_own() -> None:
    for more in ({"default_fallbacks": ["qwen"]}, {"fallbacks": [{"*": ["qwen"]}]}):
        imported = take(GPT, cloud("b"), QWEN, litellm_settings=more)
        assert candidates(imported, "gpt-4") == ["gpt-4", "qwen"]
        assert candidates(imported, "qwen") == ["qwen"]
    both = [{"*": ["qwen"]}, {"gpt-4": ["b"]}]
    imported = take(GPT, cloud("b"), QWEN, router_settings={"fallbacks": both})
    assert candidates(imported, "gpt-4") == ["gpt-4", "b"]


def test_the_router_s_own_fallbacks_are_used_and_a_default_counts_before_a_star() -> None:
    imported = take(
        GPT, cloud("b"), QWEN,
        router_settings={"fallbacks": [{"gpt-4": ["qwen"]}, {"*": ["gpt-4"]}]},
        litellm_settings={"fallbacks": [{"gpt-4": ["b"]}], "default_fallbacks": ["b"]},
    )  # fmt: skip
    assert candidates(imported, "gpt-4") == ["gpt-4", "qwen"]
    assert candidates(imported, "qwen") == ["qwen", "b"]
    assert any("is not used, as there" in d.message for d in imported.differences)


def test_of_an_entry_with_two_names_litellm_reads_the_first() -> None:
    two = [{"gpt-4": ["qwen"], "b": ["qwen"]}]
    imported = take(GPT, cloud("b"), QWEN, router_settings={"fallbacks": two})
    assert (candidates(imported, "gpt-4"), candidates(imported, "b")) == (["gpt-4", "qwen"], ["b"])
    assert any("'b' is not read, as there" in d.message for d in imported.differences)


def test_fallbacks_are_looked_up_by_the_name_that_is_asked_for_so_a_pattern_has_none() -> None:
    after = [{"gpt-4*": ["b"]}, {"*": ["b"]}, {"*": ["c"]}]
    imported = take(own("gpt-4*"), own("b"), own("c"), router_settings={"fallbacks": after})
    assert candidates(imported, "gpt-4o") == ["gpt-4", "c"], "of several stars the last"
    imported = take(own("gpt-4*"), own("b"), router_settings={"fallbacks": after[:1]})
    assert candidates(imported, "gpt-4o") == ["gpt-4"]


def test_a_name_that_a_pattern_takes_may_have_fallbacks_of_its_own() -> None:
    after = [{"gpt-4o": ["b"]}, {"*": ["c"]}]
    imported = take(own("gpt-*"), own("b"), own("c"), router_settings={"fallbacks": after})
    assert candidates(imported, "gpt-4o") == ["gpt", "b"]
    assert candidates(imported, "gpt-5") == ["gpt", "c"]


def test_an_alias_has_the_fallbacks_of_its_own_name_and_no_others() -> None:
    settings = {"model_group_alias": {"fast": "qwen"}, "fallbacks": [{"qwen": ["gpt-4"]}]}
    imported = take(GPT, QWEN, router_settings=settings)
    assert candidates(imported, "qwen") == ["qwen", "gpt-4"]
    assert candidates(imported, "fast") == ["qwen"]


def test_a_fallback_to_a_pattern_is_left_out() -> None:
    imported = take(QWEN, cloud("gpt-*"), router_settings={"fallbacks": [{"qwen": ["gpt-*"]}]})
    assert candidates(imported, "qwen") == ["qwen"]
    assert left_out(imported) == {"router_settings.fallbacks": "'gpt-*' names no one model"}


def test_a_fallback_for_long_prompts_is_carried_where_it_leads_to_no_other_server() -> None:
    def longer(model: dict[str, Any]) -> Imported:
        after = {"context_window_fallbacks": [{"gpt-4": ["long"]}]}
        return take(GPT, model, litellm_settings=after)

    assert candidates(longer(cloud("long")), "gpt-4") == ["gpt-4", "long"]
    assert candidates(longer(own("long")), "gpt-4") == ["gpt-4", "long"]
    elsewhere = longer(entry("long", "groq/m"))
    assert candidates(elsewhere, "gpt-4") == ["gpt-4"]
    assert (
        "for long prompts only" in left_out(elsewhere)["litellm_settings.context_window_fallbacks"]
    )


def test_a_star_with_one_model_behind_it_is_the_default_route() -> None:
    imported = take(GPT, entry("*", "anthropic/claude"))
    assert imported.config["lockgate:router"]["defaultRoute"] == "default"
    assert candidates(imported, "anything/at/all") == ["default"]
    assert candidates(imported, "gpt-4") == ["gpt-4"], "and no fallback"
    assert candidates(imported, "anything", "pii") == []
    assert not imported.refused
    several = take(GPT, entry("*", "anthropic/claude"), entry("*", "groq/x"))
    assert candidates(several, "anything")[1:] != []


def test_a_star_at_the_end_of_a_name_is_a_pattern_and_the_longest_counts() -> None:
    imported = take(own("gpt-*"), cloud("gpt-5*"), entry("*", "groq/x"))
    assert candidates(imported, "gpt-4o") == candidates(imported, "gpt-a/b/c") == ["gpt"]
    assert candidates(imported, "gpt-5-mini") == ["gpt-5"]
    assert candidates(imported, "x") == ["default"]


@pytest.mark.parametrize("lost", [entry("gpt-*", "openai/*"), entry("gpt-*", "bedrock/x")])
def test_what_a_pattern_that_is_left_out_took_does_not_go_on_to_the_next(lost: Any) -> None:
    imported = take(lost, entry("*", "groq/x"))
    assert candidates(imported, "gpt-4o") == []
    assert candidates(imported, "x") == ["default"]


def test_a_star_elsewhere_is_left_out_with_every_shorter_pattern() -> None:
    imported = take(QWEN, cloud("a*mini"), entry("*", "groq/x"))
    assert "a star may stand at the end" in left_out(imported)["model_list[1]"]
    assert candidates(imported, "a-mini") == candidates(imported, "x") == []


# -- what is left out leads nothing elsewhere


def test_what_came_after_a_deployment_that_is_left_out_is_asked_no_sooner() -> None:
    imported = take(
        entry("a", "azure/x"),
        cloud("b"),
        own("c"),
        router_settings={"fallbacks": [{"a": ["b", "c"]}]},
    )
    assert candidates(imported, "a") == ["c"], "local is safer than there"
    assert candidates(imported, "b") == ["b"]
    assert "'a' does not go to b" in left_out(imported)["model_list[0]"]


def test_beside_a_deployment_that_may_have_been_local_no_cloud_one_takes_all() -> None:
    imported = take(entry("a", "openai/x", api_base="os.environ/OWN"), cloud("a"), own("b"))
    assert candidates(imported, "a") == []
    assert rule_of(imported, "a")["route"] == {"refuse": True}
    known = take(entry("a", "azure/x"), cloud("a"), own("b"))
    assert candidates(known, "a") == ["a-2"]


@pytest.mark.parametrize(
    "more",
    [
        {"guardrails": [{"guardrail_name": "pii"}]},
        {"include": ["other.yaml"]},
        {"litellm_settings": {"guardrails": [{"pii": {}}]}},
        {"litellm_settings": {"callbacks": ["presidio"]}},
        {"litellm_settings": {"callbacks": ["prometheus", "my_code.handler"]}},
    ],
)
def test_where_requests_were_checked_no_route_leads_to_a_cloud(more: Any) -> None:
    imported = take(GPT, QWEN, **more)
    assert candidates(imported, "gpt-4") == []
    assert candidates(imported, "qwen") == ["qwen"]
    (message,) = left_out(imported).values()
    assert "no route leads to a cloud backend" in message


def test_a_callback_that_only_looks_on_changes_nothing() -> None:
    imported = take(GPT, litellm_settings={"callbacks": ["prometheus", "langfuse_otel"]})
    assert (left_out(imported), candidates(imported, "gpt-4")) == ({}, ["gpt-4"])


@pytest.mark.parametrize("where", ["entry", "litellm_params", "model_info"])
@pytest.mark.parametrize("name", ["team_id", "supported_environments", "region_name", "guardrails", "mock_response"])  # fmt: skip
def test_a_deployment_that_serves_some_only_is_left_out_by_name(name: str, where: str) -> None:
    model = {**GPT, "litellm_params": {**GPT["litellm_params"]}, "model_info": {}}
    (model if where == "entry" else model[where])[name] = ["x"]
    imported = take(model, QWEN)
    assert f"model_list[0].{name}" in left_out(imported)
    assert candidates(imported, "gpt-4") == []


def test_access_groups_are_named_and_a_blocked_deployment_is_not_served() -> None:
    grouped = take({**GPT, "model_info": {"access_groups": ["hr"]}}, QWEN)
    assert left_out(grouped).keys() == {"model_list[0].model_info.access_groups"}
    assert candidates(grouped, "gpt-4") == ["gpt-4"]
    blocked = take({**GPT, "blocked": True}, QWEN)
    assert (left_out(blocked), candidates(blocked, "gpt-4")) == ({}, [])


def test_tags_restrict_where_they_are_filtered_by() -> None:
    tagged = entry("gpt-4", "openai/x", tags=["eu"])
    assert candidates(take(tagged), "gpt-4") == ["gpt-4"]
    filtered = take(tagged, QWEN, router_settings={"enable_tag_filtering": True})
    assert candidates(filtered, "gpt-4") == []


def test_a_body_that_routes_at_the_provider_is_left_out() -> None:
    routed = entry("gpt-4", "openrouter/x", extra_body={"provider": {"only": ["eu"]}})
    assert "model_list[0].extra_body" in left_out(take(routed, QWEN))
    assert not left_out(take(entry("q", "openai/x", extra_body={"top_k": 1})))


def test_with_guarded_fallbacks_none_leads_to_a_cloud() -> None:
    guarded = {
        "enforce_fallback_model_access": True,
        "allowed_ips": ["10.0.0.1"],
        "master_key": "k",
    }
    imported = take(QWEN, GPT, own("b"), general_settings=guarded, router_settings={"fallbacks": [{"qwen": ["gpt-4", "b"]}]})  # fmt: skip
    assert candidates(imported, "qwen") == ["qwen", "b"]
    assert {f"general_settings.{name}" for name in guarded} <= left_out(imported).keys()


# -- addresses, tiers, keys


def test_entries_at_providers_are_cloud_and_it_is_said_once() -> None:
    imported = take(GPT, cloud("b"), entry("c", "groq/x"))
    assert [backend(imported, n)["tier"] for n in range(3)] == ["cloud"] * 3
    assert sum("own address are tier cloud" in d.message for d in imported.differences) == 1
    assert not imported.refused


def test_a_name_on_its_own_network_is_local_by_a_sentence_to_be_confirmed() -> None:
    imported = take(entry("llama3", "ollama_chat/llama3", api_base="http://ollama:11434"))
    found = backend(imported)
    assert (found["tier"], found["external"]["url"]) == ("local", "http://ollama:11434/v1")
    assert found["attestedLocal"].startswith("written by import, to be confirmed: ")
    assert not imported.refused


def test_local_is_not_believed_of_a_provider_s_own_address() -> None:
    imported = take(GPT, QWEN, tiers={"*": "local"})
    assert "a provider's own address" in left_out(imported)["model_list[0]"]
    assert candidates(imported, "gpt-4") == []


def test_an_address_may_stand_in_a_named_credential_or_a_variable_of_the_file() -> None:
    named = entry("a", "openai/x", litellm_credential_name="own")
    values = {"api_base": "http://10.1.1.1/v1", "api_key": "sk-CANARY"}
    imported = take(
        named, credential_list=[{"credential_name": "own", "credential_values": values}]
    )
    assert (backend(imported)["tier"], backend(imported)["external"]["url"]) == (
        "local",
        "http://10.1.1.1/v1",
    )
    assert "CANARY" not in str(imported)
    variable = entry("a", "openai/x", api_base="os.environ/OWN")
    imported = take(variable, environment_variables={"OWN": "http://10.1.1.2/v1"})
    assert backend(imported)["external"]["url"] == "http://10.1.1.2/v1"


def test_a_key_is_never_copied() -> None:
    literal = entry("gpt-4", "openai/gpt-4o", api_key="sk-CANARY")
    imported = take(literal, QWEN, general_settings={"master_key": "sk-CANARY"})
    assert "CANARY" not in str(imported)
    assert backend(imported)["external"]["credentialsSecretRef"] == {"name": "gpt-4-key"}
    for written in ("os.environ/OPENAI_API_KEY", "${OPENAI_API_KEY}", "${OPENAI_API_KEY:-x}"):
        found = backend(take(entry("gpt-4", "openai/x", api_key=written)))
        assert found["external"]["credentialsSecretRef"] == {"name": "openai-api-key"}
    for keyless in (QWEN, own("a", api_key="EMPTY"), own("a", api_key="none")):
        assert "credentialsSecretRef" not in backend(take(keyless))["external"]


@pytest.mark.parametrize(
    ("model", "params", "external"),
    [
        ("gpt-4o", {}, {"provider": "openai", "model": "gpt-4o"}),
        ("claude-opus-4-7", {}, {"provider": "anthropic", "model": "claude-opus-4-7"}),
        ("anthropic/claude", {"api_base": "https://a.example.com/v1"}, {"provider": "anthropic", "model": "claude", "url": "https://a.example.com"}),
        ("groq/llama", {}, {"provider": "openai", "model": "llama", "url": "https://api.groq.com/openai/v1"}),
        ("gemini/g", {}, {"provider": "openai", "model": "g", "url": "https://generativelanguage.googleapis.com/v1beta/openai"}),
        ("fireworks_ai/q", {}, {"provider": "openai", "model": "accounts/fireworks/models/q", "url": "https://api.fireworks.ai/inference/v1"}),
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
        ("os.environ/MODEL", {}, "model", "is not stated here"),
        ("openai/*", {}, "model", "write an entry for each model"),
        ("*", {}, "model", "behind model_name 'gpt-4', names no one model"),
        ("hosted_vllm/q", {}, "api_base", "is missing"),
        ("openai/q", {"api_base": "os.environ/BASE"}, "api_base", "write the address itself"),
        ("openai/q", {"api_base": "${BASE}"}, "api_base", "write the address itself"),
        ("openai/q", {"api_base": "x.example.com"}, "api_base", "is not an http or https URL"),
        ("gemini/q", {"api_base": "https://x.example.com"}, "api_base", "own dialect"),
        ("openai/q", {"timeout": "os.environ/T"}, "timeout", "is not seconds"),
    ],
)
def test_what_cannot_be_carried_is_left_out_by_name_and_the_rest_is_written(
    model: str, params: Any, place: str, words: str
) -> None:
    imported = take(entry("gpt-4", model, **params), QWEN)
    (problem,) = imported.refused
    assert problem.path == f"model_list[0].litellm_params.{place}"
    assert words in f"{problem.message}; {problem.suggestion}"
    assert candidates(imported, "qwen") == ["qwen"]


def test_where_nothing_can_be_written_there_is_no_config() -> None:
    assert take(entry("a", "bedrock/x")).config == {}


@pytest.mark.parametrize(
    "more",
    [
        {"router_settings": {"fallbacks": [{"gpt-4": ["nobody"]}]}},
        {"router_settings": {"fallbacks": {"gpt-4": "qwen"}}},
        {"router_settings": {"model_group_alias": ["a"]}},
        {"litellm_settings": {"default_fallbacks": "qwen"}},
        {"litellm_settings": {"request_timeout": "long"}},
    ],
)
def test_a_setting_that_cannot_be_read_is_left_out_by_name(more: Any) -> None:
    imported = take(GPT, QWEN, **more)
    assert len(imported.refused) == 1
    assert candidates(imported, "gpt-4") == ["gpt-4"]


def test_every_other_setting_is_listed_and_never_dropped_in_silence() -> None:
    more = {
        "litellm_settings": {"drop_params": True, "cache": True, "request_timeout": 600},
        "router_settings": {"routing_strategy": "least-busy", "num_retries": 2, "redis_host": "r"},
        "general_settings": {"master_key": "k", "database_url": "postgresql://x"},
        "files_settings": {"A": "b"},
    }
    imported = take({**GPT, "rpm": 3}, QWEN, **more)
    said = {d.path for d in imported.differences}
    for section, held in more.items():
        names = {section} if section == "files_settings" else {f"{section}.{n}" for n in held}
        assert names <= said
    assert "model_list[0].rpm" in said


def test_each_entry_has_a_line_and_they_stand_by_weight() -> None:
    imported = take(entry("a", "azure/x"), own("b"), GPT)
    kinds = [d.kind for d in imported.differences]
    assert kinds == sorted(kinds, key=["left out", "changed", "exact"].index)
    assert [d.path for d in imported.differences if d.kind == "exact"] == ["model_list[1]"]
    after = take(own("a"), own("b"), litellm_settings={"fallbacks": [{"a": ["b"]}]})
    assert after.differences[-1].path == "litellm_settings.fallbacks"


def test_timeouts_are_for_the_first_token_the_longer_of_two_and_never_total() -> None:
    found = backend(take(entry("gpt-4", "openai/x", timeout=5, stream_timeout=0.5)))
    assert found["timeouts"] == {"firstToken": "5s"}
    wide = take(QWEN, litellm_settings={"request_timeout": 600}, router_settings={"timeout": 30})
    assert wide.config["lockgate:router"]["proxy"]["timeouts"] == {"firstToken": "600s"}


def test_what_is_not_for_chat_is_left_out_with_its_fallbacks() -> None:
    embed = {**entry("embed", "openai/e"), "model_info": {"mode": "embedding"}}
    fallbacks = {"fallbacks": [{"embed": ["embed-2"]}, {"gpt-4": ["embed"]}]}
    imported = take(GPT, embed, router_settings=fallbacks)
    assert left_out(imported)["model_list[1]"] == "is for embedding, not for chat"
    assert [b["name"] for b in imported.config["lockgate:router"]["backends"]] == ["gpt-4"]
    assert candidates(imported, "gpt-4") == ["gpt-4"]


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
    models = [own(group) if tiers[group] == "local" else cloud(group) for group in listed]
    stated = [
        {g: [o for o in others if o in tiers]} for g, others in fallbacks.items() if g in tiers
    ]
    imported = take(*models, router_settings={"fallbacks": stated})
    assert not imported.refused
    names = {b["name"]: b for b in imported.config["lockgate:router"]["backends"]}
    group_of = {name: b.get("displayName", name) for name, b in names.items()}
    first = {b.get("displayName", name) for name, b in names.items()}
    assert first >= set(listed)
    after = {g: others for one in stated for g, others in one.items()}
    wanted = {asked, *after.get(asked, [])} if asked in tiers else set()
    met = candidates(imported, asked)
    assert {tiers[g] for g in wanted} == {names[name]["tier"] for name in met}
    assert {group_of[name] for name in met if "displayName" in names[name]} <= wanted
    assert all(names[name]["tier"] == "local" for name in candidates(imported, asked, "phi"))


def test_through_the_command(tmp_path: Any) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"model_list": [GPT, QWEN, entry("x", "bedrock/x")]}))
    done = CliRunner().invoke(
        cli, ["import", str(file), "--tier", "*=cloud", "--tier", "qwen=local"]
    )
    assert done.exit_code == 3, "the format is recognised, and something is left out"
    assert "left out: 'bedrock/x': Lockgate does not speak to that provider" in done.stderr
    assert "PROVED: " in done.stderr
    stack = tmp_path / "Pulumi.x.yaml"
    stack.write_text(done.stdout)
    checked = CliRunner().invoke(cli, ["check", str(stack), "--json"])
    assert (checked.exit_code, json.loads(checked.stdout)["proved"]) == (0, True), checked.output
    file.write_text(yaml.safe_dump({"model_list": [GPT, QWEN]}))
    assert CliRunner().invoke(cli, ["import", str(file)]).exit_code == 0
