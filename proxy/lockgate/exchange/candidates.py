"""Which backend is tried next: the candidates of one decision, walked under the retry law.

The candidates come from the decision and from nowhere else. At most one repeat per backend;
going on to the next candidate is always allowed, unless the rule says connect-only.
"""

from attrs import define

from lockgate.errors.codes import Code, Ending
from lockgate.errors.kinds import KINDS, kind_of
from lockgate.exchange.attempts import Attempt, Settlement, Skipped
from lockgate.exchange.deadlines import Deadlines
from lockgate.exchange.ports import Ports
from lockgate.exchange.request import RoutedRequest
from lockgate.exchange.retry import (
    Again,
    Circumstances,
    Failure,
    Next,
    Verdict,
    counts,
    next_step,
)
from lockgate.policy.spec.backends import Backend

_RECOVERING = frozenset({"breaker_open", "unhealthy"})
_SOON_S = 1.0
"""What Retry-After says where nothing is known: a backend that is down may be back any moment."""


@define
class Exhausted:
    """The error that the client reads when no candidate is left.

    `cause` is the code of what failed, for the record; `retryable`: whether a repeat may go better.
    `hints`: rendered lines of the last backend's rate limit. `detail`: which setting to look at.
    """

    code: Code
    cause: Code
    retry_after_s: float | None
    retryable: bool
    hints: bytes = b""
    detail: str = ""


class Candidates:
    """The candidates of one exchange. `log` holds the attempts in order, `skipped` who got none."""

    def __init__(self, request: RoutedRequest, ports: Ports, started_s: float) -> None:
        self.request = request
        self.ports = ports
        self.started_s = started_s
        self.order = ports.order(request)
        self.log: list[Attempt] = []
        self.skipped: list[Skipped] = []
        self._position = 0
        self._repeated = False
        self._last: Failure | None = None
        self._longer_than: int | None = None

    @property
    def current(self) -> Attempt:
        """The attempt under way."""
        return self.log[-1]

    def next(self) -> Backend | None:
        """Begin an attempt on the next candidate that may be tried; None when there is none."""
        candidates = self.order
        while self._position < len(candidates):
            backend = candidates[self._position]
            self._position += 1
            if self._fits(backend) and self._begin(backend):
                self._repeated = False
                return backend
        return None

    def again(self) -> Backend | None:
        """Begin the one repeat on the same backend; None when it may not be tried any more."""
        self._repeated = True
        backend = self.current.backend
        return backend if self._begin(backend) else None

    def fail(self, failure: Failure, limits: Deadlines) -> None:
        """End the current attempt, under `limits`, as failed."""
        self._last = failure
        if failure.code == "first_token_timeout":
            self.sample(self.ports.now())
        counted = counts(failure) and limits.blames(failure.code)
        self.end(failure.code, "failed" if counted else "released", failure.status)
        if failure.code == "upstream_context":
            self._longer_than = self._larger(self.current.backend.context_length)

    def without_usage(self) -> Backend | None:
        """Begin anew on the same backend, which refused what only we had asked for.

        None where nothing may be sent twice, or it may not be tried any more.
        """
        rule = self.request.route.reading.rule
        backend = self.current.backend
        if rule is not None and rule.retry == "connect-only":
            return None
        self.end("upstream_refused", "released")
        return backend if self._begin(backend) else None

    def withdraw(self) -> None:
        """Take the current attempt back before a byte of it was sent: the policy has changed."""
        attempt = self.log.pop()
        self.ports.settle(attempt, "released", self.request)
        self.skipped.append(Skipped(attempt.backend.name, "policy_changed"))

    def sample(self, now: float) -> None:
        """Record the time to first token, or the deadline that was hit, as a latency sample."""
        attempt = self.current
        self.ports.saw_first_token(attempt.backend, now - attempt.started_s)

    def commit(self) -> None:
        """Record that the current attempt is answered: a probe has proved its backend by that."""
        self.ports.commit(self.current, self.request)

    def end(self, outcome: Ending, how: Settlement, status: int | None = None) -> None:
        """End the current attempt and give its permit back. Does nothing when it has ended."""
        if not self.log or self.current.outcome:
            return
        attempt = self.current
        attempt.outcome = outcome
        attempt.ended_s = self.ports.now()
        if status is not None:
            attempt.status = status
        if how == "failed":
            # a request is one failure of a backend, however often it was tried there
            before = self.log[:-1]
            if any(one.counted and one.backend is attempt.backend for one in before):
                how = "released"
            attempt.counted = how == "failed"
        self.ports.settle(attempt, how, self.request)

    def exhausted(self) -> Exhausted:
        """Return what all the failures together come to."""
        last = self._last
        waits = [s.retry_after_s for s in self.skipped if s.reason in _RECOVERING]
        cause = last.code if last is not None else self._why_none_was_tried(recovering=bool(waits))
        code, retryable = self._public(cause), self._is_retryable()
        wait_s = last.retry_after_s if last is not None else None
        if wait_s is None and retryable and KINDS[code].status == 503:
            wait_s = min(waits, default=_SOON_S)
        if last is None or code != cause:
            return Exhausted(code, cause, wait_s, retryable)
        return Exhausted(code, cause, wait_s, retryable, last.hints, KINDS[code].advice)

    @property
    def is_clients_own(self) -> bool:
        """Whether the last failure is the client's own, once no other candidate is left.

        A prompt that is too long for every backend is, and a model of the client's choice that none
        of them has.
        """
        if self._last is not None and self._last.code == "upstream_context":
            return True
        return bool(self.log) and all(
            attempt.outcome == "upstream_model" and attempt.backend.upstream_model is None
            for attempt in self.log
        )

    def _why_none_was_tried(self, *, recovering: bool) -> Code:
        if recovering:
            return "upstreams_unavailable"
        missing = any(s.reason == "credentials_missing" for s in self.skipped)
        return "credentials_missing" if missing else "no_allowed_upstream"

    def _public(self, cause: Code) -> Code:
        """Return the error that the client reads for `cause`."""
        reading = self.request.route.reading
        if cause == "upstream_context":
            return cause  # the client's own, whoever may serve it
        if reading.fail_closed:
            return "no_allowed_upstream"
        rule = reading.rule
        required = rule.match.required_capabilities if rule and rule.match else ()
        down = cause == "upstreams_unavailable" or KINDS[cause].is_unreached
        return "no_capable_backend" if required and down else cause

    def _is_retryable(self) -> bool:
        """Whether anything that kept a candidate from serving may pass by itself."""
        words = [*(attempt.outcome for attempt in self.log), *(one.reason for one in self.skipped)]
        kinds = [kind_of(word) for word in words]
        return not kinds or any(kind is None or kind.retryable for kind in kinds)

    def _begin(self, backend: Backend) -> bool:
        permit = self.ports.admit(backend, self.request)
        if isinstance(permit, Skipped):
            self.skipped.append(permit)
            return False
        self.log.append(Attempt(backend, permit, self.ports.now()))
        return True

    def _fits(self, backend: Backend) -> bool:
        declared = backend.context_length
        return self._longer_than is None or declared is None or declared > self._longer_than

    def _larger(self, declared: int | None) -> int:
        return max(declared or 0, self._longer_than or 0)

    def verdict(self, failure: Failure) -> Verdict:
        """Return what the retry law says after `failure`; a repeat is taken from the budget."""
        ports, attempt = self.ports, self.current
        rule = self.request.route.reading.rule
        total = ports.deadlines(self.request, attempt.backend).total_s
        at = Circumstances(
            repeated=self._repeated,
            bytes_written=attempt.bytes_written,
            connect_only=rule is not None and rule.retry == "connect-only",
            retry_after_max_s=ports.retry_after_max_s,
            remaining_s=None if total is None else self.started_s + total - ports.now(),
            jitter=ports.jitter(),
        )
        verdict = next_step(failure, at)
        if isinstance(verdict, Again) and not ports.may_repeat():
            return Next()
        return verdict
