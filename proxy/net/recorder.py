"""Turns what ended into its one audit record and its metrics."""

from collections.abc import Callable
from typing import Any, Final

from proxy.exchange.attempts import Attempts
from proxy.exchange.errors import KINDS, RejectedError
from proxy.exchange.machine import Exchange
from proxy.exchange.outcome import outcome_before_commit, terminal_code
from proxy.exchange.request_head import Head
from proxy.govern.record import (
    NO_ENDING,
    attempt_document,
    deadlines_fragment,
    decision_fields,
    milliseconds,
    render,
    undecided_fields,
)
from proxy.govern.sink import Sink
from proxy.observe.metrics import Metrics
from proxy.policy.decision import Decision, Refuse

ALARMS: Final = frozenset({"upstream_auth", "upstream_model"})
MEMO_BOUND: Final = 4096


class Recorder:
    """`wall` is epoch seconds, for people; durations come from the exchange's own clock."""

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
        self._worker = worker
        self._sequence = 0
        self._memo: dict[int, tuple[Decision, bytes]] = {}

    def exchange(self, exchange: Exchange) -> None:
        """Record an exchange that ended."""
        request, attempts = exchange.request, exchange.attempts
        order = attempts.order
        duration_s = self.now() - exchange.started_s
        answered = attempts.log[-1].backend if attempts.log else None
        if exchange.outcome not in {"complete", "upstream_refused"} and exchange.status != 200:
            answered = None
        tokens = exchange.tokens
        self._sequence += 1
        ending = {
            "worker": self._worker,
            "sequence": self._sequence,
            "time": self.wall(),
            "request_id": request.request_id,
            "door": "chat",
            "outcome": exchange.outcome,
            "terminal": exchange.terminal,
            "status": exchange.status,
            "error": exchange.code,
            "latency_ms": milliseconds(duration_s),
            "first_token_ms": _ms(exchange.first_token_s),
            "stream": request.scan.stream,
            "backend": answered.name if answered else None,
            "tier": answered.tier if answered else None,
            "attempts": [attempt_document(attempt) for attempt in attempts.log],
            "order": None if order is request.route.candidates else [b.name for b in order],
            "skipped": [{"backend": s.backend, "reason": s.reason} for s in attempts.skipped],
            "bytes_in": request.received_bytes,
            "bytes_out": exchange.bytes_out,
            "tokens": tokens
            and {
                "prompt": tokens.prompt,
                "completion": tokens.completion,
                "source": tokens.source,
            },
            "splices": exchange.splices,
            "malformed_events": exchange.malformed_events,
            "deadlines": exchange.deadlines and deadlines_fragment(exchange.deadlines),
        }
        self.sink.write(render(ending, self._decided(request.route)))
        rule = request.route.reading.rule_name or ""
        backend = answered.name if answered else ""
        tier = answered.tier if answered else ""
        prompt, completion = (tokens.prompt, tokens.completion) if tokens is not None else (0, 0)
        tally = self.metrics.request(rule, backend, tier, exchange.outcome)
        tally.measure(duration_s, exchange.first_token_s, prompt, completion)
        self._count_attempts(attempts)

    def refused(self, request_id: str, model_bytes: int, decision: Refuse) -> None:
        """Record a request that no backend may serve."""
        outcome = outcome_before_commit(decision.code)
        ending = {
            **NO_ENDING,
            **self._begin(request_id, outcome, "Pr-policy"),
            "status": KINDS[decision.code].status,
            "error": decision.code,
            "latency_ms": 0.0,
            "bytes_in": model_bytes,
            "bytes_out": 0,
        }
        self.sink.write(render(ending, self._decided(decision)))
        self.metrics.request(decision.reading.rule_name or "", "", "", outcome)

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
        outcome: str = (
            "bad_request" if kind.source == "client" else outcome_before_commit(kind.code)
        )
        terminal = terminal_code(kind.source, "b", kind.code)
        if kind.code == "client_gone":
            outcome, terminal = "client_gone", "Cb"
        self._plain(
            request_id,
            head,
            outcome,
            terminal,
            rejection.kind.code,
            rejection.kind.status if answered else None,
            bytes_in,
        )

    def models(self, request_id: str, head: Head, bytes_out: int) -> None:
        """Record an answer to GET /v1/models."""
        self._plain(request_id, head, "complete", "Pd", None, 200, 0, bytes_out)

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
            **self._begin(request_id, outcome, terminal),
            "door": head.door,
            "status": status,
            "error": error,
            "latency_ms": 0.0,
            "bytes_in": bytes_in,
            "bytes_out": bytes_out,
        }
        self.sink.write(render(ending, undecided_fields(self.digest())))
        self.metrics.request("", "", "", outcome)

    def _begin(self, request_id: str, outcome: str, terminal: str) -> dict[str, Any]:
        self._sequence += 1
        return {
            "worker": self._worker,
            "sequence": self._sequence,
            "time": round(self.wall(), 6),
            "request_id": request_id,
            "door": "chat",
            "outcome": outcome,
            "terminal": terminal,
        }

    def _decided(self, decision: Decision) -> bytes:
        """Render a decision's fields once: the same request gets the same decision value."""
        held = self._memo.get(id(decision))
        if held is not None and held[0] is decision:
            return held[1]
        if len(self._memo) >= MEMO_BOUND:
            self._memo.clear()
        fields = decision_fields(decision)
        self._memo[id(decision)] = (decision, fields)
        return fields

    def _count_attempts(self, attempts: Attempts) -> None:
        for attempt in attempts.log:
            self.metrics.attempt(attempt.backend.name, attempt.outcome)
            if attempt.outcome in ALARMS:
                self.metrics.alarm(attempt.backend.name, attempt.outcome)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else milliseconds(seconds)
