"""The half of an exchange that judges what an upstream's head begins, and what its errors say."""

from typing import Final, cast

from attrs import evolve

from lockgate.bodies.lenient import read_json, write_json
from lockgate.errors.kinds import KINDS
from lockgate.exchange import commands as do
from lockgate.exchange import events as on
from lockgate.exchange.breaking import Breaking
from lockgate.exchange.refusal import Refused, judge, status_of
from lockgate.exchange.relay import StreamRelay
from lockgate.exchange.response_body import Said, error_of, said_by, said_in
from lockgate.exchange.resume import DeliveredText
from lockgate.exchange.retry import Failure
from lockgate.exchange.state import State
from lockgate.http1.response_head import ProtocolError, ResponseHead, check_timely, check_usable

ERROR_LIMIT_BYTES: Final = 1 << 16
"""As much of an error's body as is read for its words."""
ERROR_BODY_S: Final = 10.0
"""So long the words of an error are waited for; then its status speaks alone."""
_SAYS_ENOUGH: Final = frozenset({401, 402, 407, 408, 411, 502, 503, 504, 522, 524})
"""Statuses whose words change nothing."""
_REFUSES_OPTIONS: Final = frozenset({400, 422})
_UNUSABLE: Final = Failure("upstream_protocol", deterministic=True)
"""A whole answer that is not what was asked for: asked again, it would come again."""


class Judging(Breaking):
    """See the module's text."""

    __slots__ = ()

    def _judge(self, event: on.ResponseStarted | on.ResponseWhole) -> None:
        """Take a head: what it begins is held until it is known what it is."""
        response, attempt = event.head, self.attempts.current
        attempt.status, attempt.own_id = response.status, response.own_id
        self.response = response
        streams = self.request.scan.stream
        try:
            check_usable(response, streaming=streams)
            check_timely(response, whole=self.request.whole)
        except ProtocolError as problem:
            timely = not problem.args[0].startswith("an answer before")
            self._fail(Failure("upstream_protocol", response.status, deterministic=timely))
            return
        if response.status >= 400:
            self._error_head(response)
        elif not streams:
            self.state = State.HOLDING_BODY
        else:
            self.state = State.HOLDING_STREAM
            self._spoken = DeliveredText() if self._resumes else None
            self._relay = StreamRelay(
                show_usage=self.request.scan.include_usage,
                max_event_bytes=self.ports.max_event_bytes,
                choices=self.request.scan.choices,
                spoken=self._spoken,
            )

    def _error_head(self, response: ResponseHead) -> None:
        if response.status == 411 and self._repeats_with_length():
            return
        if response.coded or response.status in _SAYS_ENOUGH:
            self._judged(response.status, Said())  # a coding says nothing against the status
        else:
            self._await_words()

    def _await_words(self) -> None:
        self.state = State.HOLDING_ERROR
        self._out.append(do.Arm("error_body", ERROR_BODY_S))

    def _hold_error(self, event: on.ResponseData) -> None:
        if self._held_bytes < ERROR_LIMIT_BYTES:
            self._hold(event.data)

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._held_bytes += len(data)
        self._book(self._held_bytes)

    def _error_ended(self, _: on.ResponseEnded) -> None:
        self._take_words(whole=True)

    def _error_broke_off(self, event: on.UpstreamFailed | on.DeadlinePassed) -> None:
        """The words of an error do not come: its status speaks alone."""
        if isinstance(event, on.DeadlinePassed) and event.name in {"total", "heartbeat"}:
            self._late(event)
        else:
            self._take_words(whole=False)

    def _take_words(self, *, whole: bool) -> None:
        body = b"".join(self._held)
        response = cast("ResponseHead", self.response)
        if response.status >= 400:
            if not self._asks_without_usage(response.status, body, whole=whole):
                self._judged(response.status, said_in(body), whole=whole)
            return
        error = _error_in(body)
        if error is None:
            self._fail(_UNUSABLE, whole=whole)
        else:
            self._judge_in_band(error, whole=whole)

    def _judge_in_band(self, error: object, *, whole: bool = False) -> None:
        """Judge an error that came behind a status of 200."""
        said = said_by(error)
        status = status_of(said)
        if not self._asks_without_usage(status, write_json(error), whole=whole):
            self._judged(status, said, whole=whole)

    def _judged(self, status: int | None, said: Said, *, whole: bool = False) -> None:
        response = cast("ResponseHead", self.response)
        verdict = judge(status, said, retry_after_s=response.retry_after_s)
        if isinstance(verdict, Refused):
            self._out.append(do.RELEASE if whole else do.DROP)
            self._forget_held()
            self._pass_back(verdict)
            return
        if verdict.code == "upstream_context":
            self._refusal = Refused(400, said, "context_length_exceeded")
        elif verdict.code == "upstream_model":
            self._refusal = Refused(404, evolve(said, param="model"), "model_not_found")
        elif KINDS[verdict.code].retry == "wait" or status == 503:
            verdict = evolve(verdict, hints=response.hints)
        self._fail(verdict, whole=whole)

    def _asks_without_usage(self, status: int | None, body: bytes, *, whole: bool) -> bool:
        """Whether a backend refused stream_options, which only we had asked for: asked again.

        It is remembered, and blamed on nobody.
        """
        attempt = self.attempts.current
        if (
            status not in _REFUSES_OPTIONS
            or "stream_options.include_usage" not in self.splices
            or attempt.backend.stream_usage != "auto"
            or b"stream_options" not in body
        ):
            return False
        self.ports.refuses_usage(attempt.backend)
        backend = self.attempts.without_usage()
        if backend is None:
            return False
        self._out.append(do.RELEASE if whole else do.DROP)
        self._forget_held()
        self._dial(backend)
        return True


def _error_in(body: bytes) -> object:
    try:
        return error_of(read_json(body))
    except ValueError:
        return None
