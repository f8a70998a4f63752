"""What `proxy` and `endpoint` may say of callers, and how it is written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.policy.reading.load import load_policy
from lockgate.policy.reading.problem import PolicyRefusedError
from lockgate.policy.spec.units import format_rate, parse_rate


def document(**more: Any) -> bytes:
    backend = {"name": "a", "inferenceServiceRef": {"name": "a"}}
    return json.dumps({"backends": [backend], "defaultRoute": "a", **more}).encode()


@given(st.integers(0, 1 << 29))
def test_a_rate_is_read_back_as_it_was_written(rate: int) -> None:
    assert parse_rate(format_rate(rate)) == rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [("0", 0), ("1KiB/s", 1024), ("2kB/s", 2000), ("300B/s", 300), ("1MiB/s", 1 << 20)],
)
def test_rates(text: str, rate: int) -> None:
    assert parse_rate(text) == rate
    assert load_policy(document(proxy={"minReadRate": text}), "p").spec.proxy.min_read_rate == rate


@pytest.mark.parametrize(
    ("fields", "place", "suggestion"),
    [
        ({"proxy": {"minReadRate": "1 k"}}, "proxy.minReadRate", "write `minReadRate: 1KiB/s`"),
        ({"proxy": {"minReadRate": 2048}}, "proxy.minReadRate", "write `minReadRate: 2048B/s`"),
        ({"proxy": {"minReadRate": "fast"}}, "proxy.minReadRate", "or 0 for none"),
        ({"proxy": {"callerMemory": {"share": 0}}}, "proxy.callerMemory.share", "share: 0.5"),
        ({"proxy": {"callerMemory": {"share": 1.1}}}, "proxy.callerMemory.share", "share: 0.5"),
        ({"proxy": {"callerMemory": {"share": "1"}}}, "proxy.callerMemory.share", "share: 0.5"),
        (
            {"proxy": {"callerMemory": {"except": ["10.0.0.5", "10.0.0.5/8"]}}},
            "proxy.callerMemory.except[1]",
            "10.0.0.5/32",
        ),
        ({"endpoint": {"keepAlive": "75"}}, "endpoint.keepAlive", "write `keepAlive: 75s`"),
    ],
)
def test_what_is_refused_has_its_place_and_its_mend(
    fields: dict[str, Any], place: str, suggestion: str
) -> None:
    with pytest.raises(PolicyRefusedError) as refused:
        load_policy(document(**fields), "p")
    (problem,) = refused.value.problems
    assert (problem.path, suggestion in problem.suggestion) == (place, True), problem


def test_what_acts_in_the_proxy_is_in_its_policy_and_its_digest() -> None:
    plain = load_policy(document(), "p")
    shaped = load_policy(document(endpoint={"port": 80, "type": "NodePort"}), "p")
    kept = load_policy(document(endpoint={"port": 80, "keepAlive": "20s"}), "p")
    assert plain.digest == shaped.digest != kept.digest
    assert kept.spec.endpoint.keep_alive == 20
