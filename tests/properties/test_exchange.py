"""The exchange under any order of events that can happen: what must hold whatever comes."""

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from lockgate.errors.kinds import RejectedError
from lockgate.exchange import commands as do
from lockgate.exchange import events as on
from lockgate.exchange.attempts import Skipped
from lockgate.exchange.machine import TRANSITIONS
from lockgate.exchange.state import State

from tests.exchange.playbook import DONE, JSON, SSE, Playbook, cloud, event, finish, local, started

STREAM = b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": true}'
PLAIN = b'{"model": "m", "messages": []}'
USAGE = on.ResponseData(
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n'
)
HEADS = [
    (200, SSE), (200, JSON), (200, [(b"content-type", b"text/html")]), (400, JSON), (404, JSON),
    (401, JSON), (429, [*JSON, (b"retry-after", b"1")]), (500, JSON), (503, JSON), (302, JSON),
]  # fmt: skip
DATA = [
    event("word "), event("other"), finish(), DONE, USAGE, on.ResponseData(b"data: {oops\n\n"),
    on.ResponseData(b'data: {"error": {"message": "x"}}\n\n'), on.ResponseData(b": ping\n\n"),
    on.ResponseData(b"{}"), on.ResponseData(b'data: {"choices":[{"delta":{"tool_calls":[{}]}}]}\n\n'),
    on.ResponseData(b'{"error": {"code": "context_length_exceeded"}}'), on.ResponseData(b"data: {"),
]  # fmt: skip
FAILURES = ["upstream_connect", "upstream_reset", "upstream_truncated", "upstream_tls",
            "upstream_protocol", "upstream_stale", "upstream_dns"]  # fmt: skip


class Exchanges(RuleBasedStateMachine):
    """One exchange; `down` is what its caller got."""

    @initialize(
        stream=st.booleans(),
        label=st.sampled_from([None, "pii"]),
        recovery=st.sampled_from(["none", "resume"]),
        retry=st.sampled_from(["default", "connect-only"]),
        prefill=st.booleans(),
        chunks=st.booleans(),
        closed=st.booleans(),
        arriving=st.booleans(),
    )
    def begin(
        self,
        stream: bool,
        label: str | None,
        recovery: str,
        retry: str,
        prefill: bool,
        chunks: bool,
        closed: bool,
        arriving: bool,
    ) -> None:
        capabilities = ("prefill",) if prefill else ()
        backends = (local("a"), cloud("b"), local("c", capabilities=capabilities))
        self.book = Playbook(
            *backends, body=STREAM if stream else PLAIN, label=label, recovery=recovery,
            retry="default" if recovery == "resume" else retry, chunks=chunks, arriving=arriving,
        )  # fmt: skip
        self.sensitive = label is not None
        self.ended: list[do.Command] = []
        self.dialled: list[str] = []
        self.committed_at: int | None = None
        if closed:
            self.book.ports.closed["a"] = Skipped("a", "breaker_open", 1.0)
        self.feed(on.Start())

    def feed(self, one: on.Event) -> None:
        exchange = self.book.exchange
        for command in exchange.handle(one):
            assert not self.ended or isinstance(command, do.Finish | do.Break), command
            if isinstance(command, do.Dial):
                self.dialled.append(command.backend.name)
                assert self.committed_at is None or exchange._resuming is not None
            elif isinstance(command, do.SendDown):
                self.book.down += command.data
            elif isinstance(command, do.SendUp):
                assert exchange.request.whole
            elif isinstance(command, do.Relay):
                assert exchange.request.whole, "committed before the request was there"
                self.committed_at = len(self.dialled)
            elif isinstance(command, do.Ended):
                self.ended.append(command)
            self.last = command

    def arrives(self) -> bool:
        return self.can(on.BodyMore) and not self.book.exchange.request.whole

    @precondition(arrives)
    @rule()
    def body_more(self) -> None:
        self.feed(self.book.more(b"x"))

    @precondition(arrives)
    @rule()
    def body_whole(self) -> None:
        self.feed(self.book.whole())

    @precondition(arrives)
    @rule(code=st.sampled_from(["body_timeout", "duplicate_key", "memory_full"]))
    def body_rejected(self, code: str) -> None:
        self.feed(on.BodyRejected(RejectedError(code)))

    def can(self, kind: type) -> bool:
        return (self.book.exchange.state, kind) in TRANSITIONS

    @precondition(lambda self: self.can(on.Connected))
    @rule(reused=st.booleans())
    def connected(self, reused: bool) -> None:
        self.feed(on.Connected(reused=reused))

    @precondition(lambda self: self.can(on.ResponseStarted))
    @rule(head=st.sampled_from(HEADS))
    def head(self, head: tuple[int, list[tuple[bytes, bytes]]]) -> None:
        self.feed(started(*head))

    @precondition(lambda self: self.can(on.ResponseWhole))
    @rule(head=st.sampled_from(HEADS), data=st.sampled_from(DATA))
    def whole(self, head: tuple[int, list[tuple[bytes, bytes]]], data: on.ResponseData) -> None:
        found = started(*head)
        if isinstance(found, on.ResponseStarted):
            self.feed(on.ResponseWhole(found.head, data.data))

    @precondition(lambda self: self.can(on.ResponseData))
    @rule(data=st.sampled_from(DATA))
    def data(self, data: on.ResponseData) -> None:
        self.feed(data)

    @precondition(lambda self: self.can(on.ResponseEnded))
    @rule()
    def answer_ended(self) -> None:
        self.feed(on.ResponseEnded())

    @precondition(lambda self: self.can(on.UpstreamFailed))
    @rule(code=st.sampled_from(FAILURES))
    def failed(self, code: str) -> None:
        if code != "upstream_stale" or self.book.exchange.state in {
            State.WAITING,
            State.RESUMING,
        }:
            self.feed(on.UpstreamFailed(code))

    @precondition(lambda self: self.can(on.DeadlinePassed))
    @rule(name=st.sampled_from(["connect", "first_token", "idle", "total"]))
    def late(self, name: on.DeadlineName) -> None:
        self.feed(on.DeadlinePassed(name))

    @precondition(lambda self: self.can(on.PauseOver))
    @rule()
    def pause_over(self) -> None:
        self.feed(on.PauseOver())

    @precondition(lambda self: self.can(on.ClientGone))
    @rule()
    def gone(self) -> None:
        self.feed(on.ClientGone())

    @precondition(lambda self: self.can(on.Interrupted))
    @rule()
    def interrupted(self) -> None:
        self.feed(on.Interrupted("draining"))

    @precondition(lambda self: self.book.exchange.state is State.DONE)
    @rule()
    def nothing_more_can_happen(self) -> None:
        assert not any(state is State.DONE for state, _ in TRANSITIONS)

    @invariant()
    def the_bound_holds(self) -> None:
        if hasattr(self, "book") and self.sensitive:
            assert "b" not in self.dialled

    @invariant()
    def an_end_is_an_end(self) -> None:
        if not hasattr(self, "book") or self.book.exchange.state is not State.DONE:
            return
        exchange, down = self.book.exchange, self.book.down
        assert len(self.ended) == 1
        assert self.book.ports.out == 0
        assert self.book.ports.memory.held_bytes == 0
        assert all(attempt.outcome for attempt in exchange.candidates.log)
        names = [attempt.backend.name for attempt in exchange.candidates.log]
        assert max(map(names.count, names), default=0) <= 2
        if not exchange.request.whole and isinstance(self.last, do.Finish):
            assert self.last.close, "the rest of a body would be read as a request"
            assert b"connection: close" in down
        if exchange.outcome == "complete":
            assert exchange.terminal == "Ud"
            assert isinstance(self.last, do.Finish)
        if isinstance(self.last, do.Break):
            assert exchange.outcome != "complete"
            assert b"[DONE]" not in down
            assert b"\r\n0\r\n\r\n" not in down
        if down.startswith(b"HTTP/1.1 200") and b"content-length" in down:
            json.loads(down.partition(b"\r\n\r\n")[2])


TestExchanges = Exchanges.TestCase
TestExchanges.settings = settings(stateful_step_count=30)
