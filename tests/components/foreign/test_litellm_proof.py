"""What is proved of a LiteLLM config: each of LiteLLM's own habits that a leak may hang on.

Every line of the tables was seen in LiteLLM 1.110.2; test_real_litellm.py holds the proof to it.
"""

import json
from typing import Any

import pytest
from lockgate.policy.reading.document import from_plain
from lockgate.policy.reading.problem import PolicyRefusedError
from pulumi_lockgate.foreign.check import Asked, check_foreign
from pulumi_lockgate.foreign.litellm.config import Config, read
from pulumi_lockgate.foreign.litellm.lookup import Names
from pulumi_lockgate.foreign.litellm.prove import prove_litellm
from pulumi_lockgate.foreign.litellm.walk import Walk
from pulumi_lockgate.foreign.report import ForeignReport

LOCAL = {"model": "hosted_vllm/m", "api_base": "http://10.0.0.1:8000/v1"}
CLOUD = {"model": "openai/gpt-4o"}
Plain = dict[str, Any]


def entry(group: str, params: Plain, **more: Any) -> Plain:
    return {"model_name": group, "litellm_params": {**params, **more}}


QWEN, LLAMA, GPT = entry("qwen", LOCAL), entry("llama", LOCAL), entry("gpt", CLOUD)
BOTH = [QWEN, LLAMA, GPT]


def config_of(models: list[Plain], router: Plain | None = None, **more: Any) -> Config:
    plain = {"model_list": models, "router_settings": router or {}, **more}
    return read((from_plain(plain),), "config.yaml", {})


def trusting(models: list[Plain], router: Plain | None = None, **more: Any) -> ForeignReport:
    """Return the proof of what the config does by itself."""
    return prove_litellm(config_of(models, router, **more), callers_route=False)


def leaking(report: ForeignReport) -> list[str]:
    return [found.subject for found in report.findings if found.kind == "leak"]


PROCESS = {"litellm_settings": {"fallbacks": [{"qwen": ["gpt"]}]}}
ALIASES = {"model_group_alias": {"fast": "qwen"}}
ROUTES: list[tuple[str, list[Plain], Plain, Plain, list[str]]] = [
    ("no fallback", BOTH, {}, {}, []),
    ("a fallback", BOTH, {"fallbacks": [{"qwen": ["gpt"]}]}, {}, ["qwen"]),
    ("of the process", BOTH, {}, PROCESS, ["qwen"]),
    ("the router's list counts alone", BOTH, {"fallbacks": [{"gpt": ["qwen"]}]}, PROCESS, []),
    ("an empty one does not", BOTH, {"fallbacks": []}, PROCESS, ["qwen"]),
    ("default_fallbacks are every model's", BOTH, {"default_fallbacks": ["gpt"]}, {}, ["qwen", "llama"]),
    ("not of one with its own", BOTH, {"fallbacks": [{"qwen": ["llama"]}, {"llama": ["qwen"]}], "default_fallbacks": ["gpt"]}, {}, []),
    ("the last star counts", BOTH, {"fallbacks": [{"*": ["gpt"]}, {"*": ["llama"]}]}, {}, []),
    ("the first of a name counts", BOTH, {"fallbacks": [{"qwen": ["llama"]}, {"qwen": ["gpt"]}, {"llama": []}]}, {}, []),
    ("from one to the next", BOTH, {"fallbacks": [{"qwen": ["llama"]}, {"llama": ["gpt"]}]}, {}, ["qwen", "llama"]),
    ("no further than max_fallbacks", BOTH, {"fallbacks": [{"qwen": ["llama"]}, {"llama": ["gpt"]}], "max_fallbacks": 1}, {}, ["llama"]),
    ("those beside it count as deep", BOTH, {"fallbacks": [{"qwen": ["x", "llama"]}, {"llama": ["gpt"]}], "max_fallbacks": 2}, {}, ["llama"]),
    ("none at all", BOTH, {"fallbacks": [{"qwen": ["gpt"]}], "max_fallbacks": 0}, {}, []),
    ("a prompt too long", BOTH, {"context_window_fallbacks": [{"qwen": ["gpt"]}]}, {}, ["qwen"]),
    ("content refused", BOTH, {"content_policy_fallbacks": [{"qwen": ["gpt"]}]}, {}, ["qwen"]),
    ("an alias has no fallbacks of its model's", BOTH, {**ALIASES, "fallbacks": [{"qwen": ["gpt"]}]}, {}, ["qwen"]),
    ("but its own", BOTH, {**ALIASES, "fallbacks": [{"fast": ["gpt"]}]}, {}, ["fast"]),
    ("an alias before the model", BOTH, {"model_group_alias": {"qwen": "gpt"}}, {}, ["qwen"]),
    ("a hidden one too", BOTH, {"model_group_alias": {"qwen": {"model": "gpt", "hidden": True}}}, {}, ["qwen"]),
    ("a renaming before both", BOTH, {}, {"litellm_settings": {"model_alias_map": {"qwen": "gpt"}}}, ["qwen"]),
    ("a fallback by an alias", BOTH, {"model_group_alias": {"x": "gpt"}, "fallbacks": [{"qwen": ["x"]}]}, {}, ["qwen"]),
    ("by a deployment's model", BOTH, {"fallbacks": [{"qwen": ["openai/gpt-4o"]}]}, {}, ["qwen"]),
    ("by a pattern", [QWEN, entry("o*", CLOUD)], {"fallbacks": [{"qwen": ["opus"]}]}, {}, ["qwen"]),
    ("the longest pattern", [QWEN, entry("*", CLOUD), entry("o*", LOCAL)], {"fallbacks": [{"qwen": ["opus"]}]}, {}, []),
    ("a name of nobody is every model's first", BOTH, {"fallbacks": [{"qwen": ["typo"]}, {"llama": []}, {"*": ["gpt"]}]}, {}, ["qwen"]),
    ("as the parameters of a call", BOTH, {"fallbacks": [{"qwen": [{"model": "gpt"}]}]}, {}, ["qwen"]),
    ("which bring an address", BOTH, {"fallbacks": [{"qwen": [{"model": "llama", "api_base": "https://a.example.com"}]}]}, {}, ["qwen"]),
    ("a key without its provider", [entry("openai/q", LOCAL), GPT], {"fallbacks": [{"q": ["gpt"]}]}, {}, ["openai/q"]),
    ("a blocked deployment is asked for nothing", [QWEN, {**GPT, "model_info": {"blocked": True}}], {"fallbacks": [{"qwen": ["gpt"]}]}, {}, []),
    ("blocked elsewhere it is not", [QWEN, entry("gpt", CLOUD, blocked=True)], {"fallbacks": [{"qwen": ["gpt"]}]}, {}, ["qwen"]),
    ("Ollama's own cloud", [QWEN, entry("o", {"model": "ollama/gpt-oss:120b-cloud"})], {"fallbacks": [{"qwen": ["o"]}]}, {}, ["qwen"]),
    ("an Ollama here", [QWEN, entry("o", {"model": "ollama/gpt-oss"})], {"fallbacks": [{"qwen": ["o"]}]}, {}, []),
]  # fmt: skip


@pytest.mark.parametrize(("models", "router", "more", "wanted"), [r[1:] for r in ROUTES], ids=[r[0] for r in ROUTES])  # fmt: skip
def test_a_config_leaks_where_litellm_goes_on_to_a_cloud(
    models: list[Plain], router: Plain, more: Plain, wanted: list[str]
) -> None:
    assert leaking(trusting(models, router, **more)) == wanted


def test_a_callers_own_fallbacks_leak_wherever_there_is_a_cloud() -> None:
    report = prove_litellm(config_of(BOTH))
    (leak,) = report.findings
    assert leak.example is not None
    assert leak.example.body["fallbacks"] == ["gpt"]
    assert json.loads(leak.example.curl().split(" -d ")[1].strip("'")) == leak.example.body
    assert prove_litellm(config_of([QWEN, LLAMA])).proved
    assert trusting(BOTH).proved


def test_they_bring_their_own_depth_where_the_config_allows_none() -> None:
    (leak,) = prove_litellm(config_of([QWEN, GPT], {"max_fallbacks": 0})).findings
    assert leak.example is not None
    assert leak.example.body["max_fallbacks"] == 1


def test_what_hangs_on_litellms_own_table_is_no_proof() -> None:
    models = [QWEN, entry("openai/*", CLOUD)]
    (found,) = trusting(models, {"fallbacks": [{"qwen": ["gpt-4o"]}]}).findings
    assert (found.kind, found.example) == ("undecided", None)


def test_no_server_says_that_the_prompt_was_too_long_for_a_name_of_nobody() -> None:
    lists = {"fallbacks": [{"qwen": ["none"]}], "context_window_fallbacks": [{"none": ["gpt"]}]}
    assert trusting([QWEN, GPT], lists).proved
    served = trusting([QWEN, GPT, entry("openai/*", LOCAL)], lists)
    kinds = {found.subject: found.kind for found in served.findings}
    assert kinds["qwen"] == "undecided"  # `openai/*` may serve it, if LiteLLM knows it for openai's


def test_the_reader_may_name_what_must_stay_local() -> None:
    mixed = config_of([entry("work", LOCAL), entry("work", CLOUD), QWEN])
    assert prove_litellm(mixed, callers_route=False).sensitive == ("qwen",)
    named = prove_litellm(mixed, ("wor*",), callers_route=False)
    assert (named.sensitive, leaking(named)) == (("work",), ["work"])


def test_a_pattern_is_asked_for_by_the_names_that_have_fallbacks() -> None:
    report = trusting([entry("own/*", LOCAL), GPT], {"fallbacks": [{"own/a": ["gpt"]}]})
    assert leaking(report) == ["own/a"]


def test_a_master_key_stands_in_the_curl_line_as_a_variable() -> None:
    (leak,) = prove_litellm(
        config_of([QWEN, GPT], general_settings={"master_key": "sk-1"})
    ).findings
    assert leak.example is not None
    assert '-H "authorization: Bearer $LITELLM_KEY"' in leak.example.curl()
    assert "sk-1" not in leak.example.curl()


def test_embeddings_are_asked_for_at_their_own_door() -> None:
    embeds = {**QWEN, "model_info": {"mode": "embedding"}}
    (leak,) = prove_litellm(config_of([embeds, GPT])).findings
    assert leak.example is not None
    assert leak.example.url.endswith("/v1/embeddings")
    assert "input" in leak.example.body


def test_the_names_that_are_asked_stand_in_litellms_order() -> None:
    config = config_of(
        BOTH, {"fallbacks": [{"qwen": ["llama", "gpt"]}, {"llama": ["gpt", "qwen"]}]}
    )
    walk = Walk(config, config.lists, "qwen", config.most_hops)
    assert walk.tried({}) == ["qwen", "llama", "gpt"]
    assert Names(config).meaning("llama").via == "model_name llama"


def test_a_report_has_its_data_for_machines() -> None:
    source = json.dumps({"model_list": [QWEN, GPT]}).encode()
    report = check_foreign("litellm", "config.yaml", source, Asked({}))
    document = report.to_dict()
    assert document["proved"] is False
    assert document["findings"][0]["curl"].startswith("curl http://localhost:4000/v1/")
    assert document["sensitive"] == ("qwen",)


@pytest.mark.parametrize("local", [("nobody",), ("n*",)])
def test_a_name_of_nobody_is_refused(local: tuple[str, ...]) -> None:
    with pytest.raises(PolicyRefusedError, match="names no model"):
        prove_litellm(config_of(BOTH), local)
