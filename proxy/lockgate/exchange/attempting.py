"""The phase of an attempt: a connection to a candidate, the request on its way up, the wait.

`Attempting` is the exchange's way to its candidates, from the first to the one whose response is
committed. The later phases come back to it where an attempt ends: `fail` (before the commit point,
by the retry law), `refuse` (the error is the client's own), `cut` (behind the commit point) and
`complete`. Each step returns the state in which it leaves the exchange.
"""

from typing import Final, final

from lockgate.bodies.edits import EditedBody
from lockgate.bodies.scan import Edit, Scan
from lockgate.bodies.splices import splices
from lockgate.errors.codes import Code, Ending
from lockgate.errors.kinds import KINDS, RejectedError, of_deadline
from lockgate.errors.outcome import Phase
from lockgate.exchange import commands as do
from lockgate.exchange.candidates import Candidates
from lockgate.exchange.client_response import ClientResponse
from lockgate.exchange.deadlines import NO_DEADLINES, Deadlines
from lockgate.exchange.events import DeadlineName, FailureCode
from lockgate.exchange.ports import Ports
from lockgate.exchange.refusal import Refused
from lockgate.exchange.render import DO_NOT_RETRY, rejection_headers, whole_seconds
from lockgate.exchange.request import RoutedRequest
from lockgate.exchange.response_body import refusal
from lockgate.exchange.retry import Again, Failure, Next
from lockgate.exchange.state import State
from lockgate.http1.response_head import ResponseHead
from lockgate.policy.spec.backends import Backend


@final
class Attempting:
    """Tries the candidates of a decision, one after another.

    `limits` are the deadlines in force, those of the candidate dialled last. `splices` names what
    was changed in the body that went up, and `outgoing` is its way up while it arrives.
    `own_error` is the client's own, for where nobody else can serve. `first_token_s` counts
    from the exchange's start. The later phases find here what they share.
    """

    def __init__(
        self,
        request: RoutedRequest,
        ports: Ports,
        candidates: Candidates,
        response: ClientResponse,
        out: list[do.Command],
    ) -> None:
        self.request: Final = request
        self.ports: Final = ports
        self.candidates: Final = candidates
        self.response: Final = response
        self.out: Final = out
        self.limits: Deadlines = NO_DEADLINES
        self.splices: tuple[str, ...] = ()
        self.outgoing: EditedBody | None = None
        self.own_error: Refused | None = None
        self.first_token_s: float | None = None
        self._head: ResponseHead | None = None  # of the last response
        self._total_s: float | None = None  # as it is armed
        self._heartbeat_armed = False
        self._waiting_since_s = 0.0  # when the request was up
        self._waits_for_body: Backend | None = None  # is dialled when the body is whole
        self._failed_in: Phase = "r"  # the phase of the last failure

    # -- a connection

    def start(self) -> State:
        """Dial the first candidate."""
        return self.dial(self.candidates.next())

    def repeat(self) -> State:
        """The pause is over: dial the same candidate once more."""
        return self.dial(self.candidates.again() or self.candidates.next())

    def dial(self, backend: Backend | None) -> State:
        """Dial `backend` for the attempt that has begun there; give up where it is None."""
        if backend is None:
            return self._give_up()
        self.outgoing = None
        limits = self.limits = self.ports.deadlines(self.request, backend)
        if limits.total_s is not None and limits.total_s != self._total_s:
            self._total_s = limits.total_s
            self.out.append(do.Arm("total", self._left_s(limits.total_s)))
        if limits.heartbeat_s and not self._heartbeat_armed:
            self._heartbeat_armed = True
            self.out.append(do.Arm("heartbeat", self._left_s(limits.heartbeat_s)))
        if self.request.is_chunked and self._needs_length(backend):
            self._waits_for_body = backend
            self.out.append(do.DISARM)
            return State.GATHERING
        return self._connect(backend)

    def _connect(self, backend: Backend) -> State:
        self.out.append(do.Arm("connect", self.limits.connect_s))
        self.out.append(do.Dial(backend))
        return State.CONNECTING

    def _left_s(self, seconds: float) -> float:
        """Return what is left of so many seconds from the exchange's start."""
        return max(self.candidates.started_s + seconds - self.ports.now(), 0.0)

    def _needs_length(self, backend: Backend) -> bool:
        """Whether a body without a length is read whole before it goes up.

        A server that reads no chunks may just as well reset: a second attempt does not try it.
        """
        return len(self.candidates.log) > 1 or not self.ports.takes_chunked(backend)

    def is_withdrawn(self) -> bool:
        """Whether the policy has changed since the dial: no byte of the request may go there."""
        return not self.ports.allows(self.candidates.current.backend, self.request)

    def withdraw(self) -> State:
        """Take the attempt back before a byte was sent, and dial the next candidate."""
        self.candidates.withdraw()
        self.out.append(do.DROP)
        return self.dial(self.candidates.next())

    def redial(self) -> State:
        """A kept connection was dead and took no byte: a fresh one, which is not a repeat."""
        attempt = self.candidates.current
        attempt.bytes_written = False
        self.out.append(do.DROP)
        return self._connect(attempt.backend)

    # -- the request on its way up

    def connected(self, *, reused: bool) -> State:
        """The connection is made: send the request, or what came of it so far."""
        if self.is_withdrawn():
            return self.withdraw()
        request, backend = self.request, self.candidates.current.backend
        edits, names = splices(
            request.scan,
            backend.upstream_model,
            include_usage=request.scan.stream and self.ports.asks_usage(backend),
        )
        self.send(edits, names, reused=reused)
        return State.WAITING

    def send(self, edits: tuple[Edit, ...], names: tuple[str, ...], *, reused: bool) -> None:
        """Send the body with `edits`, which have these names."""
        request, attempt = self.request, self.candidates.current
        attempt.reused = reused
        attempt.bytes_written = True
        self.splices = names
        if request.whole:
            self._await_response()
        else:
            self.out.append(do.DISARM)
        if request.upload is None:
            self.out.append(do.SendUp(attempt.backend, request.body, edits))
            return
        self.outgoing = EditedBody(request.upload, edits, whole=request.whole)
        self.out.append(do.BeginUpload(attempt.backend, self.outgoing))

    def body_more(self) -> State:
        """More of the body came."""
        self.out.append(do.GO_ON)
        return State.WAITING

    def body_whole(self, scan: Scan) -> State:
        """The body is whole, and on its way up: a response is due from now on."""
        self.request.complete(scan)
        outgoing = self.outgoing
        if outgoing is not None:
            asks = self.ports.asks_usage(self.candidates.current.backend)
            if outgoing.end(scan.usage_edit if asks else None, scan.end):
                self.splices += ("stream_options.include_usage",)
            self._await_response()
            self.out.append(do.GO_ON)
        return State.WAITING

    def body_gathered(self, scan: Scan) -> State:
        """The body is whole, and a candidate was waiting for that."""
        self.request.complete(scan)
        return self.dial(self._waits_for_body)

    def body_rejected(self, rejection: RejectedError) -> State:
        """End with the client's own error, or for want of room: what went up is taken back."""
        kind = rejection.kind
        self.leave(kind.code)
        self.response.fail(
            kind,
            kind.terminal("b"),
            kind.outcome,
            lines=rejection_headers(rejection),
            detail=rejection.detail,
            param=rejection.param,
            close=True,
        )
        return State.DONE

    # -- the wait

    def _await_response(self) -> None:
        """The request is up: from now on a response is due."""
        limits = self.limits
        self._waiting_since_s = self.ports.now()
        due_s = limits.first_token_s if self.request.scan.stream else limits.whole_s
        self.out.append(do.Arm("first_token", due_s))

    def answered(self, head: ResponseHead) -> None:
        """Take note of a response's head."""
        attempt = self.candidates.current
        attempt.status, attempt.own_id = head.status, head.own_id
        self._head = head

    def saw_life(self) -> None:
        """Something came that is no response yet: the backend lives, and gets more time."""
        waited_s = self.ports.now() - self._waiting_since_s
        self.out.append(do.Arm("first_token", max(self.limits.alive_s - waited_s, 0.0)))

    def saw_first_token(self) -> None:
        """The first content came."""
        now = self.ports.now()
        self.candidates.sample(now)
        if self.first_token_s is None:
            self.first_token_s = now - self.candidates.started_s

    def show_life(self) -> None:
        """Show the client that its request is alive, and do so again in time."""
        seconds = self.limits.heartbeat_s
        self._heartbeat_armed = seconds > 0
        if not seconds:
            return  # the candidate that wanted it is not waited for any more
        self.out.append(do.Arm("heartbeat", seconds))
        if self.request.whole:  # else it is busy with sending
            self.response.show_life()

    def watch(self) -> None:
        """A response flows: from now on silence and idleness are what is waited for."""
        self.out.append(do.Watch(self.limits.silence_s, self.limits.idle_s))

    def lines(self, kind: bytes, head: ResponseHead) -> bytes:
        """Render the header lines of a response of the content type `kind`."""
        return kind + head.passed_on + head.hints + self._asked_headers() + self._listed(head)

    def _listed(self, head: ResponseHead) -> bytes:
        """Render what the backend's `downwardHeaders` let through."""
        names = self.candidates.current.backend.downward_headers
        return head.lines_of(names) if names else b""

    def _asked_headers(self) -> bytes:
        """Render who was asked last, and the id by which that backend knows the request."""
        if not self.candidates.log:
            return b""
        attempt = self.candidates.current
        lines = b"x-lockgate-backend: %b\r\n" % attempt.name.encode()
        if attempt.own_id:
            lines += b"x-lockgate-upstream-request-id: %b\r\n" % attempt.own_id.encode()
        return lines

    # -- an attempt ends

    def failed(self, code: FailureCode, phase: Phase) -> State:
        """The connection could not be made, or broke."""
        if code != "upstream_stale":
            return self.fail(Failure(code), phase)
        return self.withdraw() if self.is_withdrawn() else self.redial()

    def late(self, name: DeadlineName, phase: Phase) -> State | None:
        """A deadline passed; None where that ends nothing."""
        if name == "heartbeat":
            self.show_life()
            return None
        return self.fail(Failure(of_deadline(name)), phase)

    def fail(self, failure: Failure, phase: Phase, *, whole: bool = False) -> State:
        """End the attempt before the commit point, and do what the retry law says.

        `whole`: the response was read to its end, and its connection is as good as any.
        """
        self._failed_in = phase
        self.candidates.fail(failure, self.limits)
        verdict = self.candidates.verdict(failure)
        self.out.append(do.RELEASE if whole else do.DROP)
        self.response.hold(0)
        if isinstance(verdict, Again):
            self.out.append(do.Pause(verdict.pause_s))
            return State.PAUSING
        return self.dial(self.candidates.next()) if isinstance(verdict, Next) else self._give_up()

    def ask_without_usage(self, *, whole: bool) -> State | None:
        """Ask the same backend anew, which refused the `stream_options` that only we had added.

        It is remembered, and blamed on nobody. None where nothing may be sent twice.
        """
        self.ports.refuses_usage(self.candidates.current.backend)
        backend = self.candidates.without_usage()
        if backend is None:
            return None
        self.out.append(do.RELEASE if whole else do.DROP)
        self.response.hold(0)
        return self.dial(backend)

    def ask_with_length(self) -> State | None:
        """Send the body again with a length, where a 411 was about the chunked coding.

        Nothing of it was acted on (RFC 9110, section 15.5.12), so that this is not a repeat. None
        where it was not, or nothing may be sent twice.
        """
        attempt, outgoing = self.candidates.current, self.outgoing
        rule = self.request.route.reading.rule
        once = rule is not None and rule.retry == "connect-only"
        if once or outgoing is None or outgoing.length is not None:
            return None
        self.ports.wants_length(attempt.backend)
        attempt.bytes_written = False
        self.out.append(do.DROP)
        return self.dial(attempt.backend)

    def _give_up(self) -> State:
        """Nothing is left to try: end with one error."""
        if self.own_error is not None and self.candidates.is_clients_own:
            return self._pass_back(self.own_error)
        exhausted = self.candidates.exhausted()
        kind, cause = KINDS[exhausted.code], KINDS[exhausted.cause]
        lines = self._asked_headers() + exhausted.hints
        if exhausted.retry_after_s is not None:
            lines += b"retry-after: %d\r\n" % whole_seconds(exhausted.retry_after_s)
        if not exhausted.retryable:
            lines += DO_NOT_RETRY
        terminal = cause.terminal(self._failed_in)
        self.response.fail(kind, terminal, cause.outcome, lines=lines, detail=exhausted.detail)
        return State.DONE

    def refuse(self, refused: Refused, *, whole: bool) -> State:
        """End with the client's own error, as the upstream said it."""
        self.out.append(do.RELEASE if whole else do.DROP)
        self.response.hold(0)
        return self._pass_back(refused)

    def _pass_back(self, refused: Refused) -> State:
        """The client's own error: what was said of it, and nothing else of the upstream's text."""
        error = refusal(refused.said, refused.status, refused.code, self.request.request_id)
        lines = self._asked_headers()
        if self._head is not None:
            lines += self._head.hints + self._listed(self._head)
        self.response.refuse(refused.status, lines, error)
        self.candidates.end("upstream_refused", "released")
        return State.DONE

    def leave(self, outcome: Ending) -> None:
        """End the attempt by no fault of its backend."""
        self.candidates.end(outcome, "released")
        self.out.append(do.DROP)

    # -- behind the commit point

    def cut(self, code: Code, *, in_events: bool, blamed: bool = True) -> State:
        """Break the response off: it will not end cleanly.

        `in_events`: it is a stream of events, which can say so. `blamed`: it may be the backend's
        fault, if the error is one that counts.
        """
        kind = KINDS[code]
        blamed = blamed and kind.counts and self.limits.blames(code)
        self.candidates.end(code, "failed" if blamed else "released")
        self.out.append(do.DROP)
        self.response.cut(kind, in_events=in_events)
        return State.DONE

    def complete(self, terminal: str = "Ud", *, close: bool = False, reuse: bool = True) -> State:
        """End with a whole response; `reuse`: the upstream's connection may be used again."""
        self.candidates.end("complete", "succeeded")
        self.out.append(do.RELEASE if reuse else do.DROP)
        self.response.complete(terminal, close=close)
        return State.DONE
