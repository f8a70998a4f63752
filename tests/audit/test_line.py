"""An exchange's line, put together by hand, says what a plain rendering of the same facts says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.audit.line import Stamp, exchange_line
from lockgate.audit.record import deadlines_document, decision_fields
from lockgate.audit.recorded import BEGINNINGS
from lockgate.exchange.attempts import Attempt, Skipped
from lockgate.exchange.breaker import Opened
from lockgate.exchange.machine import Exchange
from lockgate.exchange.resuming import Resuming
from lockgate.exchange.tally import Suspect
from lockgate.exchange.tokens import Tokens

from tests.exchange.playbook import PLAIN, STREAM, Playbook, cloud, local

BACKENDS = (local("a"), cloud("b-2"))
SECONDS = st.floats(0, 1e5) | st.sampled_from([0.0, 0.000001, 0.9999999, 1.0005])
COUNT = st.integers(0, 2**40)
WORD = st.sampled_from(["complete", "client_gone", "upstream_reset", "first_token_timeout"])


def naive(
    exchange: Exchange, answered: Attempt | None, tokens: Tokens | None, stamp: Stamp
) -> dict[str, Any]:
    """Return the record as a document, in the order of its members."""
    request, attempts = exchange.request, exchange.candidates
    plain = attempts.order is request.route.candidates
    return {
        "worker": stamp.worker,
        "sequence": stamp.sequence,
        "time": int(stamp.wall * 1e6) / 1e6,
        "request_id": request.request_id,
        "caller_request_id": request.client_request_id,
        "door": "chat",
        "outcome": exchange.outcome,
        "terminal": exchange.terminal,
        "status": exchange.status,
        "error": exchange.code,
        "latency_ms": ms(stamp.duration_s),
        "first_token_ms": None if exchange.first_token_s is None else ms(exchange.first_token_s),
        "stream": request.scan.stream,
        "backend": answered.name if answered else None,
        "tier": answered.tier if answered else None,
        "attempts": [
            {
                "backend": attempt.backend.name,
                "tier": attempt.backend.tier,
                "outcome": attempt.outcome,
                "ms": ms(attempt.ended_s - attempt.started_s),
                "status": attempt.status,
                "reused": attempt.reused,
                "upstream_request_id": attempt.own_id or None,
            }
            for attempt in attempts.log
        ],
        "order": None if plain else [b.name for b in attempts.order],
        "skipped": [{"backend": s.backend, "reason": s.reason} for s in attempts.skipped],
        "breaker_opened": [
            {
                "backend": attempt.backend.name,
                "seconds": round(attempt.opened.seconds, 3),
                "failures": attempt.opened.failures,
                "shut_to": attempt.opened.shut_to,
            }
            for attempt in attempts.log
            if attempt.opened
        ],
        "breaker_closed": [attempt.backend.name for attempt in attempts.log if attempt.closed],
        "bytes_in": request.received_bytes,
        "bytes_out": exchange.response.bytes_out,
        "tokens": tokens
        and {
            "prompt": tokens.prompt,
            "completion": tokens.completion,
            "source": tokens.source,
        },
        "splices": list(exchange.splices),
        "malformed_events": exchange.malformed_events,
        "would_refuse": would_refuse(exchange),
        "deadlines": json.loads(stamp.deadlines),
        **json.loads(b"{%b}" % stamp.decided),
    }


def would_refuse(exchange: Exchange) -> str | None:
    rule = exchange.request.route.reading.rule
    asked = {attempt.backend.name for attempt in exchange.candidates.log}
    closed = rule is not None and rule.fail_closed
    kept_out = asked - set(rule.route.backends) if rule is not None else set()
    return "no_allowed_upstream" if closed and kept_out else None


def ms(seconds: float) -> float:
    return max(int(seconds * 1e6), 0) / 1e3


@st.composite
def attempts(draw: st.DrawFn) -> Attempt:
    made = Attempt(draw(st.sampled_from(BACKENDS)), None, draw(SECONDS))
    made.ended_s = made.started_s + draw(SECONDS)
    made.outcome = draw(WORD)
    made.status = draw(st.none() | st.integers(100, 599))
    made.reused = draw(st.booleans())
    failures = st.just({"upstream_error 500": 5})
    suspects = st.sampled_from([None, Suspect("a", None), Suspect("a", 1), Suspect(None, 1)])
    made.opened = draw(st.none() | st.builds(Opened, SECONDS, failures, suspects))
    made.closed = draw(st.booleans())
    made.own_id = draw(st.sampled_from(["", "req_1", chr(34) + "\\"]))
    return made


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    made = Playbook(*BACKENDS, body=draw(st.sampled_from([PLAIN, STREAM]))).exchange
    made.response.outcome = draw(WORD)  # type: ignore[assignment]
    made.response.terminal = draw(st.sampled_from(["Ud", "Us-idle", "Cw"]))
    made.response.status = draw(st.none() | st.integers(100, 599))
    made.response.code = draw(st.none() | WORD)
    made.attempting.first_token_s = draw(st.none() | SECONDS)
    made.response.bytes_out = draw(COUNT)
    made.attempting.splices = draw(
        st.sampled_from([(), ("model",), ("model", "stream_options.include_usage")])
    )
    made._resuming = Resuming(made.attempting)
    made._resuming.malformed_before = draw(st.integers(0, 3))
    made.candidates.log = draw(st.lists(attempts(), max_size=3))
    reasons = st.sampled_from(["breaker_open", "unhealthy"])
    made.candidates.skipped = [
        Skipped("b-2", reason) for reason in draw(st.lists(reasons, max_size=2))
    ]  # type: ignore[arg-type]
    if draw(st.booleans()):
        made.candidates.order = tuple(reversed(made.candidates.order))
    return made


@given(
    exchanges(),
    st.none() | attempts(),
    st.none() | st.builds(Tokens, COUNT, COUNT, st.sampled_from(["reported", "estimated"])),
    st.builds(
        Stamp,
        worker=st.none() | st.integers(0, 64),
        sequence=COUNT,
        wall=st.floats(0, 4e9),
        duration_s=st.floats(-1, 1e5),
        decided=st.just(b""),
        deadlines=st.just(b"null"),
    ),
)
def test_the_line_says_what_a_plain_rendering_says(
    exchange: Exchange, answered: Attempt | None, tokens: Tokens | None, bare: Stamp
) -> None:
    limits = exchange.attempting.ports.deadlines(exchange.request, BACKENDS[0])
    stamp = Stamp(
        worker=bare.worker,
        sequence=bare.sequence,
        wall=bare.wall,
        duration_s=bare.duration_s,
        decided=decision_fields(exchange.request.route),
        deadlines=deadlines_document(limits),
    )
    line = exchange_line(exchange, answered, tokens, stamp)
    assert line.count(b"\n") == 1
    assert line.endswith(b"}\n")
    assert line.startswith(BEGINNINGS)
    said, expected = json.loads(line), naive(exchange, answered, tokens, stamp)
    assert list(said) == list(expected)
    assert said.pop("time") == pytest.approx(expected.pop("time"), abs=2e-6)
    assert said == expected
