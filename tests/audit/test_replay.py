"""Replay says what another policy would have decided, and guesses nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.audit.record import NO_ENDING, decision_fields, render, undecided_fields
from lockgate.audit.recorded import read_record
from lockgate.audit.replay import outcome_of, replay
from lockgate.policy.deciding.decide import Decider, decide
from lockgate.policy.deciding.decision import Refuse, Request
from lockgate.policy.reading.load import compiled, load_policy
from lockgate.policy.spec.model_router import Classification, Governance, RouterSpec
from lockgate.policy.spec.rules import Match, RouteTo, Rule

from tests.properties.policies import requests, specs

BACKENDS = """\
backends:
- name: local
  inferenceServiceRef: { name: qwen }
- name: cloud
  tier: cloud
  external: { provider: openai, model: gpt-5 }
"""


def line(spec: RouterSpec, request: Request) -> bytes:
    """Record a request as the proxy does."""
    decision = decide(compiled(spec), request)
    refused = isinstance(decision, Refuse)
    ending = {
        **NO_ENDING,
        "sequence": 1,
        "time": 0.0,
        "request_id": "req-1",
        "outcome": "refused_policy" if refused else "complete",
        "error": decision.code if isinstance(decision, Refuse) else None,
    }
    return render(ending, decision_fields(decision))


def policy(text: str) -> RouterSpec:
    return load_policy((BACKENDS + text).encode(), "p.yaml").spec


@given(specs(), requests)
def test_a_record_replayed_under_its_own_policy_is_the_same(
    spec: RouterSpec, request: Request
) -> None:
    replayed = replay(Decider(compiled(spec)), read_record(line(spec, request)))
    assert (replayed.verdict, replayed.widens, replayed.missing) == ("same", False, ())


other_specs = st.tuples(specs(), st.sampled_from(["x-llmkube-classification", "X-Data"])).map(
    lambda drawn: RouterSpec(
        backends=drawn[0].backends,
        rules=drawn[0].rules,
        default_route=drawn[0].default_route,
        default_route_strategy=drawn[0].default_route_strategy,
        policy=Governance(classification=Classification(header_key=drawn[1])),
    )
)


@given(specs(), other_specs, requests)
def test_what_is_not_called_undecidable_is_what_the_other_policy_decides(
    old: RouterSpec, new: RouterSpec, request: Request
) -> None:
    replayed = replay(Decider(compiled(new)), read_record(line(old, request)))
    truth = decide(compiled(new), request)
    if replayed.verdict == "undecidable":
        assert replayed.missing
        return
    assert replayed.decision is not None
    assert outcome_of(replayed.decision) == outcome_of(truth)
    before = decide(compiled(old), request)
    assert (replayed.verdict == "same") == (outcome_of(before) == outcome_of(truth))


PLAIN = "defaultRoute: local\n"
ASKS = """\
rules:
- name: team-one
  match: { headers: { X-Org: one }, taskComplexity: complex }
  route: { backends: [cloud] }
defaultRoute: local
"""


def test_a_header_that_was_never_recorded_is_undecidable_where_it_matters() -> None:
    request = Request("m", {"x-org": ("one",), "x-llmkube-task-complexity": ("complex",)})
    replayed = replay(Decider(compiled(policy(ASKS))), read_record(line(policy(PLAIN), request)))
    assert replayed.verdict == "undecidable"
    assert replayed.missing == ("x-org",)
    assert (replayed.widens, replayed.may_widen) == (False, True)
    assert replayed.reasons == (
        "the record does not hold x-org",
        "without it: default_route -> local",
        "with x-org: one: team-one -> cloud, local",
    )


def test_where_it_cannot_matter_the_record_is_replayed_and_it_is_said() -> None:
    request = Request("m", {"x-llmkube-task-complexity": ("simple",)})
    replayed = replay(Decider(compiled(policy(ASKS))), read_record(line(policy(PLAIN), request)))
    assert replayed.verdict == "same"
    assert "does not hold x-org: it does not matter here" in replayed.reasons[0]


def test_a_header_that_was_read_and_absent_is_known_to_be_absent() -> None:
    request = Request("m", {"x-llmkube-task-complexity": ("complex",)})
    replayed = replay(Decider(compiled(policy(ASKS))), read_record(line(policy(ASKS), request)))
    assert (replayed.verdict, replayed.missing) == ("same", ())


def test_too_many_open_values_are_not_tried() -> None:
    rules = tuple(
        Rule(
            name=f"r{n}",
            match=Match(headers={"x-many": str(n)}),
            route=RouteTo(backends=("local",)),
        )
        for n in range(11)
    )
    spec = RouterSpec(backends=policy(PLAIN).backends, rules=rules, default_route="cloud")
    replayed = replay(Decider(compiled(spec)), read_record(line(policy(PLAIN), Request("m"))))
    assert (replayed.verdict, replayed.decision) == ("undecidable", None)
    assert replayed.may_widen


def test_another_labels_header_makes_sensitivity_unknown() -> None:
    there = policy("defaultRoute: cloud\npolicy: { classification: { headerKey: X-Data } }\n")
    replayed = replay(Decider(compiled(there)), read_record(line(policy(PLAIN), Request("m"))))
    assert replayed.verdict == "undecidable"
    assert "default_route -> cloud" in replayed.reasons[1]
    assert "refused_by_policy" in replayed.reasons[2]


@pytest.mark.parametrize("code", ["no_allowed_upstream", "no_capable_backend"])
def test_a_record_of_before_the_policys_own_code_is_the_same(code: str) -> None:
    spec = policy("defaultRoute: cloud\n")
    written = line(spec, Request("m", {"x-llmkube-classification": ("pii",)}))
    older = written.replace(b"refused_by_policy", code.encode())
    assert older != written
    for text in (older, written):
        assert replay(Decider(compiled(spec)), read_record(text)).verdict == "same"


def test_what_is_undecidable_between_two_local_places_reaches_no_cloud() -> None:
    text = """\
rules:
- { name: other, match: { headers: { X-Org: one } }, route: { refuse: true } }
defaultRoute: local
"""
    replayed = replay(
        Decider(compiled(policy(text))), read_record(line(policy(PLAIN), Request("m")))
    )
    assert (replayed.verdict, replayed.may_widen) == ("undecidable", False)


def test_reaching_a_cloud_backend_that_was_no_candidate_is_said() -> None:
    there = policy("defaultRoute: cloud\n")
    replayed = replay(Decider(compiled(there)), read_record(line(policy(PLAIN), Request("m"))))
    assert (replayed.verdict, replayed.widens) == ("different", True)


def test_a_backend_that_changed_its_tier_is_another_place() -> None:
    moved = policy("defaultRoute: local\n")
    text = BACKENDS.replace(
        "  inferenceServiceRef: { name: qwen }\n",
        "  tier: cloud\n  external: { provider: openai, model: q }\n",
    )
    there = load_policy((text + "defaultRoute: local\n").encode(), "p.yaml").spec
    replayed = replay(Decider(compiled(there)), read_record(line(moved, Request("m"))))
    assert (replayed.verdict, replayed.widens) == ("different", True)
    assert "local was local, is cloud" in replayed.reasons


LABELS = "defaultRoute: cloud\n"
TEAMS = """\
rules:
- { name: org, match: { headers: { X-Org: %s } }, route: { backends: [cloud] } }
- { name: hard, match: { taskComplexity: complex }, route: { backends: [cloud] } }
defaultRoute: local
"""
MODELS = """\
rules:
- { name: big, match: { models: ["*-end"] }, route: { backends: [cloud] } }
defaultRoute: local
"""
END = "x" * 300


@pytest.mark.parametrize(
    ("text", "request_", "verdict"),
    [
        (LABELS, Request("m", {"x-llmkube-classification": (f"{END},pii",)}), "undecidable"),
        (LABELS, Request("m", {"x-llmkube-team": (END,)}), "same"),
        (TEAMS % "one", Request("m", {"x-org": (END,)}), "same"),
        (TEAMS % END, Request("m", {"x-org": (END,)}), "undecidable"),
        (TEAMS % END, Request("m", {"x-org": (END + "y",)}), "undecidable"),
        (TEAMS % "one", Request("m", {"x-llmkube-task-complexity": ("complex" + "\xa0" * 300,)}),
         "undecidable"),
        (MODELS, Request(END + "-end"), "undecidable"),
        (TEAMS % "one", Request(END), "same"),
        (LABELS + "defaultRouteStrategy: BackendNameMatch\n", Request(END), "undecidable"),
    ],
)  # fmt: skip
def test_r61_a_value_that_was_cut_is_not_taken_for_the_whole(
    text: str, request_: Request, verdict: str
) -> None:
    there = policy(text)
    assert replay(Decider(compiled(there)), read_record(line(there, request_))).verdict == verdict


def test_a_request_that_was_never_decided_is_not_decided_now() -> None:
    ending = {**NO_ENDING, "sequence": 1, "time": 0, "request_id": "r", "outcome": "bad_request"}
    raw = render({**ending, "error": "invalid_json"}, undecided_fields("sha256:0"))
    replayed = replay(Decider(compiled(policy(PLAIN))), read_record(raw))
    assert replayed.verdict == "not_decided"
    assert replayed.reasons == ("was never decided: bad_request invalid_json",)
