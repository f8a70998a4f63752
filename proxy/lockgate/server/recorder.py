"""Turns what ended into its one audit record and its metrics."""

from collections.abc import Callable
from typing import Any, Final, final

from lockgate.audit.line import Stamp, exchange_line
from lockgate.audit.record import (
    NO_ENDING,
    deadlines_document,
    decision_fields,
    render,
    undecided_fields,
)
from lockgate.audit.sink import Sink
from lockgate.errors.kinds import ALARMS, KINDS, RejectedError
from lockgate.exchange.attempts import Attempt
from lockgate.exchange.deadlines import Deadlines
from lockgate.exchange.machine import Exchange
from lockgate.http1.request_head import Head
from lockgate.memo import BoundedMemo
from lockgate.policy.deciding.decide import is_kept, size_of
from lockgate.policy.deciding.decision import Decision, Refuse
from lockgate.server.metrics import Metrics

MEMO_BOUND: Final = 4096
MEMO_BYTES: Final = 8 << 20


@final
class _Decided:
    """What every record of one decision says, and its rule's name for the metrics."""

    def __init__(self, decision: Decision) -> None:
        self.decision: Final = decision
        self.fields: Final = decision_fields(decision)
        self.rule: Final = decision.reading.rule_name or ""


class Recorder:
    """`wall` is epoch seconds, for people; durations come from the exchange's own clock.

    `alarmed` is called with each attempt that blames how we are configured.
    """

    def __init__(  # noqa: PLR0913 - a record is made of many things
        self,
        sink: Sink,
        metrics: Metrics,
        wall: Callable[[], float],
        now: Callable[[], float],
        digest: Callable[[], str],
        *,
        worker: int | None = None,
    ) -> None:
        self.sink = sink
        self.metrics = metrics
        self.wall = wall
        self.now = now
        self.digest = digest
        self.alarmed: Callable[[Attempt], None] = _nothing
        self._worker = worker
        self._sequence = 0
        self._memo: BoundedMemo[int, _Decided] = BoundedMemo(MEMO_BOUND, MEMO_BYTES)
        self._limits: BoundedMemo[int, tuple[Deadlines, bytes]] = BoundedMemo(MEMO_BOUND)

    def exchange(self, exchange: Exchange) -> None:
        """Record an exchange that ended."""
        response, attempts = exchange.response, exchange.candidates.log
        duration_s = self.now() - exchange.started_s
        answered = attempts[-1] if attempts else None
        if response.outcome not in {"complete", "upstream_refused"} and response.status != 200:
            answered = None
        decided, tokens = self._decided(exchange.request.route), exchange.tokens
        self._sequence += 1
        stamp = Stamp(
            worker=self._worker,
            sequence=self._sequence,
            wall=self.wall(),
            duration_s=duration_s,
            decided=decided.fields,
            deadlines=self._deadlines(exchange.deadlines),
        )
        self.sink.write(exchange_line(exchange, answered, tokens, stamp))
        backend, tier = (answered.name, answered.tier) if answered is not None else ("", "")
        tally = self.metrics.request(decided.rule, backend, tier, response.outcome)
        if tokens is not None:
            tally.measure(duration_s, exchange.first_token_s, tokens.prompt, tokens.completion)
        else:
            tally.measure(duration_s, exchange.first_token_s, 0, 0)
        self._count_attempts(attempts)

    def refused(self, request_id: str, head: Head, model_bytes: int, decision: Refuse) -> None:
        """Record a request that no backend may serve."""
        kind = KINDS[decision.code]
        ending = {
            **NO_ENDING,
            **self._begin(request_id, head, kind.outcome, kind.terminal("r")),
            "status": kind.status,
            "error": decision.code,
            "latency_ms": 0.0,
            "bytes_in": model_bytes,
            "bytes_out": 0,
        }
        decided = self._decided(decision)
        self.sink.write(render(ending, decided.fields))
        self.metrics.request(decided.rule, "", "", kind.outcome)

    def unserved(
        self,
        request_id: str,
        head: Head,
        rejection: RejectedError,
        *,
        answered: bool,
        bytes_in: int,
    ) -> None:
        """Record a request whose head was admitted and whose body never became a request."""
        kind = rejection.kind
        self._plain(
            request_id,
            head,
            kind.outcome,
            kind.terminal("b" if "b" in kind.phases else "r"),
            kind.code,
            kind.status if answered else None,
            bytes_in,
        )

    def plain(self, request_id: str, head: Head, status: int, bytes_out: int) -> None:
        """Record an answer that no backend was needed for."""
        self._plain(request_id, head, "complete", "Pd", None, status, 0, bytes_out)

    def _plain(  # noqa: PLR0913, PLR0917 - a record has this many words
        self,
        request_id: str,
        head: Head,
        outcome: str,
        terminal: str,
        error: str | None,
        status: int | None,
        bytes_in: int,
        bytes_out: int = 0,
    ) -> None:
        ending = {
            **NO_ENDING,
            **self._begin(request_id, head, outcome, terminal),
            "status": status,
            "error": error,
            "latency_ms": 0.0,
            "bytes_in": bytes_in,
            "bytes_out": bytes_out,
        }
        self.sink.write(render(ending, undecided_fields(self.digest())))
        self.metrics.request("", "", "", outcome)

    def _begin(self, request_id: str, head: Head, outcome: str, terminal: str) -> dict[str, Any]:
        self._sequence += 1
        return {
            "worker": self._worker,
            "sequence": self._sequence,
            "time": round(self.wall(), 6),
            "request_id": request_id,
            "caller_request_id": head.client_request_id,
            "door": head.door,
            "outcome": outcome,
            "terminal": terminal,
        }

    def _decided(self, decision: Decision) -> "_Decided":
        """Render a decision's fields once: the same request gets the same decision value.

        One that the decider does not keep comes only once, and is not kept here either.
        """
        known = self._memo.get(id(decision))
        if known is not None and known.decision is decision:
            return known
        made = _Decided(decision)
        if is_kept(decision):
            self._memo.keep(id(decision), made, size_of(decision) + len(made.fields))
        return made

    def _deadlines(self, limits: Deadlines | None) -> bytes:
        """Render the deadlines in force once for each rule and backend."""
        if limits is None:
            return b"null"
        known = self._limits.get(id(limits))
        if known is not None and known[0] is limits:
            return known[1]
        document = deadlines_document(limits)
        self._limits.keep(id(limits), (limits, document))
        return document

    def _count_attempts(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            self.metrics.attempt(attempt.name, attempt.outcome)
            if attempt.outcome in ALARMS:
                self.metrics.alarm(attempt.backend.name, attempt.outcome)
                self.alarmed(attempt)


def _nothing(attempt: Attempt) -> None:
    """Report to nobody."""
