"""The phase in which a stream that broke off goes on with another candidate.

It is left for relaying once the next one answers, or by a cut when none of them can go on: the
error is then the one that the response broke off by, or that of the last attempt to go on.
`exchange.resume` says what may be continued, and how.
"""

from typing import Final, final

from lockgate.bodies.conversation import Conversation
from lockgate.bodies.splices import splices
from lockgate.errors.codes import Code
from lockgate.errors.kinds import KINDS, of_deadline
from lockgate.exchange import commands as do
from lockgate.exchange.attempting import Attempting
from lockgate.exchange.events import DeadlineName, FailureCode
from lockgate.exchange.refusal import judge
from lockgate.exchange.relay import StreamRelay
from lockgate.exchange.response_body import Said
from lockgate.exchange.resume import Continuation, DeliveredText, prefill_edit, takes_prefill
from lockgate.exchange.retry import Failure
from lockgate.exchange.state import State
from lockgate.exchange.tokens import of_bytes
from lockgate.http1.response_head import ProtocolError, ResponseHead, check_usable
from lockgate.policy.spec.backends import Backend


@final
class Resuming:
    """Goes on with a stream, as often as it breaks off. `delivered` is what the client has.

    `tokens_before` (prompt, completion) and `malformed_before` are those of the attempts that were
    lost. `relay` is the stream's that goes on, from `answered` on.
    """

    relay: StreamRelay

    def __init__(self, attempting: Attempting) -> None:
        self._attempting: Final = attempting
        self.delivered: Final = DeliveredText()
        self.tokens_before = (0, 0)
        self.malformed_before = 0
        self._lost_by: Code = "upstream_reset"
        self._continuation: Continuation | None = None

    def may_take(self, relay: StreamRelay, code: Code) -> bool:
        """Whether a stream that broke off by `code` can go on elsewhere."""
        request, delivered = self._attempting.request, self.delivered
        if relay.finished or not KINDS[code].resumable:
            return False
        if not delivered.resumable or request.scan.choices != 1:
            return False
        # where no word of the response was said, another may begin anew
        return delivered.is_thought or Conversation(request.pieces()).is_plain

    def resume(self, relay: StreamRelay, code: Code) -> State:
        """Leave the stream of `relay`, and go on with the next candidate where there is one."""
        self._end_attempt(Failure(code))
        backend = self._attempting.candidates.next()
        if backend is None:
            return self._cut()
        self.malformed_before += relay.malformed_events
        received = self._attempting.request.received_bytes
        prompt, completion = relay.usage or (of_bytes(received), relay.content_events)
        before = self.tokens_before
        self.tokens_before = (before[0] + prompt, before[1] + completion)
        return self._dial(backend)

    def connected(self, *, reused: bool) -> State:
        """The connection is made: ask for the rest, or for the whole once more."""
        attempting = self._attempting
        if attempting.is_withdrawn():
            return self._withdraw()
        request, backend = attempting.request, attempting.candidates.current.backend
        prefill = None
        if takes_prefill(backend.capabilities):
            prefill = prefill_edit(Conversation(request.pieces()), self.delivered.text)
        self._continuation = Continuation(
            self.delivered, prefilled=prefill is not None, before=self.tokens_before
        )
        edits, names = splices(
            request.scan,
            backend.upstream_model,
            include_usage=attempting.ports.asks_usage(backend),
            prefill=prefill,
        )
        attempting.send(edits, names, reused=reused)
        return State.RESUMING

    def answered(self, head: ResponseHead) -> State:
        """Judge the next backend's head; RELAYING_STREAM where it goes on."""
        attempting = self._attempting
        attempting.answered(head)
        try:
            check_usable(head, streaming=True)
        except ProtocolError:
            return self._fail(Failure("upstream_protocol"))
        if head.status >= 400:
            verdict = judge(head.status, Said(), retry_after_s=head.retry_after_s)
            if isinstance(verdict, Failure):
                return self._fail(verdict)
            return self._fail(Failure("upstream_error", head.status))
        if head.kind == "json":
            return self._fail(Failure("upstream_protocol"))
        scan = attempting.request.scan
        self.relay = StreamRelay(
            show_usage=scan.include_usage,
            max_event_bytes=attempting.ports.max_event_bytes,
            choices=scan.choices,
            delivered=self.delivered,
            continuing=self._continuation,
        )
        attempting.candidates.commit()
        name = attempting.candidates.current.name.encode()
        # a line before the next event: a blank one behind it would be an event (openai-python#2722)
        attempting.response.send(b": resumed by %b\n" % name)
        attempting.watch()
        return State.RELAYING_STREAM

    def failed(self, code: FailureCode) -> State:
        """The connection could not be made, or broke."""
        if code != "upstream_stale":
            return self._fail(Failure(code))
        if self._attempting.is_withdrawn():
            return self._withdraw()
        self._attempting.redial()
        return State.RESUMING

    def late(self, name: DeadlineName) -> State:
        """A deadline passed."""
        if name == "heartbeat":
            self._attempting.show_life()
            return State.RESUMING
        code = of_deadline(name)
        if not KINDS[code].resumable:
            return self._attempting.cut(code, in_events=True)
        return self._fail(Failure(code))

    def interrupted(self, code: Code) -> State:
        """The proxy itself ends the exchange."""
        return self._attempting.cut(code, in_events=True, blamed=False)

    def _fail(self, failure: Failure) -> State:
        """End the attempt to go on, and go on with the next candidate."""
        self._end_attempt(failure)
        return self._dial_or_cut(self._attempting.candidates.next())

    def _withdraw(self) -> State:
        """The policy changed while the connection was made: no byte of the request goes there."""
        self._attempting.candidates.withdraw()
        return self._dial_or_cut(self._attempting.candidates.next())

    def _end_attempt(self, failure: Failure) -> None:
        self._attempting.candidates.fail(failure, self._attempting.limits)
        self._lost_by = failure.code

    def _dial_or_cut(self, backend: Backend | None) -> State:
        return self._cut() if backend is None else self._dial(backend)

    def _dial(self, backend: Backend) -> State:
        attempting = self._attempting
        attempting.out.append(do.DROP)
        if attempting.limits.heartbeat_s:
            attempting.out.append(do.Arm("heartbeat", attempting.limits.heartbeat_s))
        attempting.dial(backend)
        return State.RESUMING

    def _cut(self) -> State:
        """No candidate is left to go on."""
        return self._attempting.cut(self._lost_by, in_events=True)
