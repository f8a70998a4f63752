"""The half of an exchange after an answer broke off behind its commit point: cut, or continued.

Without `recovery: resume` the answer is cut: an error event where there are events, no clean end.
With it the exchange goes on to the remaining candidates (`exchange.resume` says how), and is
cut when none of them can go on.
"""

from typing import cast

from lockgate.bodies.conversation import Conversation
from lockgate.bodies.splices import splices
from lockgate.errors.body import error_event, error_object
from lockgate.errors.codes import Code
from lockgate.errors.kinds import KINDS, of_deadline
from lockgate.exchange import commands as do
from lockgate.exchange import events as on
from lockgate.exchange.ports import Settlement
from lockgate.exchange.refusal import judge, status_of
from lockgate.exchange.relay import StreamRelay
from lockgate.exchange.render import chunk
from lockgate.exchange.response_body import Said, said_by
from lockgate.exchange.resume import (
    Continuation,
    DeliveredText,
    prefill_edit,
    takes_prefill,
)
from lockgate.exchange.retry import Failure
from lockgate.exchange.state import State
from lockgate.exchange.tokens import of_bytes
from lockgate.exchange.trying import Trying
from lockgate.http1.response_head import ProtocolError, check_usable


class Breaking(Trying):
    """See the module's text."""

    __slots__ = ()

    def _cut_by_failure(self, event: on.UpstreamFailed) -> None:
        # a protocol error or a reset in the middle of an answer is the same loss to the caller
        self._lost("upstream_truncated" if event.code == "upstream_truncated" else "upstream_reset")

    def _cut_by_deadline(self, event: on.DeadlinePassed) -> None:
        self._lost(of_deadline(event.name))

    def _lost(self, code: Code) -> None:
        """The answer broke off: continue it where the rule says so and it can be, else cut it."""
        if self._may_resume(code):
            self._resume(code)
        else:
            self._cut(code)

    def _cut(self, code: Code, how: Settlement = "failed") -> None:
        """Break off after the commit point: an error event where there are events, no clean end."""
        kind = KINDS[code]
        self.code = code
        self.terminal = kind.terminal("s")
        self.outcome = kind.cut
        blamed = kind.counts and self._limits.blames(code) and not self._is_clients()
        self.attempts.end(code, how if blamed else "released")
        self._out.append(do.DROP)
        if self.state is not State.RELAYING_BODY:
            error = error_object(kind, self.request.request_id)["error"]
            self._pass_down(error_event(error, (self.outcome, self.terminal)))
        self._over()
        self._out.append(do.BREAK)

    def _is_clients(self) -> bool:
        """Whether the stream said of its error that it is the caller's: a status below 500."""
        relay = self._relay
        if relay is None or relay.error is None:
            return False
        status = status_of(said_by(relay.error))
        return status is not None and status < 500

    def _interrupted_late(self, event: on.Interrupted) -> None:
        self._cut(event.code, "released")

    def _pass_down(self, data: bytes) -> None:
        self.bytes_out += len(data)
        self._out.append(do.SendDown(chunk(data) if self.request.chunks else data))

    # -- resuming

    def _may_resume(self, code: Code) -> bool:
        relay, spoken = self._relay, self._spoken
        if relay is None or spoken is None or relay.finished or not KINDS[code].resumable:
            return False
        if self._is_clients() or not spoken.resumable or self.request.scan.choices != 1:
            return False
        # where no word of the answer was said, another may begin anew
        return spoken.is_thought or Conversation(self.request.pieces()).is_plain

    def _account_lost(self) -> None:
        """Add what the lost attempt used to what the whole answer will have used, once."""
        relay, self._relay, self.usage = self._relay, None, None
        if relay is None:
            return  # this one had not answered yet
        self.malformed_before += relay.malformed_events
        prompt, completion = relay.usage or (
            of_bytes(self.request.received_bytes),
            relay.content_events,
        )
        self.tokens_before = (self.tokens_before[0] + prompt, self.tokens_before[1] + completion)

    def _resume(self, code: Code) -> None:
        """End the attempt under way and go on with the next candidate, or cut."""
        self.attempts.fail(Failure(code), self._limits)
        self._resume_elsewhere(code)

    def _withdraw(self) -> None:
        """The policy changed while the connection was made, maybe to go on with a broken answer."""
        if self.state is not State.RESUMING:
            super()._withdraw()
            return
        self.attempts.withdraw()
        self._resume_elsewhere(cast("Code", self.attempts.current.outcome))

    def _resume_elsewhere(self, code: Code) -> None:
        backend = self.attempts.next()
        if backend is None:
            self._cut(code)
            return
        self._account_lost()
        self._out.append(do.DROP)
        if self._limits.heartbeat_s:
            self._out.append(do.Arm("heartbeat", self._limits.heartbeat_s))
        self._dial(backend)
        self.state = State.RESUMING

    def _resume_connected(self, event: on.Connected) -> None:
        attempt, request = self.attempts.current, self.request
        if not self.ports.allows(attempt.backend, request):
            self._withdraw()
            return
        attempt.reused = event.reused
        attempt.bytes_written = True
        spoken = cast("DeliveredText", self._spoken)
        edit = None
        if takes_prefill(attempt.backend.capabilities):
            edit = prefill_edit(Conversation(request.pieces()), spoken.text)
        self._continuation = Continuation(
            spoken, prefilled=edit is not None, before=self.tokens_before
        )
        edits, self.splices = splices(
            request.scan,
            attempt.backend.upstream_model,
            include_usage=self.ports.asks_usage(attempt.backend),
            prefill=edit,
        )
        self._send(attempt.backend, edits)

    def _resume_head(self, event: on.ResponseStarted) -> None:
        head = event.head
        attempt = self.attempts.current
        attempt.status, attempt.own_id = head.status, head.own_id
        try:
            check_usable(head, streaming=True)
        except ProtocolError:
            self._resume("upstream_protocol")
            return
        if head.status >= 400:
            verdict = judge(head.status, Said(), retry_after_s=head.retry_after_s)
            self._resume(verdict.code if isinstance(verdict, Failure) else "upstream_error")
            return
        if head.kind == "json":
            self._resume("upstream_protocol")
            return
        self._relay = StreamRelay(
            show_usage=self.request.scan.include_usage,
            max_event_bytes=self.ports.max_event_bytes,
            choices=self.request.scan.choices,
            spoken=self._spoken,
            continuing=self._continuation,
        )
        self.attempts.commit()
        self.state = State.RELAYING_STREAM
        name = self.attempts.current.backend.name.encode()
        # a line before the next event: a blank one behind it would be an event (openai-python#2722)
        self._pass_down(b": resumed by %b\n" % name)
        self._out.append(do.Watch(self._limits.silence_s, self._limits.idle_s))

    def _resume_failed(self, event: on.UpstreamFailed) -> None:
        if event.code == "upstream_stale":
            self._redial()
            if self.state is State.CONNECTING:
                self.state = State.RESUMING
        else:
            self._resume(event.code)

    def _resume_late(self, event: on.DeadlinePassed) -> None:
        if event.name == "heartbeat":
            self._beat()
        elif event.name == "total":
            self._cut("total_timeout")
        else:
            self._resume(of_deadline(event.name))
