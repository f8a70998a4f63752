"""What changed between two policies: each class of requests, and whether it leads further out."""

import attrs
import pytest
from lockgate.policy.spec.backends import Backend, External
from lockgate.policy.spec.model_router import Classification, Governance
from lockgate.policy.spec.rules import RouteTo, Rule
from pulumi_lockgate.proof.diff import Diff, compare
from pulumi_lockgate.proof.report import text_of

from tests.proof.policies import CLOUD, KEEP, LOCAL, policy, rule

ALL_LOCAL = rule("all", "l")


def kinds(diff: Diff) -> list[tuple[str, str, str]]:
    return [(c.kind, c.old_via, c.new_via) for c in diff.changes]


def test_the_same_policy_is_unchanged() -> None:
    one = policy(KEEP, rule("some", "c", models=("a*",)), default_route="l")
    diff = compare(one, one)
    assert (diff.changes, diff.widens) == ((), False)
    assert "UNCHANGED" in text_of(diff)


def test_a_label_taken_out_of_a_rule_widens_with_that_label() -> None:
    half = rule("keep", "l", data_classification=("pii",))
    diff = compare(policy(KEEP, default_route="c"), policy(half, default_route="c"))
    assert kinds(diff) == [("WIDENS", "rule keep", "default route c")]
    assert diff.widens
    assert diff.changes[0].witness.headers == (("x-llmkube-classification", "phi"),)


def test_the_reverse_narrows() -> None:
    half = rule("keep", "l", data_classification=("pii",))
    diff = compare(policy(half, default_route="c"), policy(KEEP, default_route="c"))
    assert kinds(diff) == [("NARROWS", "default route c", "rule keep")]
    assert not diff.widens


def test_rules_in_another_order_that_nobody_can_tell_are_unchanged() -> None:
    a, b = rule("a", "l", models=("a*",)), rule("b", "c", models=("b*",))
    assert compare(policy(a, b), policy(b, a)).changes == ()


def test_rules_in_another_order_that_overlap_are_not() -> None:
    a, b = rule("a", "l", models=("a*",)), rule("b", "c", models=("*b",))
    (change,) = compare(policy(a, b), policy(b, a)).changes
    assert (change.kind, change.witness.model) == ("WIDENS", "ab")


def test_a_cloud_that_comes_before_the_local_widens_and_behind_it_narrows() -> None:
    behind, before = policy(rule("r", "l", "c")), policy(rule("r", "c", "l"))
    assert kinds(compare(behind, before)) == [("WIDENS", "rule r", "rule r")]
    assert kinds(compare(before, behind)) == [("NARROWS", "rule r", "rule r")]


def test_fail_open_to_a_cloud_default_widens() -> None:
    shut, opened = rule("r", "l"), rule("r", "l", closed=False)
    diff = compare(policy(shut, default_route="c"), policy(opened, default_route="c"))
    assert kinds(diff) == [("WIDENS", "rule r", "rule r")]


def test_a_copy_that_goes_out_beside_the_answer_widens() -> None:
    def routed(strategy: str) -> Rule:
        route = RouteTo(backends=("l", "c"), strategy=strategy)  # type: ignore[arg-type]
        return Rule(name="r", route=route, fail_closed=True)

    plain, shadow = policy(routed("primary-fallback")), policy(routed("shadow"))
    assert kinds(compare(plain, shadow)) == [("WIDENS", "rule r", "rule r")]


@pytest.mark.parametrize(
    ("moved", "kind"),
    [
        (
            {"external": External(provider="openai", model="m", url="https://else.example")},
            "WIDENS",
        ),
        ({"external": External(provider="openai", model="another")}, "WIDENS"),
        ({"weight": 7, "context_length": 9}, None),
    ],
)
def test_a_backend_is_what_it_is_and_not_its_name(
    moved: dict[str, object], kind: str | None
) -> None:
    other = attrs.evolve(CLOUD, **moved)  # type: ignore[arg-type]
    old = policy(KEEP, default_route="c")
    new = policy(KEEP, default_route="c", backends=(LOCAL, other))
    changes = compare(old, new).changes
    assert [change.kind for change in changes] == ([kind] if kind else [])
    assert all("is not the backend that it was" in change.reason for change in changes)


def test_a_backend_of_another_name_is_the_same_backend() -> None:
    renamed = Backend(name="cloud", tier="cloud", external=CLOUD.external)
    old = policy(KEEP, default_route="c")
    new = policy(KEEP, default_route="cloud", backends=(LOCAL, renamed))
    assert compare(old, new).changes == ()


def test_a_label_that_one_policy_does_not_know_is_read_by_both() -> None:
    known = Classification(known_classifications=("public", "internal", "lab"))
    old = policy(KEEP, default_route="c")
    new = policy(KEEP, default_route="c", policy=Governance(classification=known))
    (change,) = compare(old, new).changes
    assert (change.kind, change.old_via) == ("WIDENS", "rule keep")
    assert change.witness.headers == (("x-llmkube-classification", "lab"),)


def test_another_header_for_the_labels_is_read_by_each_on_its_own() -> None:
    moved = Governance(classification=Classification(header_key="x-data"))
    old, new = policy(KEEP, default_route="c"), policy(KEEP, default_route="c", policy=moved)
    assert {change.kind for change in compare(old, new).changes} == {"WIDENS", "NARROWS"}


def test_what_is_not_decided_counts_as_widening() -> None:
    old, new = policy(KEEP, default_route="l"), policy(KEEP, default_route="c")
    diff = compare(old, new, seconds=0)
    assert (diff.changes, diff.widens) == ((), True)
    assert "UNDECIDED" in text_of(diff)


def test_a_change_keeps_a_test_that_the_old_policy_passes() -> None:
    (change,) = compare(policy(ALL_LOCAL), policy(rule("all", "c"))).changes
    assert change.policy_test()["expect"] == {"only": {"backends": ["l"]}}
