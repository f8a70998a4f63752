"""A line is a record, a part of one, or something else; nothing is guessed."""

import io
import json
from typing import Any

import pytest
from lockgate.audit.recorded import (
    MAX_LINE_BYTES,
    BrokenRecordError,
    NoRecordError,
    lines_of,
    read_record,
)
from lockgate.policy.deciding.decision import Request

from tests.audit.test_replay import line, policy

WHOLE = line(policy("defaultRoute: local\n"), Request("m"))


def _with(**changed: Any) -> bytes:
    return json.dumps({**json.loads(WHOLE), **changed}).encode()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (WHOLE[:-20], "is not a whole JSON document"),
        (WHOLE[:9], "is not a whole JSON document"),
        (b'{"wor', "is not a whole JSON document"),
        (WHOLE[30:], "is not a whole JSON document"),
        (b'{"policy_digest": "sha256:0", "sequence": 1}', "lacks time, request_id"),
        (_with(headers_read=[]), "not a record as the proxy writes them"),
        (_with(headers_read={"x": [1]}), "not a record as the proxy writes them"),
        (_with(headers_read=None), "not a record as the proxy writes them"),
        (_with(candidates=[{"backend": "a"}]), "not a record as the proxy writes them"),
        (
            _with(candidates=[{"backend": ["a"], "tier": "local", "reason": "candidate"}]),
            "not a record",
        ),
        (_with(rule={}, via=[1]), "not a record as the proxy writes them"),
        (_with(candidates=None), "not a record as the proxy writes them"),
        (_with(model=5), "not a record as the proxy writes them"),
        (_with(time="noon"), "not a record as the proxy writes them"),
        (_with(time=-1), "time -1.0 is no time"),
        (_with(time=1e300), "is no time"),
        (_with(labels=5), "not a record as the proxy writes them"),
    ],
)
def test_a_part_of_a_record_is_broken(raw: bytes, words: str) -> None:
    with pytest.raises(BrokenRecordError, match=words):
        read_record(raw)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"[]", "is not a JSON object"),
        (b'{"sequence": 1}', "lacks time, request_id"),
        (b"\xff{}", "is not a whole JSON document"),
        (b"[" * 100_000, "is not a whole JSON document"),
        (b"2026-11-19T10:00:00Z lockgate: policy reloaded", "is not a whole JSON document"),
        (b'{"level": "info", "msg": "listening"}', "is no audit record"),
    ],
)
def test_another_line_is_no_record(raw: bytes, words: str) -> None:
    with pytest.raises(NoRecordError, match=words):
        read_record(raw)


def test_labels_are_read_and_older_records_have_none() -> None:
    sent = Request("m", {"x-llmkube-classification": ("phi, public",)})
    labelled = line(policy("defaultRoute: local\n"), sent)
    assert read_record(labelled).labels == ("phi", "public")
    typo = line(
        policy("defaultRoute: local\n"), Request("m", {"x-llmkube-classification": ("pfi",)})
    )
    assert read_record(typo).labels == ("unrecognised",)
    older = {k: v for k, v in json.loads(labelled).items() if k not in {"labels", "unrecognised"}}
    assert read_record(json.dumps(older).encode()).labels == ()


def test_lines_keep_their_numbers_and_a_long_one_is_cut() -> None:
    long = b"x" * (2 * MAX_LINE_BYTES + 3)
    found = list(lines_of(io.BytesIO(b"a\n\n  \n" + long + b"\nb")))
    assert [(number, len(text)) for number, text in found] == [
        (1, 2),
        (4, MAX_LINE_BYTES),
        (5, 1),
    ]
