"""Many records are summed up by what a reviewer asks: where from, where to, how many, which."""

import io

from hypothesis import given
from hypothesis import strategies as st
from lockgate.audit.recorded import BrokenRecordError, read_record
from lockgate.audit.rehearsal import EXAMPLES, STEP, Rehearsal, printable, rehearse
from lockgate.audit.replay import replay
from lockgate.policy.deciding.decide import Decider
from lockgate.policy.deciding.decision import Request
from lockgate.policy.reading.load import compiled
from lockgate.policy.spec.model_router import RouterSpec

from tests.audit.test_replay import ASKS, line, policy
from tests.properties.policies import requests, specs

LABEL = "x-llmkube-classification"
LOCAL = policy("defaultRoute: local\n")
CLOUD = policy("defaultRoute: cloud\n")


def rehearsed(spec: RouterSpec, *lines: bytes) -> Rehearsal:
    return rehearse(Decider(compiled(spec)), io.BytesIO(b"".join(lines)))


@given(specs(), specs(), st.lists(requests, max_size=8))
def test_the_sums_are_those_of_each_record_alone(
    old: RouterSpec, new: RouterSpec, sent: list[Request]
) -> None:
    lines = [line(old, request) for request in sent]
    each = [replay(Decider(compiled(new)), read_record(text)) for text in lines]
    found = rehearsed(new, *lines, *lines)
    assert found.records == 2 * len(lines)
    for verdict in ("same", "different", "undecidable"):
        assert found.counts[verdict] == 2 * sum(r.verdict == verdict for r in each)
    assert found.counts["widens"] == 2 * sum(r.widens for r in each)
    assert found.counts["may_widen"] == 2 * sum(r.may_widen for r in each)
    otherwise = found.counts["different"] + found.counts["undecidable"]
    assert sum(count for _, count, _ in found.classes) == otherwise


def test_a_class_has_its_count_its_share_and_its_first_examples() -> None:
    plain = line(LOCAL, Request("gpt", {}))
    phi = line(LOCAL, Request("m", {LABEL: ("phi",)}))
    found = rehearsed(CLOUD, phi, *[plain] * 7)
    assert list(found.lines()) == [
        "8 records, 1970-01-01 to 1970-01-01: 0 same, 8 different (100.0 %), 0 undecidable, 0 never decided",
        "  7 newly to a cloud backend (87.5 %)",
        "  1 newly refused (12.5 %)",
        "NEWLY TO A CLOUD: 7 requests (87.5 %), labels: none",
        "  was  default_route -> local",
        "  now  default_route -> cloud",
        "  first: line 2 req-1 (model gpt), line 3 req-1 (model gpt), line 4 req-1 (model gpt)",
        "newly refused: 1 request (12.5 %), labels: phi",
        "  was  default_route -> local",
        "  now  default_route -> refused, refused_by_policy",
        "  first: line 1 req-1 (model m)",
    ]  # fmt: skip
    assert [len(examples) for _, _, examples in found.classes] == [EXAMPLES, 1]


def test_that_nothing_newly_reaches_a_cloud_is_said() -> None:
    found = rehearsed(LOCAL, line(LOCAL, Request("m")))
    assert "  0 newly to a cloud backend" in list(found.lines())
    assert not found.widens
    assert next(iter(rehearsed(LOCAL).lines())).startswith("0 records: 0 same")


def test_what_cannot_be_ruled_out_counts_as_widening() -> None:
    found = rehearsed(policy(ASKS), line(LOCAL, Request("m", {"x-llmkube-task-complexity": ("complex",)})))  # fmt: skip
    assert found.widens
    assert [kind.title for kind, _, _ in found.classes] == ["may be newly to a cloud"]
    assert any("the record cannot tell" in text for text in found.lines())


def test_rare_classes_are_under_a_tenth_of_a_percent_and_many_are_cut() -> None:
    lines = [line(LOCAL, Request("m"))] * 2000
    rare = line(CLOUD, Request("m", {LABEL: ("phi",)}))
    shown = "\n".join(rehearsed(LOCAL, *lines, rare).lines())
    assert "another way: 1 request (under 0.1 %), labels: phi" in shown
    assert "1 class more" in "\n".join(rehearsed(LOCAL, *lines, rare).lines(most=0))


def test_each_line_is_told_and_the_bytes_read_add_up() -> None:
    whole, told, read = line(LOCAL, Request("m")), [], []
    text = whole * STEP + whole[:40] + b"\nlistening\n"
    rehearse(
        Decider(compiled(LOCAL)),
        io.BytesIO(text),
        progress=read.append,
        told=lambda number, found: told.append((number, found)),
    )
    assert sum(read) == len(text)
    assert len(read) == 2
    assert len(told) == STEP + 1
    assert told[-1][0] == STEP + 1
    assert isinstance(told[-1][1], BrokenRecordError)


def test_what_a_caller_sent_cannot_colour_a_terminal() -> None:
    assert printable("a\x1b[31m") == "'a\\x1b[31m'"
    shown = "\n".join(rehearsed(CLOUD, line(LOCAL, Request("a\x1b[31m"))).lines())
    assert "\x1b" not in shown
