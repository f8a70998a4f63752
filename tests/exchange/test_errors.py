"""Every row of the table of errors is played: its record says what docs/errors.md says."""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast, get_args

import pytest
from lockgate.audit.sink import Sink
from lockgate.errors.kinds import KINDS, RejectedError
from lockgate.exchange import commands as do
from lockgate.exchange import events as on
from lockgate.exchange.attempts import Skipped, SkipReason
from lockgate.exchange.machine import Exchange
from lockgate.exchange.state import State
from lockgate.http1.request_head import Head
from lockgate.policy.deciding.decide import decide
from lockgate.policy.deciding.decision import RefusalCode, Refuse, Request
from lockgate.policy.reading.load import compiled
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.rules import Match, RouteTo, Rule
from lockgate.server.metrics import Metrics
from lockgate.server.recorder import Recorder
from twisted.internet.task import Clock

from tests.exchange.playbook import JSON, SSE, STREAM, Playbook, cloud, down, event, local, started

HEAD = Head(door="chat", expects_continue=False, keep_alive=True, headers={})
PAGE = Path(__file__).parent.parent.parent / "docs" / "errors.md"
Play = Callable[[str], dict[str, Any]]
"""Ends a request with a code; returns its record."""


def record(write: Callable[[Recorder], None]) -> dict[str, Any]:
    """Return the one record that `write` makes."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "audit"
        sink = Sink(Clock(), path)
        write(Recorder(sink, Metrics(), lambda: 1e9, lambda: 100.0, lambda: "sha256:x"))
        sink.close()
        (line,) = path.read_bytes().splitlines()
    document: dict[str, Any] = json.loads(line)
    return document


def recorded(exchange: Exchange) -> dict[str, Any]:
    return record(lambda recorder: recorder.exchange(exchange))


def play(book: Playbook, *happenings: on.Event) -> dict[str, Any]:
    """Put the events in, the last one again where the attempt is repeated; return the record."""
    for happening in happenings:
        book.pending.clear()
        book >> happening
    if book.exchange.state is State.PAUSING:
        for again in (on.PauseOver(), on.Connected(reused=False), happenings[-1]):
            book.pending.clear()
            book >> again
    book.pending.clear()
    return recorded(book.end())


def uploading() -> Playbook:
    """A request whose body still arrives."""
    book = Playbook(local("a"), arriving=True)
    for happening in (on.Start(), on.Connected(reused=False)):
        book >> happening
        book.pending.clear()
    return book


def connecting() -> Playbook:
    book = Playbook(local("a"))
    book >> on.Start()
    return book


def waiting() -> Playbook:
    return Playbook(local("a")).answered()


def holding() -> Playbook:
    """A response that is not streamed, and not whole yet."""
    book = waiting()
    for happening in (started(200, JSON), on.ResponseData(b'{"choices"')):
        book >> happening
        book.pending.clear()
    return book


def relaying(**rule: Any) -> Playbook:
    """A stream behind its commit point."""
    book = Playbook(local("a"), local("b"), body=STREAM, **rule).answered()
    for happening in (started(200, SSE), event("so")):
        book >> happening
        book.pending.clear()
    return book


def by_failure(code: str) -> on.Event:
    return on.UpstreamFailed(code)


def by_deadline(code: str) -> on.Event:
    name = code.removesuffix("_timeout")
    return on.DeadlinePassed(cast("on.DeadlineName", name))


def ended(at: Callable[[], Playbook], by: Callable[[str], on.Event]) -> Play:
    return lambda code: play(at(), by(code))


def refused_body(code: str) -> dict[str, Any]:
    rejection = RejectedError(code)
    return record(
        lambda recorder: recorder.unserved("req-1", HEAD, rejection, answered=True, bytes_in=0)
    )


def refused(code: str) -> dict[str, Any]:
    """A sensitive request that a rule refuses, whose rule knows clouds only, or without a rule."""
    routes = {
        "refused_by_rule": RouteTo(refuse=True),
        "refused_by_policy": RouteTo(backends=("b",)),
    }
    rules = tuple(Rule(name="r", route=route) for name, route in routes.items() if name == code)
    spec = RouterSpec(backends=(cloud("b"),), rules=rules)
    model = "who" if code == "model_not_found" else "b"
    decision = decide(compiled(spec), Request(model, {"x-llmkube-classification": ("pii",)}))
    assert isinstance(decision, Refuse)
    return record(lambda recorder: recorder.refused("req-1", HEAD, 0, decision))


def skipped(reason: SkipReason) -> Play:
    def played(_: str) -> dict[str, Any]:
        book = Playbook(local("a"))
        book.ports.closed["a"] = Skipped("a", reason, 2.5)
        return play(book, on.Start())

    return played


def incapable(_: str) -> dict[str, Any]:
    """The one backend that can rests."""
    rule = Match(required_capabilities=("vision",))
    book = Playbook(local("a", capabilities=("vision",)), match=rule)
    book.ports.closed["a"] = Skipped("a", "breaker_open", 2.5)
    return play(book, on.Start())


def withdrawn(_: str) -> dict[str, Any]:
    """The policy changed while the request was on its way."""
    book = connecting()
    book.ports.forbidden = {"a"}
    return play(book, on.Connected(reused=False))


def diverged(_: str) -> dict[str, Any]:
    happenings = (on.Connected(reused=False), started(200, SSE), event("else"))
    return play(relaying(recovery="resume"), by_failure("upstream_reset"), *happenings)


def cut_by_us(_: str) -> dict[str, Any]:
    """The shell fails in carrying out an end."""
    book = relaying()
    exchange = book.exchange
    book >> on.ClientGone()
    book.pending.clear()
    exchange.abandon()
    return recorded(exchange)


def full(_: str) -> dict[str, Any]:
    """One large event, for which there is no room."""
    book = relaying()
    book.ports.memory.limit_bytes = 1 << 20
    return play(book, on.ResponseData(b"data: " + b"x" * (2 << 20)))


ENDLESS: Final = 9 << 20
"""More than the largest event that is taken."""
PLACES: Final[dict[str, Callable[[], Playbook]]] = {
    "b": uploading,
    "c": connecting,
    "w": waiting,
    "s": relaying,
}
GONE: Final[dict[str, Play]] = {
    phase: ended(at, lambda _: on.ClientGone()) for phase, at in PLACES.items()
}
PLAYS: Final[dict[tuple[str, str], Play]] = {
    **{("client_gone", phase): gone for phase, gone in GONE.items()},
    **{
        (code, phase): ended(at, on.Interrupted)
        for code in ("draining", "internal")
        for phase, at in PLACES.items()
    },
    **{("total_timeout", phase): ended(PLACES[phase], by_deadline) for phase in "cws"},
    **{("idle_timeout", phase): ended(PLACES[phase], by_deadline) for phase in "ws"},
    ("silence_timeout", "w"): ended(holding, by_deadline),
    ("silence_timeout", "s"): ended(relaying, by_deadline),
    ("first_token_timeout", "w"): ended(waiting, by_deadline),
    ("connect_timeout", "c"): ended(connecting, by_deadline),
    ("internal", "d"): cut_by_us,
    ("no_allowed_upstream", "r"): withdrawn,
    **{(code, "r"): refused for code in get_args(RefusalCode)},
    ("no_capable_backend", "r"): incapable,
    ("upstreams_unavailable", "r"): skipped("breaker_open"),
    ("credentials_missing", "r"): skipped("credentials_missing"),
    ("upstream_protocol", "s"): lambda _: play(
        relaying(), on.ResponseData(b"data: " + b"x" * ENDLESS)
    ),
    ("upstream_error", "s"): lambda _: play(
        relaying(), on.ResponseData(b'data: {"error": {"message": "x"}}\n\n')
    ),
    ("resume_diverged", "s"): diverged,
    ("memory_full", "s"): full,
}
"""How a code is brought about where it is not simply reported, by code and phase."""


def play_of(code: str, phase: str) -> Play:
    """Return the way in which `code` ends a request in `phase`."""
    if (code, phase) in PLAYS:
        return PLAYS[code, phase]
    if phase == "b":
        return refused_body
    return ended(PLACES[phase], by_failure)


ROWS = [(code, phase) for code, kind in KINDS.items() for phase in kind.phases]


@pytest.mark.parametrize(("code", "phase"), ROWS)
def test_the_record_says_what_the_page_says(code: str, phase: str) -> None:
    made = play_of(code, phase)(code)
    kind = KINDS[code]
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{code}` |"))
    before, after = row.split(" | ")[-2:]
    cell = after if phase in "sd" else before
    assert f"`{made['outcome']}`" in cell
    assert f"`{made['terminal']}`" in cell
    assert made["terminal"][1] == phase
    assert made["error"] == code
    assert made["outcome"] == (kind.cut if phase in "sd" else kind.outcome)


def test_a_failure_is_told_with_the_phase_it_happened_in() -> None:
    book = waiting()
    book >> on.UpstreamFailed("upstream_error")
    book.pending.clear()
    book.ports.closed["a"] = Skipped("a", "breaker_open", 2.5)
    assert play(book, on.PauseOver())["terminal"] == "Uw-error"


@pytest.mark.parametrize(
    ("reasons", "rule", "code", "wait"),
    [
        (("breaker_open", "unhealthy"), {}, "upstreams_unavailable", b"3"),
        (("breaker_open", "unhealthy"), {"fail_closed": True}, "no_allowed_upstream", b"3"),
        (
            ("breaker_open", "unhealthy"),
            {"match": Match(required_capabilities=("v",))},
            "no_capable_backend",
            b"3",
        ),
        (("breaker_open", "credentials_missing"), {}, "upstreams_unavailable", b"3"),
    ],
)
def test_backends_that_rest_are_a_state_and_say_when_to_come_back(
    reasons: tuple[SkipReason, SkipReason], rule: dict[str, Any], code: str, wait: bytes
) -> None:
    book = Playbook(local("a", capabilities=("v",)), local("b", capabilities=("v",)), **rule)
    for name, reason in zip("ab", reasons, strict=True):
        book.ports.closed[name] = Skipped(name, reason, 2.5)
    book >> on.Start() << down(b" 503 ", b"retry-after: " + wait) << do.Ended << do.Finish
    assert b"x-should-retry" not in book.down
    made = recorded(book.end())
    told = (made["outcome"], made["terminal"], made["error"])
    assert told == ("upstream_failed", "Pr-open", code)


@pytest.mark.parametrize("rule", [{}, {"fail_closed": True}])
@pytest.mark.parametrize(
    ("skipped", "failure", "final"),
    [
        (("credentials_missing", "credentials_missing"), None, True),
        (("credentials_missing", None), "upstream_auth", True),
        ((None, "credentials_missing"), "upstream_auth", True),
        (("breaker_open", None), "upstream_auth", False),
        (("policy_changed", None), "upstream_model", False),
        (("credentials_missing", None), "upstream_connect", False),
        (("credentials_missing", "unhealthy"), None, False),
    ],
)
def test_no_repeat_is_wanted_where_nothing_that_failed_can_pass_by_itself(
    skipped: tuple[SkipReason | None, ...],
    failure: str | None,
    *,
    final: bool,
    rule: dict[str, Any],
) -> None:
    book = Playbook(local("a"), local("b"), **rule)
    for name, reason in zip("ab", skipped, strict=True):
        if reason is not None:
            book.ports.closed[name] = Skipped(name, reason, 0.0)
    book >> on.Start()
    if failure is not None:
        book.pending.clear()
        book >> on.UpstreamFailed(failure) << do.DropUpstream
    book << do.SendDown << do.Ended << do.Finish
    assert (b"x-should-retry: false\r\n" in book.down) is final
    assert (b"retry-after" in book.down) is (b" 503 " in book.down and not final)
    book.end()
