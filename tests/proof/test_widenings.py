"""What widens whatever a request's way is: each setting that lets more out, or more in."""

from typing import Any

import pytest
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.load import load_policy
from pulumi_lockgate.proof.diff import compare
from pulumi_lockgate.proof.widenings import Widening, listed, of_changes, of_settings

URL = "https://rack7.example.com/v1"
OLD = """
backends:
- { name: l, inferenceServiceRef: { name: s, namespace: d } }
- { name: ext, tier: local, attestedLocal: "rack 7", external: { provider: openai, model: g, url: "URL" } }
- { name: c, tier: cloud, external: { provider: openai, model: g, url: "https://cloud.example/v1" } }
rules:
- { name: s, match: { dataClassification: [pii, phi] }, route: { backends: [l] }, failClosed: true }
- { name: rest, route: { backends: [l, c], strategy: shadow, shadowPercent: 1 }, failClosed: true }
policy: { classification: { sensitiveClassifications: [pii, phi, hr] } }
proxy: { privateRanges: [{ cidr: 100.64.0.0/16, why: "the mesh" }] }
endpoint: { cors: { origins: ["https://a.example"] } }
""".replace("URL", URL)  # fmt: skip


def loaded(text: str) -> LoadedPolicy:
    return load_policy(text.encode(), "policy.yaml")


def found(old: str, new: str) -> tuple[Widening, ...]:
    before, after = loaded(old), loaded(new)
    changes = compare(before, after).changes
    return listed(iter([*of_settings(before, after), *of_changes(changes, after)]))


@pytest.mark.parametrize(
    ("was", "now", "kind", "said"),
    [
        ('attestedLocal: "rack 7"', 'attestedLocal: "rack 8"', "counts_as_local", "was attested: rack 7, and is local by attestation: rack 8"),
        (URL, "https://api.else.example/v1", "counts_as_local", f"was at {URL}, and is local by attestation: rack 7"),
        ("- { name: c, tier: cloud,", '- { name: c, tier: local, attestedLocal: "ok",', "counts_as_local", "was a cloud backend, and is local by attestation: ok"),
        ("rules:", '- { name: more, tier: local, attestedLocal: "new", external: { provider: openai, model: g, url: "https://n.example/v1" } }\nrules:', "counts_as_local", "more (https://n.example/v1) was not there"),
        ("100.64.0.0/16, why", "100.64.0.0/10, why", "counts_as_local", "addresses in 100.64.0.0/10 count as local now: the mesh"),
        ('why: "the mesh" }', 'why: "the mesh" }, { cidr: 198.18.0.0/15, why: "lab" }', "counts_as_local", "198.18.0.0/15 count as local now: lab"),
        ("[pii, phi, hr]", "[pii, phi]\n    , knownClassifications: [hr]", "fewer_labels", "requests labelled hr were sensitive, and are not"),
        ("[pii, phi, hr]", "[pii, phi, hr], knownClassifications: [public, internal, lab]", "fewer_labels", "requests labelled lab counted as every sensitive label"),
        ("[pii, phi, hr]", "[pii, phi, hr], headerKey: x-data", "fewer_labels", "labels were read from x-llmkube-classification, and are read from x-data"),
        ("- { name: c, tier: cloud,", "- { name: c, tier: cloud, upwardHeaders: [x-user],", "more_of_the_request", "c (https://cloud.example/v1) receives the client's x-user"),
        ('attestedLocal: "rack 7",', 'attestedLocal: "rack 7", upwardHeaders: [x-user],', "more_of_the_request", "receives the client's x-user"),
        ("shadowPercent: 1 ", "shadowPercent: 100 ", "egress", "is sent 100 % of these requests, and was sent 1 %"),
        ("backends: [l] }", "backends: [l, ext] }", "counts_as_local", f"ext ({URL}) can be reached and could not; ext counts as local by attestation: rack 7"),
        ('["https://a.example"]', '["https://a.example", "https://b.example"]', "who_may_call", "web pages of https://b.example may call"),
        ("classification: {", "auditLog: { sink: file, filePath: /a/b }, classification: {", "enforcer", "audit records went to stdout, and go to file /a/b"),
    ],
)  # fmt: skip
def test_what_lets_more_out_is_listed(was: str, now: str, kind: str, said: str) -> None:
    assert was in OLD
    listed_ = found(OLD, OLD.replace(was, now))
    assert kind in {widening.kind for widening in listed_}
    assert said in "\n".join(widening.line for widening in listed_)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("100.64.0.0/16, why", "100.64.1.0/24, why"),
        ('"the mesh"', '"the mesh of rack 7"'),
        ("shadowPercent: 1 ", "shadowPercent: 1, "),
        ('["https://a.example"]', "[]"),
        ("name: ext,", "name: rack,"),
        ("{ name: c, tier: cloud,", "{ name: c, tier: cloud, weight: 3,"),
    ],
)  # fmt: skip
def test_what_lets_nothing_more_out_is_not(was: str, now: str) -> None:
    assert was in OLD
    assert found(OLD, OLD.replace(was, now)) == ()


def test_a_list_reads_the_same_whatever_order_its_parts_were_found_in() -> None:
    new = OLD.replace("100.64.0.0/16", "100.64.0.0/10").replace("[pii, phi, hr]", "[pii, phi, hr], headerKey: x-data")  # fmt: skip
    first = found(OLD, new)
    assert listed(iter(first[::-1])) == first
    assert [w.kind for w in first][:2] == ["counts_as_local", "fewer_labels"]


def test_a_line_has_url_reason_rules_and_labels() -> None:
    (widening,) = (w for w in found(OLD, OLD.replace("backends: [l] }", "backends: [l, ext] }")))
    document: dict[str, Any] = widening.to_dict()
    assert (document["url"], document["reason"]) == (URL, "attestation: rack 7")
    assert document["rules"] == ("rule s",)
    assert document["labels"]
    assert "rack 7" in document["line"]
    assert "rule s" in document["line"]


def test_a_server_that_only_changes_its_tier_is_not_said_to_be_gone() -> None:
    flipped = OLD.replace("- { name: c, tier: cloud,", '- { name: c, tier: local, attestedLocal: "ok",')  # fmt: skip
    diff = compare(loaded(OLD), loaded(flipped))
    assert diff.changes
    assert all("cannot be reached" not in change.reason for change in diff.changes)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ('g, url: "https://cloud', 'h, url: "https://cloud'),
        ("https://cloud.example", "https://e.example"),
        ("shadowPercent: 1 ", "shadowPercent: 50 "),
        ("- { name: c, tier: cloud,", '- { name: c, tier: local, attestedLocal: "ok",'),
        ("strategy: shadow, shadowPercent: 1", "strategy: weighted"),
    ],
)
def test_was_and_is_are_never_the_same_text(was: str, now: str) -> None:
    assert was in OLD
    changes = compare(loaded(OLD), loaded(OLD.replace(was, now))).changes
    assert changes
    assert all(change.old_chain != change.new_chain for change in changes)
