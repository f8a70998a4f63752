"""What a record says of a caller's texts, and how little of them is remembered."""

import json
from typing import Any

import pytest
from lockgate.audit.record import MOST_CHARS, beginning_of, cut, decision_fields
from lockgate.audit.sink import Sink
from lockgate.policy.deciding.decide import Decider, size_of
from lockgate.policy.deciding.decision import Refuse
from lockgate.policy.reading.load import load_policy
from lockgate.server.metrics import Metrics
from lockgate.server.recorder import Recorder
from twisted.internet.task import Clock

POLICY = load_policy(
    b"""\
backends:
- { name: cloud, tier: cloud, external: { provider: openai, model: m } }
rules:
- { name: org, match: { headers: { X-Org: one } }, route: { backends: [cloud] } }
""",
    "p.yaml",
)
LONG = '"' * 31_000


def test_r61_a_long_text_is_cut_and_its_length_said() -> None:
    assert cut("a" * MOST_CHARS) == "a" * MOST_CHARS
    assert cut(LONG) == '"' * MOST_CHARS + "... (31000 bytes)"
    assert cut("ä" * 300).endswith("ä... (600 bytes)")
    assert beginning_of(cut(LONG)) == LONG[:MOST_CHARS]


@pytest.mark.parametrize(
    "text", ["", "a" * 256, LONG, "a" * 256 + "... (9 bytes)", "a... (9 bytes)"]
)
def test_r61_no_whole_text_reads_like_a_cut_one(text: str) -> None:
    assert (beginning_of(cut(text)) is None) == (len(text) <= MOST_CHARS)


def test_r61_every_text_of_a_caller_is_cut_in_the_record() -> None:
    headers = dict.fromkeys(
        ("x-org", "x-llmkube-team", "x-llmkube-task-complexity", "x-llmkube-classification"),
        (LONG, "short"),
    )
    fields = decision_fields(Decider(POLICY).decide("m" * 40_000, headers))
    document: dict[str, Any] = json.loads(b"{%b}" % fields)
    assert len(fields) < 8000
    assert document["model"] == cut("m" * 40_000)
    assert document["team"].endswith("... (31007 bytes)")
    assert document["headers_read"]["x-org"] == [cut(LONG), "short"]


def _recorder(sink: Sink) -> Recorder:
    return Recorder(sink, Metrics(), lambda: 0.0, lambda: 0.0, lambda: "sha256:0")


def test_r61_what_came_once_and_was_long_is_not_remembered() -> None:
    """4,000 requests with a team of 31 KiB each were kept whole (as in cloudflare/vinext#1619)."""
    decider, recorder = Decider(POLICY), _recorder(Sink(Clock(), None))
    for number in range(50):
        decision = decider.decide("m", {"x-llmkube-team": (f"{number}{LONG}",)})
        recorder._decided(decision)
    assert (len(decider._memo), len(recorder._memo)) == (0, 0)
    short = decider.decide("m", {"x-llmkube-team": ("blue",)})
    assert decider.decide("m", {"x-llmkube-team": ("blue",)}) is short
    assert recorder._decided(short) is recorder._decided(short)


def test_r61_what_is_remembered_is_bounded_in_bytes() -> None:
    """ujeenet/rustango#990: a bound in entries is none where callers choose how large they are."""
    decider = Decider(POLICY, bound_bytes=100_000)
    recorder = _recorder(Sink(Clock(), None))
    recorder._memo.bound_bytes = 100_000
    for number in range(500):
        decision = decider.decide("m" * 900 + str(number), {})
        recorder._decided(decision)
        for memo in (decider._memo, recorder._memo):
            assert 0 < len(memo) < 30
    assert decider._memo.size_bytes <= 100_000
    assert recorder._memo.size_bytes <= 100_000


def test_r61_a_chain_counts_in_what_is_remembered() -> None:
    many = b"".join(
        b"- { name: b%d, tier: cloud, external: { provider: openai, model: m } }\n" % number
        for number in range(500)
    )
    names = ", ".join(f"b{number}" for number in range(500)).encode()
    rules = b"rules:\n- { name: all, route: { backends: [%b] } }\n" % names
    decision = Decider(load_policy(b"backends:\n" + many + rules, "p.yaml")).decide("m", {})
    assert not isinstance(decision, Refuse)
    assert size_of(decision) > 50_000
