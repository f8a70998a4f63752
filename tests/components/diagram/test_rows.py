"""A picture shows what the proof found and what the engine does, and nothing else."""

from hypothesis import given
from lockgate.policy.deciding.decide import decide
from lockgate.policy.deciding.decision import Reading, Request
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.load import compiled, load_policy
from lockgate.policy.spec.model_router import RouterSpec
from pulumi_lockgate.diagram.rows import Picture, Row, distinct, in_words, picture
from pulumi_lockgate.proof.checks import prove

from tests.properties.policies import requests, specs

BACKENDS = """\
backends:
- { name: unused, inferenceServiceRef: { name: u } }
- { name: local-b, inferenceServiceRef: { name: b }, weight: 3 }
- { name: local-a, inferenceServiceRef: { name: a } }
- { name: cloud-b, tier: cloud, external: { provider: openai, model: x } }
"""


def drawn(text: str) -> Picture:
    policy = load_policy((BACKENDS + text).encode(), "policy.yaml")
    return picture(policy, prove(policy))


def of_policy(policy: LoadedPolicy) -> Picture:
    return picture(policy, prove(policy))


def row_of(rows: tuple[Row, ...], reading: Reading, spec: RouterSpec) -> list[Row]:
    """Return the rows that show the way of a decided request."""
    if reading.rule is not None:
        return [row for row in rows if row.number == spec.rules.index(reading.rule) + 1]
    named = reading.via == "name_match"
    rest = [row for row in rows if row.number is None]
    return [row for row in rest if any(stop.role == "named" for stop in row.stops) == named]


@given(specs(), requests)
def test_what_the_engine_considers_stands_in_a_row(spec: RouterSpec, request_: Request) -> None:
    policy = compiled(spec)
    shown, reading = of_policy(policy), decide(policy, request_).reading
    [row] = row_of(shown.every, reading, spec)
    rows = [row]
    if reading.labels.sensitive:
        [sensitive] = row_of(shown.sensitive, reading, spec)
        rows.append(sensitive)
        assert row.sensitive
        assert sensitive.refuses
        if any(c.reason == "cloud_tier_for_sensitive" for c in reading.considered):
            chain = {stop.backend for stop in sensitive.stops if stop.tier == "cloud"}
            assert sensitive.leaks or not chain
    bound = any(c.reason == "cloud_tier_for_sensitive" for c in reading.considered)
    capable = [c.backend for c in reading.considered if c.reason != "lacks_capability"]
    for one in rows:
        stops = [stop.backend for stop in one.stops]
        if reading.via == "name_match":
            assert set(capable) <= set(stops)
        elif not bound:
            assert stops == capable


@given(specs())
def test_a_row_leaks_exactly_where_the_proof_found_a_leak(spec: RouterSpec) -> None:
    policy = compiled(spec)
    report = prove(policy)
    shown = picture(policy, report)
    assert any(row.leaks for row in shown.sensitive) == bool(report.leaks)
    assert not any(row.leaks for row in shown.every)
    assert (shown.proved, shown.digest) == (report.proved, policy.digest)


def test_no_leak_is_drawn_where_earlier_rules_take_every_such_request() -> None:
    shown = drawn(
        """\
rules:
- name: secret-on-a
  match: { dataClassification: [pii, phi], models: [a] }
  route: { backends: [local-a] }
  failClosed: true
- name: a-to-cloud
  match: { models: [a] }
  route: { backends: [cloud-b] }
  failClosed: true
defaultRoute: local-a
"""
    )
    assert shown.proved
    assert shown.verdict.startswith("PROVED: ")
    assert [(row.title, row.note, row.leaks) for row in shown.sensitive] == [
        ("phi, pii", "taken by 1 secret-on-a if model a", False),
        ("phi, pii", "no rule matches", False),
    ]
    assert [row.sensitive for row in shown.every] == [True, False, True]


def test_a_label_that_is_not_sensitive_can_stand_beside_one_that_is() -> None:
    shown = drawn(
        """\
rules:
- { name: open, match: { dataClassification: [public] }, route: { backends: [cloud-b] } }
- { name: rest, route: { backends: [local-a] }, failClosed: true }
policy: { classification: { sensitiveClassifications: [pii], knownClassifications: [public] } }
"""
    )
    first = shown.sensitive[0]
    assert (first.title, first.note) == ("pii", "taken by 1 open if also labelled public")
    assert first.leaks
    assert shown.verdict == "VIOLATED: 1 leak"
    assert in_words(first).endswith("cloud-b (cloud): a leak")


def test_shares_and_copies_are_said_as_such() -> None:
    shown = drawn(
        """\
rules:
- name: spread
  match: { models: [w] }
  route: { backends: [local-b, local-a], strategy: weighted }
- name: trial
  match: { taskComplexity: complex }
  route: { backends: [local-a, local-b], strategy: shadow, shadowPercent: 25 }
defaultRoute: unused
"""
    )
    spread, trial, _ = shown.every
    assert [(s.backend, s.role, s.sign) for s in spread.stops] == [
        ("local-b", "share", "75%"),
        ("local-a", "share", "25%"),
        ("unused", "default", "2"),
    ]
    assert [(s.backend, s.role, s.sign) for s in trial.stops] == [
        ("local-a", "candidate", "1"),
        ("local-b", "copy", "25%"),
        ("unused", "default", "2"),
    ]
    assert "local-b (local, copies of 25 percent)" in in_words(trial)


def test_columns_stand_by_first_use_and_the_local_tier_first() -> None:
    shown = drawn(
        """\
rules:
- { name: one, match: { models: [a] }, route: { backends: [cloud-b, local-a] }, failClosed: true }
- { name: two, match: { models: [b] }, route: { backends: [local-b] }, failClosed: true }
"""
    )
    assert [b.name for b in shown.backends] == ["local-a", "local-b", "unused", "cloud-b"]


def test_a_rule_that_takes_nothing_says_so() -> None:
    shown = drawn(
        """\
rules:
- { name: all, route: { backends: [local-a] } }
- { name: never, match: { models: [b] }, route: { backends: [local-b] } }
"""
    )
    assert shown.every[1].note == "model b; takes no request"


def test_names_that_are_cut_stay_distinct() -> None:
    one, two = "backend-in-europe-west-number-1", "backend-in-europe-west-number-2"
    texts = distinct((one, two, "short"), 24)
    assert len(set(texts.values())) == 3
    assert texts["short"] == "short"
    assert all(len(text) <= 24 for text in texts.values())
    same = "a" * 12 + "{}" + "b" * 30
    assert len(set(distinct((same.format("x"), same.format("y")), 24).values())) == 2
