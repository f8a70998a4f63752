"""What import does, by the numbers of docs/guides/import.md."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from lockgate.policy.reading.document import parse
from lockgate.policy.reading.problem import PolicyRefusedError
from pulumi_lockgate.convert.difference import Difference, Imported
from pulumi_lockgate.convert.llmkube.router import (
    POINTS,
    import_router,
    load_imported,
    load_written,
)

SAMPLES = Path(__file__).parent / "samples"
BASE: dict[str, Any] = {
    "backends": [
        {"name": "near", "inferenceServiceRef": {"name": "phi.4"}},
        {"name": "far", "tier": "cloud", "external": {"provider": "openai", "model": "gpt-5"}},
    ],
    "rules": [
        {"name": "keep", "match": {"dataClassification": ["pii", "phi"]}, "route": {"backends": ["near"]}, "failClosed": True},
        {"name": "hard", "match": {"taskComplexity": "complex"}, "route": {"backends": ["far", "near"]}, "failClosed": True},
    ],
    "defaultRoute": "near",
}  # fmt: skip


def manifest(spec: dict[str, Any], **metadata: Any) -> bytes:
    head = {"apiVersion": "inference.llmkube.dev/v1alpha1", "kind": "ModelRouter"}
    document = {**head, "metadata": {"name": "r", "namespace": "n", **metadata}, "spec": spec}
    return yaml.dump(document, Dumper=_Plain, sort_keys=False).encode()


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def changed(**changes: Any) -> dict[str, Any]:
    """Return the base with `backends_0`, `rules_1` and so on merged in, others replaced."""
    spec = {**BASE, "backends": [*BASE["backends"]], "rules": [*BASE["rules"]]}
    for key, value in changes.items():
        name, _, number = key.partition("_")
        if number:
            spec[name][int(number)] = {**spec[name][int(number)], **value}
        else:
            spec[name] = value
    return spec


def take(spec: dict[str, Any], **options: Any) -> Imported:
    return import_router(parse(manifest(spec), "r.yaml"), "r.yaml", **options)


def router(imported: Imported) -> dict[str, Any]:
    assert not imported.refused, imported.refused
    load_imported(imported)
    spec: dict[str, Any] = imported.config["lockgate:router"]
    return spec


def said(imported: Imported, path: str) -> list[Difference]:
    return [d for d in imported.differences if d.path == path]


def external(**fields: Any) -> dict[str, Any]:
    return {"external": {"provider": "openai", "model": "m", **fields}}


# -- 1


def test_1_of_a_file_only_the_router_is_read_and_no_secret_is_copied() -> None:
    source = (SAMPLES / "gate.yaml").read_bytes()
    imported = import_router(parse(source, "gate.yaml"), "gate.yaml")
    assert "canary-value" not in str(imported)
    assert imported.config["lockgate:name"] == "ward"


def test_1_status_and_what_the_server_sets_are_dropped() -> None:
    source = (SAMPLES / "stand-ins.yaml").read_bytes()
    imported = import_router(parse(source, "s.yaml"), "s.yaml")
    assert not {"uid", "status", "managedFields"} & set(str(imported.config).split("'"))
    assert imported.config["lockgate:namespace"] == {"name": "tests", "create": False}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (b"kind: Service\nmetadata: { name: a }\n", "has no objects of kind ModelRouter"),
        (b"kind: Model\nmetadata: { name: a }\n", "is written under `lockgate:models`"),
        (manifest(BASE) + b"---\n" + manifest(BASE), "has 2 objects of kind ModelRouter"),
        (manifest(BASE).replace(b"v1alpha1", b"v1"), "apiVersion: is not known"),
        (manifest(BASE).replace(b"name: r\n", b"labels: {}\n"), "metadata.name: is missing"),
        (manifest(BASE).replace(b"defaultRoute", b"defaultRuote"), "did you mean defaultRoute?"),
        (manifest(BASE).replace(b"tier: cloud", b"tier: cluod"), "did you mean cloud?"),
    ],
)
def test_1_what_is_no_router_is_refused_with_its_place(source: bytes, words: str) -> None:
    with pytest.raises(PolicyRefusedError) as refused:
        import_router(parse(source, "r.yaml"), "r.yaml")
    assert words in str(refused.value)


def test_1_a_field_of_ours_is_none_of_theirs() -> None:
    with pytest.raises(PolicyRefusedError, match=r"backends\[0\].attestedLocal: is not a field"):
        take(changed(backends_0={"attestedLocal": "x"}))


@pytest.mark.parametrize(
    ("match", "words"),
    [
        ({"models": ["["]}, "none of its models is a pattern"),
        ({"requiredCapabilities": ["vision"]}, "no one backend of it has them all"),
    ],
)
def test_1_a_rule_that_could_never_match_there_is_left_out(match: Any, words: str) -> None:
    imported = take(changed(rules_1={"match": match}))
    assert [rule["name"] for rule in router(imported)["rules"]] == ["keep"]
    assert any(words in d.message for d in imported.differences)


def test_1_a_backend_that_lacks_a_capability_is_asked_no_more_and_it_is_said() -> None:
    match = {"match": {"requiredCapabilities": ["vision"]}}
    imported = take(changed(rules_1=match, backends_1={"capabilities": ["vision"]}))
    assert [rule["name"] for rule in router(imported)["rules"]] == ["keep", "hard"]
    (told,) = said(imported, "spec.rules[1].match.requiredCapabilities")
    assert told.message == "near lacks some: asked there, never here"


def test_1_a_bad_pattern_among_good_ones_is_left_out_alone() -> None:
    imported = take(changed(rules_1={"match": {"models": ["gpt-*", "a[", "b"]}}))
    assert router(imported)["rules"][1]["match"]["models"] == ["gpt-*", "b"]
    (told,) = said(imported, "spec.rules[1].match.models[1]")
    assert "'a[' is no pattern and was ignored" in told.message


def test_1_one_replica_is_theirs_two_are_ours_and_their_image_is_not_ours() -> None:
    imported = take(changed(proxy={"image": "ghcr.io/x/router-proxy:1"}))
    assert router(imported)["proxy"] == {"replicas": 1}
    assert said(imported, "spec.proxy.image")


def test_1_empty_fields_are_not_there() -> None:
    assert router(take(changed(policy=None, rules_1={"match": None})))["rules"][1] == {
        "name": "hard", "route": {"backends": ["far", "near"]}, "failClosed": True,
    }  # fmt: skip


def test_1_a_place_in_what_is_refused_is_the_source_s_own_though_rules_were_left_out() -> None:
    rules = [
        {"name": "shut", "match": {"models": ["["]}, "route": {"backends": ["near"]}},
        {"name": "leak", "match": {"dataClassification": ["pii"]}, "route": {"backends": ["far"]}},
    ]
    imported = take(changed(rules=rules))
    (problem,) = imported.refused
    assert problem.path == "spec.rules[1].route.backends[0]"
    text = manifest(changed(rules=rules)).decode().splitlines()
    assert "- far" in text[(problem.line or 0) - 1]


# -- 2


@pytest.mark.parametrize(
    ("provider", "url", "written", "told"),
    [
        ("openai", "https://x.example.com", "https://x.example.com/v1", False),
        ("openai", "https://x.example.com/", "https://x.example.com/v1", False),
        ("litellm", "https://x.example.com/sub", "https://x.example.com/sub/v1", False),
        ("openai", "https://x.example.com/v1", "https://x.example.com/v1", True),
        ("anthropic", "https://api.anthropic.com", "https://api.anthropic.com", False),
        ("openai", None, None, False),
        ("anthropic", None, None, False),
    ],
)
def test_2_urls_are_what_the_provider_s_sdk_takes(
    provider: str, url: str | None, written: str | None, told: bool
) -> None:
    stated = {"provider": provider, "model": "m"} | ({"url": url} if url else {})
    imported = take(changed(backends_1={"external": stated}))
    assert router(imported)["backends"][1]["external"].get("url") == written
    assert bool(said(imported, "spec.backends[1].external.url")) is told


@pytest.mark.parametrize("provider", ["bedrock", "vertex_ai"])
def test_2_a_provider_without_an_address_of_its_own_wants_one(provider: str) -> None:
    imported = take(changed(backends_1=external(provider=provider)))
    problem = next(p for p in imported.refused if p.path.endswith(".url"))
    assert "add `url: https://HOST`" in problem.suggestion


def test_2_a_litellm_without_url_needs_the_operator_s() -> None:
    spec = changed(backends_1=external(provider="litellm"))
    (problem,) = take(spec).refused
    assert problem.path == "spec.backends[1].external.url"
    assert "--litellm-url" in problem.suggestion
    imported = take(spec, litellm_url="http://litellm.litellm.svc:4000")
    router(imported)
    assert imported.config["lockgate:litellmUrl"] == "http://litellm.litellm.svc:4000/v1"


# -- 3


def test_3_an_external_backend_without_a_tier_is_refused_with_both_lines() -> None:
    spec = changed()
    spec["backends"][1] = {"name": "far", **external()}
    (problem,) = take(spec).refused
    assert problem.path == "spec.backends[1].tier"
    assert "`tier: cloud` or `tier: local`" in problem.suggestion
    assert router(take(spec, tiers={"far": "cloud"}))["backends"][1]["tier"] == "cloud"


def test_3_a_tier_for_nobody_is_refused() -> None:
    (problem,) = take(changed(), tiers={"fra": "cloud"}).refused
    assert "no backend 'fra'" in problem.message


# -- 4


@pytest.mark.parametrize("stated", [{}, {"failClosed": False}])
def test_4_every_rule_fails_closed_and_it_is_said_where_it_did_not(stated: Any) -> None:
    rule = {k: v for k, v in BASE["rules"][1].items() if k != "failClosed"} | stated
    imported = take(changed(rules=[BASE["rules"][0], rule]))
    assert [rule["failClosed"] for rule in router(imported)["rules"]] == [True, True]
    (told,) = said(imported, "spec.rules[1].failClosed")
    assert told.message.startswith("was false" if stated else "was not stated")
    assert not said(imported, "spec.rules[0].failClosed")


# -- 5


@pytest.mark.parametrize("url", ["http://far.corp.example", "https://10.0.0.7", "https://a.b.svc"])
def test_5_a_cloud_address_that_is_plain_or_private_is_let_through_and_said(url: str) -> None:
    imported = take(changed(backends_1=external(url=url)))
    assert router(imported)["backends"][1]["external"]["allowPrivateAddress"] is True
    assert said(imported, "spec.backends[1].external.url")


def test_5_a_public_https_address_is_not() -> None:
    imported = take(changed(backends_1=external(url="https://far.example.com")))
    assert "allowPrivateAddress" not in router(imported)["backends"][1]["external"]


# -- 6


def test_6_labels_that_rules_name_are_known_and_all_are_lower_case() -> None:
    rules = [
        {"name": "a", "match": {"dataClassification": ["confidential", "Public"]}, "route": {"backends": ["near"]}},
        {"name": "b", "match": {"dataClassification": ["pii"]}, "route": {"backends": ["near"]}},
    ]  # fmt: skip
    policy = {"classification": {"sensitiveClassifications": ["pii", "PHI"]}}
    imported = take(changed(rules=rules, policy=policy))
    held = router(imported)["policy"]["classification"]
    assert held["sensitiveClassifications"] == ["pii", "phi"]
    assert held["knownClassifications"] == ["public", "internal", "confidential"]
    assert router(imported)["rules"][0]["match"]["dataClassification"] == ["confidential", "public"]
    place = "spec.policy.classification.sensitiveClassifications[1]"
    told = [d.message for p in ("spec.rules[0].match.dataClassification[1]", place) for d in said(imported, p)]  # fmt: skip
    assert ["begins to act: " in message for message in told] == [True, True]


def test_6_a_label_that_could_never_match_does_not_begin_to_lead_to_a_cloud() -> None:
    rules = [
        {"name": "a", "match": {"dataClassification": ["PUBLIC", "open"]}, "route": {"backends": ["far"]}},
        {"name": "b", "match": {"dataClassification": ["PII"]}, "route": {"backends": ["far"]}},
    ]  # fmt: skip
    imported = take(changed(rules=rules))
    (rule,) = router(imported)["rules"]
    assert rule["match"]["dataClassification"] == ["open"]
    assert said(imported, "spec.rules[1].match.dataClassification")


# -- 7


@pytest.mark.parametrize(
    ("timeout", "cap", "written"),
    [("8s", None, "8s"), ("5m", None, "2m"), ("5m", "3m", "3m"), ("90s", "30s", "30s")],
)
def test_7_a_timeout_is_for_the_first_token_and_no_longer_than_the_proxy_s(
    timeout: str, cap: str | None, written: str
) -> None:
    proxy = {"responseHeaderTimeout": cap} if cap else {}
    imported = take(
        changed(rules_0={"timeout": timeout}, backends_0={"timeout": timeout}, proxy=proxy)
    )
    spec = router(imported)
    assert spec["rules"][0]["timeouts"] == {"firstToken": written}
    assert spec["backends"][0]["timeouts"] == {"firstToken": written}
    for place in ("spec.rules[0].timeout", "spec.backends[0].timeout"):
        (told,) = said(imported, place)
        assert "goes on, under idle and total" in told.message


# -- 8


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"backends_0": {"costPerMillionTokens": {"promptUSD": "1"}}}, "spec.backends[0].costPerMillionTokens"),
        ({"backends_0": {"healthCheck": {"path": "/h"}}}, "spec.backends[0].healthCheck"),
        ({"rules_1": {"match": {"latencySLOMs": 800}}}, "spec.rules[1].match.latencySLOMs"),
        ({"rules_1": {"route": {"backends": ["near", "far"], "strategy": "weighted"}}}, "spec.rules[1].route.strategy"),
        ({"policy": {"auth": {"allowlists": [{"team": "a"}]}}}, "spec.policy.auth"),
        ({"policy": {"budgets": [{"name": "b", "scope": "router", "maxTokens": 5}]}}, "spec.policy.budgets"),
        ({"policy": {"auditLog": {"sink": "file", "filePath": "/a"}}}, "spec.policy.auditLog.sink"),
        ({"policy": {"auditLog": {"sink": "otlp"}}}, "spec.policy.auditLog.sink"),
        ({"policy": {"auditLog": {"includeRequestBody": True}}}, "spec.policy.auditLog.includeRequestBody"),
        ({"policy": {"classification": {"mode": "hybrid"}}}, "spec.policy.classification.mode"),
        ({"endpoint": {"port": 80}}, "spec.endpoint.port"),
        ({"endpoint": {"type": "NodePort", "nodePort": 30080}}, "spec.endpoint.nodePort"),
    ],
)  # fmt: skip
def test_8_what_was_ignored_begins_to_act_or_is_refused_while_ours_does_not(
    changes: Any, path: str
) -> None:
    found = [d for d in take(changed(**changes)).differences if d.path.startswith(path)]
    assert len(found) == 1, found
    assert found[0].kind == "left out" or found[0].message.startswith("begins to act: ")


def test_8_shadow_copies_to_a_cloud_come_first() -> None:
    shadow = {"route": {"backends": ["near", "far"], "strategy": "shadow"}}
    health = {"healthCheck": {"path": "/h"}}
    imported = take(changed(rules_1=shadow, backends_0=health))
    begins = [d for d in imported.differences if d.message.startswith("begins to act")]
    assert begins[0].path == "spec.rules[1].route.strategy"
    assert "go to the cloud: far" in begins[0].message
    assert len(begins) == 2


@pytest.mark.parametrize(
    ("route", "words"),
    [
        ({"backends": ["near"], "strategy": "shadow"}, "nobody to copy to"),
        ({"backends": ["near", "far"], "strategy": "weighted"}, "no weight at all"),
    ],
)
def test_8_a_strategy_that_could_not_act_is_written_as_it_ran(route: Any, words: str) -> None:
    weightless = {"backends_0": {"weight": 0}, "backends_1": {"weight": 0}}
    imported = take(changed(rules_1={"route": route}, **weightless))
    assert "strategy" not in router(imported)["rules"][1]["route"]
    assert words in said(imported, "spec.rules[1].route.strategy")[0].message


def test_8_a_probe_of_a_provider_without_a_path_is_left_out() -> None:
    imported = take(changed(backends_1={"healthCheck": {"intervalSeconds": 5}}))
    assert "healthCheck" not in router(imported)["backends"][1]
    assert said(imported, "spec.backends[1].healthCheck")


# -- 9


def test_9_the_defaults_of_another_data_plane_say_nothing() -> None:
    quiet = {
        "dataPlane": "Proxy",
        "mcpServer": {"enabled": False},
        "endpoint": {"path": "/v1/chat/completions", "gateway": {"enabled": False, "gatewayRef": {"name": "g"}}},
    }  # fmt: skip
    assert take(changed(**quiet)).differences == take(changed()).differences
    assert not {"dataPlane", "mcpServer", "endpoint"} & set(router(take(changed(**quiet))))


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"dataPlane": "Gateway"}, "spec.dataPlane"),
        ({"gatewayRef": {"name": "g"}}, "spec.gatewayRef"),
        ({"mcpServer": {"enabled": True}}, "spec.mcpServer.enabled"),
        ({"endpoint": {"path": "/llm"}}, "spec.endpoint.path"),
        ({"endpoint": {"gateway": {"enabled": True}}}, "spec.endpoint.gateway.enabled"),
    ],
)
def test_9_any_other_value_is_refused_by_name(changes: Any, path: str) -> None:
    (problem,) = take(changed(**changes)).refused
    assert problem.path == path


# -- 10


def test_10_the_service_keeps_its_name_and_local_models_the_caller_s() -> None:
    imported = take(changed(rules_1={"route": {"backends": ["far"]}}))
    assert imported.config["lockgate:name"] == "r"
    assert router(imported)["backends"][0]["servedModel"] == "caller"
    assert load_imported(imported).spec.backends[0].upstream_model is None


def test_10_a_model_that_stands_in_for_others_is_asked_for_its_own_name() -> None:
    both = {"route": {"backends": ["far", "near"]}}
    imported = take(changed(rules_1=both))
    assert "servedModel" not in router(imported)["backends"][0]
    assert load_imported(imported).spec.backends[0].upstream_model == "phi.4"
    (told,) = said(imported, "spec.backends[0].name")
    assert "is asked for the model 'phi.4', its service's name" in told.message


def test_10_the_namespace_is_used_and_never_made_or_deleted() -> None:
    assert take(changed()).config["lockgate:namespace"] == {"name": "n", "create": False}


def test_10_a_namespace_that_is_not_stated_is_said() -> None:
    source = manifest(BASE, namespace=None)
    imported = import_router(parse(source, "r.yaml"), "r.yaml")
    assert imported.config["lockgate:namespace"] == {"name": "default", "create": False}
    assert said(imported, "metadata")


# -- 11


def test_11_an_id_on_v1_models_that_changes_is_said() -> None:
    (told,) = said(take(changed()), "spec.backends[1].name")
    assert "was 'gpt-5', and is 'far'" in told.message
    assert not said(take(changed(backends_1={"displayName": "gpt"})), "spec.backends[1].name")


def test_11_secrets_of_one_provider_that_shared_a_value_are_said() -> None:
    spec = changed(backends_1=external(credentialsSecretRef={"name": "one"}))
    other = {
        **spec["backends"][1],
        "name": "third",
        **external(credentialsSecretRef={"name": "two"}),
    }
    imported = take({**spec, "backends": [*spec["backends"], other]})
    (told,) = said(imported, "spec.backends[2].external.credentialsSecretRef")
    assert "'one' and 'two' came to one value" in told.message


def test_11_headers_that_no_longer_go_up_are_said() -> None:
    assert any("no longer go up" in d.message for d in take(changed()).differences)


# -- 12


@pytest.mark.parametrize("kind", ["InferenceService", "Model"])
def test_12_what_llmkube_runs_beside_the_router_is_left_out_by_name(kind: str) -> None:
    beside = f"kind: {kind}\nmetadata: {{ name: tiny }}\n---\n".encode()
    imported = import_router(parse(beside + manifest(BASE), "r.yaml"), "r.yaml")
    (told,) = said(imported, f"object {kind} tiny")
    assert (told.kind, told.line) == ("left out", 1)
    assert "lockgate:models" in told.mend
    load_imported(imported)


def test_12_any_other_object_stays_as_it_is() -> None:
    source = (SAMPLES / "gate.yaml").read_bytes()
    imported = import_router(parse(source, "gate.yaml"), "gate.yaml")
    (told,) = said(imported, "object Secret cloud-key")
    assert told.kind == "changed"


# -- all of them


def test_what_is_left_out_leads_nothing_elsewhere_and_all_the_rest_is_written() -> None:
    spec = changed(rules_1={"match": {}, "route": {"backends": ["third", "far", "near"]}})
    spec["backends"] = [*spec["backends"], {"name": "third", **external()}]
    imported = take(spec)
    assert [problem.path for problem in imported.refused] == ["spec.backends[2].tier"]
    written = load_written(imported).spec
    assert [b.name for b in written.backends] == ["near", "far"]
    assert written.rules[1].route.backends == ("near",), "far came after what is left out"


def test_what_is_sensitive_is_never_taken_out_to_make_the_rest_load() -> None:
    classification = {"mode": "hybrid", "headerKey": "x-a", "sensitiveClassifications": ["pii"]}
    imported = take(changed(policy={"classification": classification}))
    held = load_written(imported).spec.policy.classification
    assert (held.header_key, held.sensitive_classifications) == ("x-a", ("pii",))
    held_back = {**classification, "headerKey": "bad header"}
    assert take(changed(policy={"classification": held_back})).config == {}


def test_every_point_is_in_the_table_and_has_its_tests() -> None:
    tested = {int(name.split("_")[1]) for name in globals() if name[5:6].isdigit()}
    assert tested == {point.number for point in POINTS} == set(range(1, 13))


def test_a_policy_without_a_cloud_is_not_told_what_cannot_touch_it() -> None:
    near = {"backends": BASE["backends"][:1], "defaultRoute": "near"}
    told = [d.path for d in take(near).differences if d.kind != "exact"]
    assert told == ["spec.proxy.responseHeaderTimeout"]


@pytest.mark.parametrize(
    ("name", "fate"),
    [
        ("gate", "imported"),
        ("short", "imported"),
        ("inside", "imported"),
        ("stand-ins", "imported"),
        ("only-cloud", "imported"),
        ("bad-gate", "spec.rules[0].route.backends[0]"),
    ],
)
def test_each_sample_is_imported_or_refused_by_name(name: str, fate: str) -> None:
    file = SAMPLES / f"{name}.yaml"
    imported = import_router(parse(file.read_bytes(), name), name)
    if fate == "imported":
        load_imported(imported)
    else:
        assert [problem.path for problem in imported.refused] == [fate]
        with pytest.raises(PolicyRefusedError):
            load_imported(imported)


def test_an_audit_file_gets_a_claim_to_lie_on() -> None:
    file = {"sink": "file", "filePath": "/var/log/a.jsonl"}
    imported = take(changed(policy={"auditLog": file}))
    assert router(imported)["policy"]["auditLog"] == {**file, "volumeClaim": {"size": "10Gi"}}
    [said] = [d for d in imported.differences if d.path == "spec.policy.auditLog.volumeClaim"]
    assert "a claim of 10Gi, which is made" in said.message
