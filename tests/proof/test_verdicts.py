"""Every verdict: what is found, by which request, and what must not be found."""

import pytest
from lockgate.bodies.splices import scan
from lockgate.policy.spec.backends import Backend, External
from lockgate.policy.spec.model_router import Classification, Governance
from pulumi_lockgate.proof.checks import prove
from pulumi_lockgate.proof.report import ContradictionError

from tests.proof.policies import CLOUD, KEEP, LOCAL, SENSITIVE, of, policy, report, rule

CLASS, COMPLEXITY = "x-llmkube-classification", "x-llmkube-task-complexity"


def leaks(*rules: object, **fields: object) -> list[tuple[str, tuple[str, ...]]]:
    found = of("leak", report(*rules, **fields))  # type: ignore[arg-type]
    return [(str(leak.via), leak.labels) for leak in found]


# -- leaks


def test_a_rule_for_all_sensitive_labels_first_leaks_nothing() -> None:
    assert report(KEEP, rule("all", "c"), default_route="l").proved


def test_the_order_of_rules_matters() -> None:
    assert leaks(rule("all", "c"), KEEP) == [("rule all", ("phi", "pii"))]


def test_a_cloud_default_route_leaks_what_no_rule_takes() -> None:
    half = rule("half", "l", data_classification=("pii",))
    assert leaks(half, default_route="c") == [("default route c", ("phi",))]


def test_a_name_match_lets_callers_pick_the_cloud() -> None:
    (leak,) = of("leak", report(default_route="l", default_route_strategy="BackendNameMatch"))
    assert (leak.via, leak.witness and leak.witness.model) == ("name match of c", "c")


def test_a_rule_for_another_label_leaks_with_both() -> None:
    public = rule("public", "c", data_classification=("public",))
    (leak,) = of("leak", report(public, KEEP))
    assert leak.witness is not None
    assert leak.witness.headers == ((CLASS, "phi, public"),)


def test_a_local_rule_that_falls_through_to_a_cloud_default_leaks() -> None:
    assert leaks(rule("open", "l", closed=False), default_route="c") == [
        ("rule open", ("phi", "pii"))
    ]


def test_a_default_route_without_the_capability_is_in_no_chain() -> None:
    able = Backend(
        name="l", inference_service_ref=LOCAL.inference_service_ref, capabilities=("code",)
    )
    one = rule("open", "l", closed=False, required_capabilities=("code",))
    assert leaks(one, default_route="c", backends=(able, CLOUD)) == []


def test_two_rules_that_only_together_cover_a_label_do_cover_it() -> None:
    parts = [
        rule("a", "l", data_classification=SENSITIVE, models=("[a-m]*",)),
        rule("b", "l", data_classification=SENSITIVE, models=("[^a-m/]*",)),
        rule("c", "l", data_classification=SENSITIVE, models=("*/*", "*/*/*")),
    ]
    assert leaks(*parts, rule("all", "c", models=("?*",)), default_route="l") == []
    (leak,) = of(
        "leak", report(*parts[:2], rule("all", "c", models=("?*", "?*/x")), default_route="l")
    )
    assert leak.witness is not None
    assert leak.witness.model == "m/x"


def test_a_wider_pattern_covers_and_a_narrower_does_not() -> None:
    wide = rule("keep", "l", data_classification=SENSITIVE, models=("gpt-*",))
    assert leaks(wide, rule("exact", "c", models=("gpt-4",))) == []
    assert leaks(wide, rule("wider", "c", models=("*",))) != []
    assert leaks(wide, rule("escaped", "c", models=("gpt-\\\\",))) == []


def test_go_never_gives_back_what_a_star_took_first() -> None:
    """`[^a]` takes the slash, but the star before it has already stopped at the `b`."""
    keep = rule("keep", "l", data_classification=SENSITIVE, models=("*[^a]*c",))
    (leak,) = of("leak", report(keep, rule("all", "c", models=("b/c",)), default_route="l"))
    assert leak.witness is not None
    assert leak.witness.model == "b/c"


def test_a_rule_that_reads_the_complexity_word_for_word_is_tied_to_it() -> None:
    keep = rule("keep", "l", task_complexity="complex")
    out = rule("out", "c", headers={COMPLEXITY: "complex"})
    (leak,) = of("leak", report(keep, out, default_route="l"))
    assert leak.witness is not None
    assert leak.witness.headers == (
        (CLASS, "phi"),
        (COMPLEXITY, "complex"),
        (COMPLEXITY, "complex"),
    )


def test_a_rule_that_reads_the_labels_word_for_word_is_tied_to_them() -> None:
    keep = rule("keep", "l", headers={CLASS: "pii"})
    out = rule("out", "c", data_classification=("pii",))
    (leak,) = of("leak", report(keep, out, default_route="l"))
    assert leak.witness is not None
    assert leak.witness.headers == ((CLASS, "pii, pii"),)
    typo = rule("typo", "c", headers={CLASS: "a-typo"})
    (leak,) = of("leak", report(typo, default_route="l"))
    assert leak.labels == ("phi", "pii")


def test_a_value_that_cannot_be_sent_is_never_there() -> None:
    out = rule("out", "c", headers={"x-a": " spaces "})
    found = report(out, KEEP, default_route="l")
    assert of("leak", found) == []
    assert [dead.message for dead in of("dead_rule", found)] == [
        "rule out matches no request at all"
    ]


def test_labels_of_ones_own_are_the_ones_that_count() -> None:
    held = Governance(
        classification=Classification(sensitive_classifications=("genomic",), header_key="X-Data")
    )
    (leak,) = of("leak", report(rule("all", "c"), policy=held))
    assert leak.witness is not None
    assert leak.witness.headers == (("x-data", "genomic"),)


def test_a_published_id_that_rules_take_first_is_no_way_out() -> None:
    first = rule("ids", "l", models=("c", "l"))
    fields = {"default_route": "l", "default_route_strategy": "BackendNameMatch"}
    assert leaks(first, **fields) == []


# -- dead rules


def test_a_dead_rule_names_what_shadows_it_and_nothing_else() -> None:
    rules = [
        rule("other", "l", models=("x",)),
        rule("wide", "l", models=("g*",)),
        rule("narrow", "l", models=("gpt-*",)),
    ]
    (dead,) = of("dead_rule", report(*rules, default_route="l"))
    assert (dead.path, dead.subject, dead.shadowed_by) == ("rules[2]", "narrow", ("wide",))
    assert dead.witness is not None
    assert dead.witness.model == "gpt-"


def test_a_rule_can_be_dead_by_several_that_do_it_together() -> None:
    rules = [
        rule("low", "l", models=("[a-m]",)),
        rule("other", "l", models=("zz",)),
        rule("high", "l", models=("[^a-m]",)),
        rule("one", "l", models=("?",)),
    ]
    (dead,) = of("dead_rule", report(*rules, default_route="l"))
    assert (dead.subject, set(dead.shadowed_by)) == ("one", {"low", "high"})


def test_rules_that_all_take_something_are_not_dead() -> None:
    assert report(
        rule("a", "l", models=("a*",)), rule("b", "l", models=("*b",)), default_route="l"
    ).proved


# -- rules that can only refuse


def test_a_rule_kept_local_and_closed_is_not_one_that_refuses() -> None:
    assert report(KEEP, default_route="l").proved


def test_a_cloud_rule_that_meets_only_sensitive_requests_can_only_refuse() -> None:
    rules = [
        rule("public", "l", data_classification=("public", "internal")),
        rule("labelled", "c", headers={CLASS: "pii"}),
    ]
    found = of("refusing_rule", report(*rules, default_route="l"))
    assert [one.subject for one in found] == ["labelled"]


# -- labels without a local backend


def test_a_label_that_only_meets_the_cloud_has_no_local_backend() -> None:
    found = report(rule("all", "c"), backends=(LOCAL, CLOUD))
    assert [one.subject for one in of("no_local_backend", found)] == ["phi", "pii"]


def test_one_local_backend_behind_a_model_name_is_enough() -> None:
    found = report(rule("one", "l", models=("x",)), rule("all", "c"))
    assert of("no_local_backend", found) == []


# -- what is told besides


@pytest.mark.parametrize(
    ("rules", "default", "told"),
    [
        ((KEEP, rule("all", "l")), "c", None),
        ((KEEP, rule("all", "c")), "l", "rule all -> c"),
        ((KEEP,), "c", "default route c -> c"),
        ((KEEP, rule("p", "c", data_classification=("public",))), "l", None),
    ],
)
def test_whether_unlabelled_requests_reach_the_cloud_is_told(
    rules: tuple[object, ...], default: str, told: str | None
) -> None:
    assert report(*rules, default_route=default).unlabelled_cloud == told  # type: ignore[arg-type]


def test_the_same_policy_gives_the_same_report() -> None:
    rules = [rule("a", "c", models=("gpt-*", "*o*")), rule("b", "c", headers={"x": "1", "y": "2"})]
    assert report(*rules, default_route="c") == report(*rules, default_route="c")


def test_a_witness_has_a_body_that_the_proxy_takes() -> None:
    strange = rule("strange", "c", models=("[é-ü]\\*'?\"",))
    (leak,) = of("leak", report(strange, default_route="l"))
    assert leak.witness is not None
    body = leak.witness.policy_test("t", {})["request"]
    assert scan(b'{"model": "m"}').model == "m"
    assert len(body["model"]) == 5
    assert "'\"'\"'" in leak.witness.curl()


# -- no answer is a failure, and so is a wrong one


def test_time_that_is_over_is_a_finding_and_no_pass() -> None:
    found = prove(policy(KEEP, default_route="l"), seconds=0)
    assert not found.proved
    assert {one.kind for one in found.findings} == {"undecided"}


def test_patterns_that_blow_up_are_undecided_in_bounded_time() -> None:
    bad = "*a" + "?" * 40
    keep = rule("keep", "l", data_classification=SENSITIVE, models=(bad,))
    found = report(keep, rule("all", "c", models=(bad + "*", f"{bad}b")), default_route="l")
    assert not found.proved


def test_patterns_of_many_stars_are_decided() -> None:
    rules = [
        rule(f"k{n}", "l", data_classification=SENSITIVE, models=("*a" * n + "*b",))
        for n in range(1, 40)
    ]
    (leak,) = of("leak", report(*rules, rule("all", "c", models=("*a*",)), default_route="l"))
    assert leak.witness is not None
    assert leak.witness.model == "a"


def test_a_rule_of_very_many_patterns_ends_in_its_time() -> None:
    first = rule("k", "l", models=tuple(f"a{n}*" for n in range(600)))
    dead = rule("all", "c", models=tuple(f"a{n}b" for n in range(600)))
    clock = iter(n / 10 for n in range(10_000_000))
    found = prove(policy(first, dead, default_route="l"), seconds=20, now=lambda: next(clock))
    assert "undecided" in {one.kind for one in found.findings}


def test_an_engine_that_decides_otherwise_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.policy.deciding.match.Matcher.holds", lambda *_: False)
    with pytest.raises(ContradictionError, match="the proof takes this request"):
        report(KEEP, default_route="l")


def test_a_whole_policy_of_the_readme_is_what_it_was() -> None:
    remote = Backend(
        name="r",
        tier="local",
        external=External(provider="openai", model="m", url="https://x.example"),
        attested_local="rack 7",
    )
    found = report(KEEP, default_route="r", backends=(LOCAL, CLOUD, remote))
    assert found.proved
    assert found.attested == (("r", "rack 7"),)
    assert dict(found.paths)["pii"] == ("rule keep (local)",)
