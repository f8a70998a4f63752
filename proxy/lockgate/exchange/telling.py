"""What an exchange holds, and what it tells its caller besides an answer.

Errors, whole or behind a status line that went down as a sign of life; and every ending.
"""

from typing import Literal

from lockgate.bodies.lenient import write_json
from lockgate.bodies.upload import Outgoing
from lockgate.errors.body import error_event, error_object
from lockgate.errors.codes import Code, Ending
from lockgate.errors.kinds import KINDS, ErrorKind
from lockgate.errors.outcome import Outcome, Phase
from lockgate.exchange import commands as do
from lockgate.exchange import events as on
from lockgate.exchange.attempts import Attempts
from lockgate.exchange.deadlines import NO_DEADLINES, Deadlines
from lockgate.exchange.large_response import LargeResponse
from lockgate.exchange.ports import Ports
from lockgate.exchange.refusal import Refused
from lockgate.exchange.relay import StreamRelay
from lockgate.exchange.render import (
    DO_NOT_RETRY,
    EVENTS,
    JSON,
    SIGN_OF_LIFE,
    chunk,
    head_of,
    whole,
    whole_error,
    whole_seconds,
)
from lockgate.exchange.request import RoutedRequest
from lockgate.exchange.response_body import refusal
from lockgate.exchange.resume import Continuation, DeliveredText
from lockgate.exchange.state import PHASE, State
from lockgate.exchange.tokens import Tokens, estimated, of_bytes
from lockgate.http1.response_head import ResponseHead
from lockgate.policy.spec.backends import Backend


class Telling:
    """The state of an exchange, and its endings. After `Ended` it has the record's facts."""

    __slots__ = (
        "_begun",
        "_booked",
        "_continuation",
        "_document",
        "_failed_in",
        "_grace_s",
        "_head_out",
        "_heartbeat_armed",
        "_held",
        "_held_bytes",
        "_limits",
        "_out",
        "_outgoing",
        "_refusal",
        "_relay",
        "_resumes",
        "_spoken",
        "_total_armed",
        "_waiting_since_s",
        "_waits",
        "attempts",
        "bytes_out",
        "code",
        "deadlines",
        "first_token_s",
        "malformed_before",
        "outcome",
        "ports",
        "request",
        "response",
        "splices",
        "started_s",
        "state",
        "status",
        "terminal",
        "tokens_before",
        "usage",
    )

    def __init__(self, request: RoutedRequest, ports: Ports) -> None:
        self.request = request
        self.ports = ports
        self.state = State.NEW
        self.started_s = ports.now()
        self.attempts = Attempts(request, ports, self.started_s)
        self.deadlines: Deadlines | None = None
        self.splices: tuple[str, ...] = ()
        self.status: int | None = None
        self.code: Code | Literal["upstream_refused"] | None = None
        self.outcome: Outcome = "internal"
        self.terminal = ""
        self.bytes_out = 0
        self.first_token_s: float | None = None
        self.usage: tuple[int, int] | None = None
        self.response: ResponseHead | None = None
        self.malformed_before = 0
        self.tokens_before = (0, 0)
        rule = request.route.reading.rule
        self._resumes = rule is not None and rule.recovery == "resume"
        self._spoken: DeliveredText | None = None
        self._continuation: Continuation | None = None
        self._document: LargeResponse | None = None  # what goes down before it is whole
        self._limits = NO_DEADLINES
        self._failed_in: Phase = "r"  # the phase of the last failure
        self._total_armed: float | None = None
        self._heartbeat_armed = False
        self._head_out = False  # a status line went down, maybe before there was an answer
        self._waiting_since_s = 0.0  # when the request was up, for the first token
        self._refusal: Refused | None = None  # the caller's own, where nobody else can serve
        self._relay: StreamRelay | None = None
        self._begun = False  # something of a whole answer came besides blank lines
        self._grace_s = 0.0  # its text is whole, its end is waited for so long
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._booked = 0  # of the memory budget
        self._out: list[do.Command] = []
        self._waits: Backend | None = None  # for the rest of the body, before it is dialled
        self._outgoing: Outgoing | None = None  # of the attempt under way, while a body arrives

    def _beat(self) -> None:
        """Show the caller that its request is alive; nothing of an answer is committed by it."""
        seconds = self._limits.heartbeat_s
        self._heartbeat_armed = seconds > 0
        if not seconds:
            return  # the candidate that wanted it is not waited for any more
        self._out.append(do.Arm("heartbeat", seconds))
        if not self.request.whole:
            return  # it is busy with sending
        streams = self.request.scan.stream
        data = SIGN_OF_LIFE[streams]
        data = chunk(data) if self.request.chunks else data
        if not self._head_out:
            self._head_out, self.status = True, 200
            data = head_of(self.request, 200, EVENTS if streams else JSON) + data
        self._out.append(do.SendDown(data))

    def _give_up(self) -> None:
        """Nothing is left to try: one whole error answer."""
        if self._refusal is not None and self.attempts.is_clients_own:
            self._pass_back(self._refusal)
            return
        final = self.attempts.exhausted()
        kind, cause = KINDS[final.code], KINDS[final.cause]
        headers = self.request.response_headers + self._asked_headers() + final.hints
        if final.retry_after_s is not None:
            headers += b"retry-after: %d\r\n" % whole_seconds(final.retry_after_s)
        if not final.retryable:
            headers += DO_NOT_RETRY
        self.terminal, self.outcome = cause.terminal(self._failed_in), cause.outcome
        self._say(kind, headers, final.detail)
        self._end(cause.outcome, close=self.request.close)

    def _pass_back(self, refused: Refused) -> None:
        """The caller's own error: what was said of it, and nothing else of the upstream's text."""
        self.code = "upstream_refused"
        self.outcome, self.terminal = "upstream_refused", "Ud-refused"
        response, request = self.response, self.request
        error = refusal(refused.said, refused.status, refused.code, request.request_id)
        if self._head_out:
            self._say_late(error)
        else:
            self.status = refused.status
            headers = request.response_headers + self._asked_headers()
            if response is not None:
                headers += response.hints + self._listed(response)
            data = whole(refused.status, headers, write_json({"error": error}), close=request.close)
            self.bytes_out += len(data)
            self._out.append(do.SendDown(data))
        self.attempts.end("upstream_refused", "released")
        self._end("upstream_refused", close=request.close)

    def _listed(self, response: ResponseHead) -> bytes:
        """Render what the backend's `downwardHeaders` let through."""
        names = self.attempts.current.backend.downward_headers
        return response.lines_of(names) if names else b""

    def _asked_headers(self) -> bytes:
        """Render who was asked last, and the id by which that backend knows the request."""
        if not self.attempts.log:
            return b""
        attempt = self.attempts.current
        lines = b"x-lockgate-backend: %b\r\n" % attempt.name.encode()
        if attempt.own_id:
            lines += b"x-lockgate-upstream-request-id: %b\r\n" % attempt.own_id.encode()
        return lines

    def _say(
        self,
        kind: ErrorKind,
        headers: bytes,
        detail: str = "",
        param: str | None = None,
        *,
        close: bool = False,
    ) -> None:
        """Tell the caller an error: as a whole answer, or as the last words of one that began."""
        self.code = kind.code
        request_id = self.request.request_id
        if self._head_out:
            document = error_object(kind, request_id, detail=detail, param=param)
            self._say_late(document["error"])
            return
        self.status = kind.status
        data = whole_error(
            kind,
            request_id,
            headers=headers,
            detail=detail,
            param=param,
            close=close or self.request.close,
        )
        self.bytes_out += len(data)
        self._out.append(do.SendDown(data))

    def _say_late(self, error: dict[str, object]) -> None:
        """Say an error behind a status line, as an event where there are some; no end follows."""
        if self.request.scan.stream:
            data = error_event(error, (self.outcome, self.terminal))
        else:
            data = write_json({"error": error})
        self.bytes_out += len(data)
        self._out.append(do.SendDown(chunk(data) if self.request.chunks else data))

    # -- endings

    def _client_gone(self, event: on.ClientGone) -> None:
        self.code = self.outcome = "client_gone"
        cause = f"-{event.cause}" if event.cause else ""
        self.terminal = f"C{self._phase}{cause}"
        self._leave("client_gone")
        self._over()

    def _interrupted(self, event: on.Interrupted) -> None:
        kind = KINDS[event.code]
        self.terminal, self.outcome = kind.terminal(self._phase), kind.outcome
        self._leave(event.code)
        self._say(kind, self.request.response_headers, close=True)
        self._end(kind.outcome, close=True)

    def abandon(self) -> None:
        """A fault of ours in a step: end as `internal` where it stands, and hold nothing."""
        self.code = self.outcome = "internal"
        self.terminal = KINDS["internal"].terminal(self._phase)
        self.state = State.DONE
        self._out = []
        self._book(0)
        self.attempts.end("internal", "released")

    def _leave(self, outcome: Ending) -> None:
        self.attempts.end(outcome, "released")
        self._out.append(do.DROP)

    def _end(self, outcome: Outcome, *, close: bool) -> None:
        self.outcome = outcome
        self._over()
        cut = self._head_out and outcome != "complete"
        self._out.append(do.BREAK if cut else do.FINISH[close])

    def _over(self) -> None:
        self._book(0)
        self.state = State.DONE
        self._out.append(do.ENDED)

    def _book(self, size: int) -> None:
        """Hold `size` bytes in all from now on, in the eyes of the memory budget."""
        if size != self._booked:
            self.ports.memory.charge(size - self._booked, self.request.client)
            self._booked = size

    def _forget_held(self) -> None:
        self._held, self._held_bytes, self._relay = [], 0, None
        self._begun, self._grace_s = False, 0.0
        self._book(0)

    @property
    def _phase(self) -> Phase:
        return PHASE[self.state] if self.request.whole else "b"

    @property
    def tokens(self) -> Tokens | None:
        """What the answer used: as reported, summed over a resumed answer, or estimated.

        None where no answer began.
        """
        if self.first_token_s is None:
            return None
        prompt_before, completion_before = self.tokens_before
        usage, relay = self.usage, self._relay
        events = relay.content_events if relay is not None else 0
        if not (prompt_before or completion_before):
            if usage is not None:
                return Tokens(usage[0], usage[1], "reported")
            return estimated(self.request.received_bytes, events, self.bytes_out)
        if relay is None:  # nobody went on
            return Tokens(prompt_before, completion_before, "estimated")
        prompt, completion = usage or (of_bytes(self.request.received_bytes), events)
        return Tokens(prompt + prompt_before, completion + completion_before, "summed")
