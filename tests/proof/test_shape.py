"""The proof of shape: every leak is found, and a witness is a request that goes where it says."""

from hypothesis import given, settings

from components.proof.shape import prove
from proxy.policy.backends import Backend, External, InferenceServiceRef
from proxy.policy.decision import Request
from proxy.policy.load import compiled
from proxy.policy.rules import Match, RouteTo, Rule
from proxy.policy.spec import RouterSpec
from tests.properties.policies import requests, specs
from tests.spec import naive

LOCAL = Backend(name="l", inference_service_ref=InferenceServiceRef(name="l"))
CLOUD = Backend(name="c", tier="cloud", external=External(provider="openai", model="m"))


def rule(name: str, backend: str, *, closed: bool = True, **match: object) -> Rule:
    return Rule(
        name=name,
        match=Match(**match) if match else None,  # type: ignore[arg-type]
        route=RouteTo(backends=(backend,)),
        fail_closed=closed,
    )


def leaks(*rules: Rule, **fields: object) -> list[tuple[tuple[str, ...], str]]:
    spec = RouterSpec(backends=(LOCAL, CLOUD), rules=rules, **fields)  # type: ignore[arg-type]
    return [(leak.labels, leak.via) for leak in prove(compiled(spec)).leaks]


KEEP = rule("keep", "l", data_classification=("pii", "phi"))


def test_a_rule_for_all_sensitive_labels_first_leaks_nothing() -> None:
    assert leaks(KEEP, rule("all", "c"), default_route="c") == []


def test_the_order_of_rules_matters() -> None:
    found = leaks(rule("all", "c"), KEEP)
    assert [via for _, via in found] == ["rule all", "rule all"]


def test_a_cloud_default_route_leaks_what_no_rule_takes() -> None:
    assert (("phi",), "default route c") in leaks(default_route="c")


def test_a_name_match_lets_callers_pick_the_cloud() -> None:
    found = leaks(default_route="l", default_route_strategy="BackendNameMatch")
    assert {via for _, via in found} == {"name match of c"}


def test_a_rule_for_another_label_leaks_with_both() -> None:
    public = rule("public", "c", data_classification=("public",))
    assert leaks(public, KEEP) == [
        (("phi", "public"), "rule public"),
        (("pii", "public"), "rule public"),
    ]


def test_a_local_rule_that_falls_through_to_a_cloud_default_leaks() -> None:
    assert leaks(rule("open", "l", closed=False), default_route="c") != []


def test_a_wider_pattern_covers_and_a_narrower_does_not() -> None:
    wide = rule("keep", "l", data_classification=("pii", "phi"), models=("gpt-*",))
    assert leaks(wide, rule("exact", "c", models=("gpt-4",))) == []
    assert leaks(wide, rule("wider", "c", models=("*",))) != []
    assert leaks(wide, rule("escaped", "c", models=("gpt-\\\\",))) == []


def test_what_it_cannot_decide_it_calls_a_leak() -> None:
    split = (
        rule("a", "l", data_classification=("pii", "phi"), models=("a*",)),
        rule("b", "l", data_classification=("pii", "phi"), models=("[^a]*",)),
    )
    assert leaks(*split, rule("all", "c", models=("?*",))) != []


@settings(max_examples=600, deadline=None)
@given(specs(), requests)
def test_a_policy_that_is_proved_never_puts_a_cloud_in_a_sensitive_chain(
    spec: RouterSpec, request: Request
) -> None:
    policy = compiled(spec)
    if not prove(policy).leaks and naive.labels(spec, request) & {"pii", "phi"}:
        assert all(tier == "local" for tier in naive_chain(spec, request))


@settings(max_examples=300, deadline=None)
@given(specs())
def test_a_confirmed_witness_goes_where_the_report_says(spec: RouterSpec) -> None:
    for leak in prove(compiled(spec)).leaks:
        if leak.confirmed:
            headers = {name.lower(): (value,) for name, value in leak.witness.headers}
            request = Request(leak.witness.model, headers)
            hit = [i for i in range(len(spec.rules)) if naive.matches(spec, i, request)]
            taken = f"rule {spec.rules[hit[0]].name}" if hit else leak.via
            assert taken == leak.via
            assert "cloud" in naive_chain(spec, request)


def naive_chain(spec: RouterSpec, request: Request) -> list[str]:
    """The tiers of the chain without the runtime's bound: the request as if nothing were cloud."""
    tiers = {b.name: b.tier for b in spec.backends}
    hit = next((r for i, r in enumerate(spec.rules) if naive.matches(spec, i, request)), None)
    default = [spec.default_route] if spec.default_route else []
    if hit is not None:
        required = set(hit.match.required_capabilities) if hit.match else set()
        capable = {b.name for b in spec.backends if required <= set(b.capabilities)}
        chain = [
            n for n in [*hit.route.backends, *([] if hit.fail_closed else default)] if n in capable
        ]
    else:
        named = [b.name for b in spec.backends if b.published_id == request.model]
        by_name = spec.default_route_strategy == "BackendNameMatch" and named
        chain = named if by_name else default
    return [tiers[name] for name in chain]
