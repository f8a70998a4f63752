"""Transcripts of an exchange: `>>` an event goes in, `<<` a command must come out.

    book = Playbook(backends...)
    book >> on.Start() << do.Dial("a") << (do.SendDown, do.Ended) ...

Every command that comes out must be asserted, in order; `end` fails when one was not. A transcript
that its test did not end is ended for it (tests/conftest.py): none can be forgotten. Where it stops in
the middle its client goes then, and every permit and byte must come back.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Self

from lockgate.bodies.scan import Scan
from lockgate.bodies.splices import scan
from lockgate.bodies.upload import Upload
from lockgate.exchange import commands as do
from lockgate.exchange import events as on
from lockgate.exchange.attempts import Attempt, Settlement, Skipped
from lockgate.exchange.deadlines import Deadlines, resolve_deadlines
from lockgate.exchange.machine import Exchange
from lockgate.exchange.memory import MemoryBudget
from lockgate.exchange.ports import Ports
from lockgate.exchange.request import RoutedRequest
from lockgate.exchange.state import State
from lockgate.http1.response_head import ProtocolError, read_response_head
from lockgate.policy.deciding.decide import decide
from lockgate.policy.deciding.decision import Request, Route
from lockgate.policy.reading.load import compiled
from lockgate.policy.spec.backends import Backend, External, InferenceServiceRef
from lockgate.policy.spec.model_router import Proxy, RouterSpec
from lockgate.policy.spec.rules import RouteTo, Rule

PLAIN = b'{"model": "m", "messages": []}'
STREAM = b'{"model": "m", "messages": [], "stream": true}'
JSON = [(b"content-type", b"application/json"), (b"content-length", b"2")]
SSE = [(b"content-type", b"text/event-stream"), (b"transfer-encoding", b"chunked")]
QUIET = (do.Arm, do.Touch, do.Stir, do.Disarm)
ANSWER = b'{"choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}'


def local(name: str, **fields: Any) -> Backend:
    """Return a backend in the cluster."""
    return Backend(name=name, inference_service_ref=InferenceServiceRef(name=name), **fields)


def cloud(name: str, **fields: Any) -> Backend:
    """Return a backend in the cloud."""
    return Backend(
        name=name, tier="cloud", external=External(provider="openai", model=name), **fields
    )


class FakePorts(Ports):
    """Time that stands still, no jitter, every backend open; `log` has what was settled."""

    def __init__(self) -> None:
        self.retry_after_max_s = 3.0
        self.max_event_bytes = 8 << 20
        self.time = 100.0
        self.log: list[tuple[str, Settlement]] = []
        self.commits: list[str] = []
        self.closed: dict[str, Skipped] = {}
        self.forbidden: set[str] = set()
        self.wanting_length: set[str] = set()
        self.repeats = 10
        self.out = 0
        self.memory = MemoryBudget(1 << 30)
        self.without_usage: set[str] = set()
        self.first_tokens: list[tuple[str, float]] = []

    def now(self) -> float:
        return self.time

    def jitter(self) -> float:
        return 0.5

    def order(self, request: RoutedRequest) -> tuple[Backend, ...]:
        return request.route.candidates

    def saw_first_token(self, backend: Backend, seconds: float) -> None:
        self.first_tokens.append((backend.name, seconds))

    def admit(self, backend: Backend, request: RoutedRequest) -> Any:
        if backend.name in self.closed:
            return self.closed[backend.name]
        self.out += 1
        return f"permit for {backend.name}"

    def allows(self, backend: Backend, request: RoutedRequest) -> bool:
        return backend.name not in self.forbidden

    def commit(self, attempt: Attempt, request: RoutedRequest) -> None:
        self.commits.append(attempt.backend.name)

    def settle(self, attempt: Attempt, how: Settlement, request: RoutedRequest) -> None:
        self.out -= 1
        self.log.append((attempt.backend.name, how))

    def deadlines(self, request: RoutedRequest, backend: Backend) -> Deadlines:
        return resolve_deadlines(request.route.reading.rule, backend, Proxy())

    def takes_chunked(self, backend: Backend) -> bool:
        return backend.name not in self.wanting_length

    def wants_length(self, backend: Backend) -> None:
        self.wanting_length.add(backend.name)

    def asks_usage(self, backend: Backend) -> bool:
        return backend.stream_usage is not False and backend.name not in self.without_usage

    def refuses_usage(self, backend: Backend) -> None:
        self.without_usage.add(backend.name)

    def may_repeat(self) -> bool:
        self.repeats -= 1
        return self.repeats >= 0


class Playbook:
    """One exchange under test. Deadlines (Arm, Touch) are not part of the transcript.

    `begun` has those that their test has not ended yet.
    """

    begun: ClassVar[list["Playbook"]] = []

    def __init__(
        self,
        *backends: Backend,
        body: bytes = PLAIN,
        label: str | None = None,
        chunks: bool = True,
        arriving: bool = False,
        chunked: bool = False,
        **rule: Any,
    ) -> None:
        names = tuple(backend.name for backend in backends)
        spec = RouterSpec(
            backends=backends, rules=(Rule(name="r", route=RouteTo(backends=names), **rule),)
        )
        headers = {"x-llmkube-classification": (label,)} if label else {}
        route = decide(compiled(spec), Request("m", headers))
        assert isinstance(route, Route)
        self.ports = FakePorts()
        scanned = scan(body)
        length = None if chunked else len(body)
        self.upload = Upload(read_from=None, length=length) if arriving else None
        if arriving:  # what is known before a body is whole
            scanned = Scan(
                "m", scanned.model_span, stream=False, include_usage=False, usage_edit=None
            )
        self.body = body
        request = RoutedRequest(
            request_id="req-1",
            body=b"" if arriving else body,
            scan=scanned,
            upload=self.upload,
            whole=not arriving,
            route=route,
            client_headers=headers,
            response_headers=b"x-request-id: req-1\r\n",
            chunks=chunks,
        )
        self.exchange = Exchange(request, self.ports)
        self.armed: dict[str, float] = {}
        self.pending: list[Any] = []
        self.down = b""
        self.begun.append(self)

    def __rshift__(self, event: on.Event) -> Self:
        """Put an event in; what the one before brought must all be asserted."""
        assert not self.pending, f"not asserted: {self.pending}"
        for command in self.exchange.handle(event):
            if isinstance(command, do.Arm):
                self.armed[command.name] = command.seconds
            elif isinstance(command, do.Watch):
                self.armed["silence"], self.armed["idle"] = command.silence_s, command.idle_s
            elif isinstance(command, do.Disarm):
                self.armed.clear()
            elif not isinstance(command, QUIET):
                self.pending.append(command)
        return self

    def __lshift__(self, expected: Any) -> Self:
        """Assert the next command: a type, a value, or a test of it; several as a tuple."""
        if type(expected) is tuple:
            for one in expected:
                self << one
            return self
        assert self.pending, f"nothing came, {expected} was expected"
        command = self.pending.pop(0)
        if isinstance(command, do.SendDown):
            self.down += command.data
        if isinstance(expected, type):
            assert isinstance(command, expected), command
        elif callable(expected):
            assert expected(command), command
        else:
            assert command == expected
        return self

    def answered(self) -> Self:
        """Go to where the first backend was sent the request."""
        self >> on.Start() << do.Dial  # type: ignore[operator]
        self >> on.Connected(reused=False) << do.SendUp  # type: ignore[operator]
        return self

    def more(self, piece: bytes) -> on.BodyMore:
        """Return the event of a piece that came of a body."""
        assert self.upload is not None
        self.upload.add(piece)
        return on.MORE

    def whole(self) -> on.BodyWhole:
        """Return the event of a body's end; all of it has come."""
        return on.BodyWhole(scan(self.body))

    def leave(self) -> Exchange:
        """Let the client of an exchange that is under way go; then it is over."""
        if self.exchange.state not in {State.NEW, State.DONE}:
            self >> on.ClientGone()  # type: ignore[operator]
            ended = [type(command) for command in self.pending]
            assert ended.count(do.Ended) == 1, f"a client that goes ends it, and not {ended}"
            self.pending.clear()
        return self.end()

    def end(self) -> Exchange:
        """Nothing may be left, and every permit is back."""
        self._begun_no_more()
        assert not self.pending, f"not asserted: {self.pending}"
        assert self.ports.out == 0, "a permit was not given back"
        assert self.ports.memory.held_bytes == 0, "memory was not given back"
        return self.exchange

    def _begun_no_more(self) -> None:
        if self in self.begun:
            self.begun.remove(self)

    @classmethod
    def end_all(cls) -> None:
        """End those that their tests did not; the client of one that is under way goes."""
        while cls.begun:
            cls.begun[0].leave()


def dial(name: str) -> Callable[[Any], bool]:
    """Expect a dial to this backend."""
    return lambda command: isinstance(command, do.Dial) and command.backend.name == name


def down(*parts: bytes) -> Callable[[Any], bool]:
    """Expect bytes to the caller that contain all of these."""
    return lambda c: isinstance(c, do.SendDown) and all(part in c.data for part in parts)


def event(text: str) -> on.ResponseData:
    """Return one SSE event with a content delta."""
    return on.ResponseData(
        b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % text.encode()
    )


def started(status: int, fields: list[tuple[bytes, bytes]]) -> on.Event:
    """Return what the shell reports of an answer's head."""
    lines = [b"HTTP/1.1 %d X" % status, *[b"%b: %b" % field for field in fields]]
    try:
        return on.ResponseStarted(read_response_head(b"\r\n".join(lines) + b"\r\n\r\n"))
    except ProtocolError:
        return on.UpstreamFailed("upstream_protocol")


def finish() -> on.ResponseData:
    """Return the event that carries a finish_reason."""
    return on.ResponseData(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n')


DONE = on.ResponseData(b"data: [DONE]\n\n")
