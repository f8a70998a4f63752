"""The line of an exchange, put together by hand: one is written for every request.

It says what `lockgate.audit.record.render` would say of the same facts (tests/audit/test_line.py
holds it to that) at a quarter of the cost. What is put between quotes here needs no escapes: names
of the policy (``^[a-z0-9][a-z0-9-]*$``), words of closed lists, ids of our own.
"""

from typing import Final, final

import orjson

from lockgate.exchange.attempts import Attempt
from lockgate.exchange.machine import Exchange
from lockgate.exchange.tokens import Tokens

_NUMBERS: Final = [b"%d" % number for number in range(1000)]
_THOUSANDTHS: Final = [b"%03d" % number for number in range(1000)]


@final
class Stamp:
    """What a record says that is not the exchange's own. `wall` is epoch seconds.

    `decided` and `deadlines` are the members and the value rendered before.
    """

    def __init__(  # noqa: PLR0913 - a record has this many words
        self,
        *,
        worker: int | None,
        sequence: int,
        wall: float,
        duration_s: float,
        decided: bytes,
        deadlines: bytes,
    ) -> None:
        self.worker: Final = worker
        self.sequence: Final = sequence
        self.wall: Final = wall
        self.duration_s: Final = duration_s
        self.decided: Final = decided
        self.deadlines: Final = deadlines


def exchange_line(
    exchange: Exchange, answered: Attempt | None, tokens: Tokens | None, stamp: Stamp
) -> bytes:
    """Return the line of an exchange that ended; `answered` is the attempt whose answer it was."""
    request, candidates, response = exchange.request, exchange.candidates, exchange.response
    order, first_token_s = candidates.order, exchange.attempting.first_token_s
    return (
        b'{"worker":%b,"sequence":%d,"time":%b,"request_id":"%b","caller_request_id":%b,'
        b'"door":"chat",'
        b'"outcome":"%b","terminal":"%b","status":%b,"error":%b,"latency_ms":%b,'
        b'"first_token_ms":%b,"stream":%b,"backend":%b,"tier":%b,"attempts":[%b],"order":%b,'
        b'"skipped":%b,%b,"bytes_in":%d,"bytes_out":%d,"tokens":%b,"splices":%b,'
        b'"malformed_events":%d,"would_refuse":%b,"deadlines":%b,%b}\n'
    ) % (
        _number(stamp.worker),
        stamp.sequence,
        _seconds(stamp.wall),
        request.request_id.encode(),
        b"null" if request.client_request_id is None else orjson.dumps(request.client_request_id),
        response.outcome.encode(),
        response.terminal.encode(),
        _number(response.status),
        _word(response.code),
        _milliseconds(stamp.duration_s),
        b"null" if first_token_s is None else _milliseconds(first_token_s),
        b"true" if request.scan.stream else b"false",
        b"null" if answered is None else _word(answered.name),
        b"null" if answered is None else _word(answered.tier),
        _attempts(candidates.log),
        b"null" if order is request.route.candidates else _words(tuple(b.name for b in order)),
        _skipped(exchange),
        _breakers(candidates.log),
        request.received_bytes,
        response.bytes_out,
        _tokens(tokens),
        _words(exchange.attempting.splices),
        exchange.malformed_events,
        _would_refuse(exchange),
        stamp.deadlines,
        stamp.decided,
    )


def _would_refuse(exchange: Exchange) -> bytes:
    """Render the error that the policy would give, if it did not only observe."""
    rule = exchange.request.route.reading.rule
    if rule is None or not rule.fail_closed:
        return b"null"
    for attempt in exchange.candidates.log:
        if attempt.name not in rule.route.backends:
            return b'"no_allowed_upstream"'
    return b"null"


def _attempts(log: list[Attempt]) -> bytes:
    if len(log) == 1:
        return _attempt(log[0])
    return b",".join([_attempt(attempt) for attempt in log])


def _attempt(attempt: Attempt) -> bytes:
    own_id = b"null" if not attempt.own_id else orjson.dumps(attempt.own_id)
    # the format stands here, since that one is compiled
    return (
        b'{"backend":"%b","tier":"%b","outcome":"%b","ms":%b,"status":%b,"reused":%b,'
        b'"upstream_request_id":%b}'
    ) % (
        attempt.name.encode(),
        attempt.tier.encode(),
        attempt.outcome.encode(),
        _milliseconds(attempt.ended_s - attempt.started_s),
        _number(attempt.status),
        b"true" if attempt.reused else b"false",
        own_id,
    )


def _skipped(exchange: Exchange) -> bytes:
    skipped = exchange.candidates.skipped
    if not skipped:
        return b"[]"
    return orjson.dumps([{"backend": one.backend, "reason": one.reason} for one in skipped])


def _breakers(log: list[Attempt]) -> bytes:
    for attempt in log:
        if attempt.opened is not None or attempt.closed:
            return _changes(log)
    return b'"breaker_opened":[],"breaker_closed":[]'


def _changes(log: list[Attempt]) -> bytes:
    """Render which breakers this request's attempts opened, after which failures, and closed."""
    opened = [
        {
            "backend": attempt.backend.name,
            "seconds": round(attempt.opened.seconds, 3),
            "failures": attempt.opened.failures,
            "shut_to": attempt.opened.shut_to,
        }
        for attempt in log
        if attempt.opened is not None
    ]
    closed = [attempt.backend.name for attempt in log if attempt.closed]
    return b'"breaker_opened":%b,"breaker_closed":%b' % (orjson.dumps(opened), orjson.dumps(closed))


def _tokens(tokens: Tokens | None) -> bytes:
    if tokens is None:
        return b"null"
    return b'{"prompt":%b,"completion":%b,"source":"%b"}' % (
        _count(tokens.prompt),
        _count(tokens.completion),
        tokens.source.encode(),
    )


def _number(value: int | None) -> bytes:
    return b"null" if value is None else _count(value)


def _count(value: int) -> bytes:
    return _NUMBERS[value] if 0 <= value < 1000 else b"%d" % value


def _word(value: str | None) -> bytes:
    return b"null" if value is None else b'"%b"' % value.encode()


def _words(values: tuple[str, ...]) -> bytes:
    if len(values) == 1:
        return b'["%b"]' % values[0].encode()
    return b'["%b"]' % '","'.join(values).encode() if values else b"[]"


def _milliseconds(seconds: float) -> bytes:
    """Return milliseconds, cut to whole microseconds."""
    micros = max(int(seconds * 1e6), 0)
    return b"%b.%b" % (_count(micros // 1000), _THOUSANDTHS[micros % 1000])


def _seconds(wall: float) -> bytes:
    micros = int(wall * 1e6)
    millis = micros // 1000
    return b"%d.%b%b" % (
        millis // 1000,
        _THOUSANDTHS[millis % 1000],
        _THOUSANDTHS[micros % 1000],
    )
