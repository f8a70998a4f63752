"""Transcripts of exchanges that begin before their body is whole."""

from collections.abc import Callable
from typing import Any

from lockgate.bodies.edits import ROOM_BYTES
from lockgate.errors.kinds import RejectedError
from lockgate.exchange import commands as do
from lockgate.exchange import events as on
from lockgate.policy.spec.backends import Timeouts

from tests.exchange.playbook import (
    ANSWER,
    JSON,
    PLAIN,
    STREAM,
    Playbook,
    cloud,
    dial,
    down,
    local,
    started,
)

REFUSED = JSON


def up(length: int | None, data: bytes) -> Callable[[Any], bool]:
    """Expect an upload of this length of which so much may go up."""
    return lambda c: (
        isinstance(c, do.BeginUpload)
        and c.outgoing.length == length
        and b"".join(iter(lambda: c.outgoing.take(1 << 20), b"")) == data
    )


def begun(*names: str, **more: object) -> Playbook:
    """Return an exchange whose first backend takes what came so far."""
    book = Playbook(*[local(name) for name in names], arriving=True, **more)  # type: ignore[arg-type]
    book >> on.Start() << dial(names[0])
    book >> on.Connected(reused=False) << do.BeginUpload
    return book


def test_a_body_goes_up_as_it_comes_and_the_first_token_is_due_when_it_is_whole() -> None:
    book = begun("a")
    book >> book.more(PLAIN[:9]) << do.GO_ON
    assert "first_token" not in book.armed
    book >> book.more(PLAIN[9:]) << do.GO_ON
    book >> book.whole() << do.GO_ON
    assert book.armed["first_token"] == 600.0
    book >> started(200, JSON)
    book >> on.ResponseData(ANSWER)
    book >> on.ENDED << down(b"200 OK") << do.ReleaseUpstream << do.Ended << do.Finish(close=False)
    book.end()


def test_r21_a_length_stays_a_length_with_room_for_what_is_not_known_yet() -> None:
    book = Playbook(local("qwen"), arriving=True)
    book >> on.Start() << dial("qwen")
    length = len(PLAIN) + len(b"qwen") - len(b"m") + ROOM_BYTES
    book >> on.Connected(reused=False) << up(length, b"")
    book >> book.more(PLAIN) << do.GO_ON
    book >> book.whole() << do.GO_ON
    sent = book.exchange.attempting.outgoing
    assert sent is not None
    data = b"".join(iter(lambda: sent.take(1 << 20), b""))
    assert data == PLAIN.replace(b'"m"', b'"qwen"').replace(b"}", b" " * ROOM_BYTES + b"}")
    book >> on.ClientGone() << do.DropUpstream << do.Ended
    book.end()


def test_r21_a_chunked_body_waits_for_its_end_where_the_backend_speaks_no_http_1_1() -> None:
    book = Playbook(local("a"), arriving=True, chunked=True)
    book.ports.wanting_length.add("a")
    book >> on.Start()
    book >> book.more(PLAIN)
    assert not book.armed
    book >> book.whole() << dial("a")
    book >> on.Connected(reused=False) << up(len(PLAIN), PLAIN.replace(b'"m"', b'"a"'))
    assert book.armed["first_token"] == 600.0
    book >> on.ClientGone() << do.DropUpstream << do.Ended
    assert book.end().terminal == "Cw"


def test_r21_a_body_that_is_waited_for_may_end_in_every_way() -> None:
    def waiting(**more: Any) -> Playbook:
        book = Playbook(local("a"), arriving=True, chunked=True, **more)
        book.ports.wanting_length.add("a")
        return book >> on.Start()  # type: ignore[no-any-return, operator]

    book = waiting()
    book >> on.ClientGone() << do.DropUpstream << do.Ended
    assert book.end().terminal == "Cb"
    book = waiting()
    book >> on.BodyRejected(RejectedError("body_too_large")) << do.DropUpstream << down(b"413")
    book << do.Ended << do.Finish(close=True)
    assert book.end().terminal == "Cb-body-too-large"
    book = waiting()
    book >> on.Interrupted("draining") << do.DropUpstream << down(b"503")
    book << do.Ended << do.Finish(close=True)
    assert book.end().terminal == "Pb-drain"
    book = waiting(timeouts=Timeouts(total=1.0))
    book >> on.DeadlinePassed("total") << do.DropUpstream << down(b"504")
    book << do.Ended << do.Finish(close=True)
    assert book.end().outcome == "total_timeout"


def test_r21_a_411_to_the_chunked_coding_is_asked_again_with_a_length() -> None:
    """RFC 9110, section 15.5.12; lighttpd/lighttpd1.4 #38 answers so."""
    book = begun("a", chunked=True)
    book >> book.more(PLAIN) << do.GO_ON
    book >> started(411, JSON) << do.DropUpstream
    book >> book.whole() << dial("a")
    book >> on.Connected(reused=False) << up(len(PLAIN), PLAIN.replace(b'"m"', b'"a"'))
    book >> started(200, JSON)
    book >> on.ResponseData(ANSWER)
    book >> on.ENDED << down(b"200 OK") << do.ReleaseUpstream << do.Ended << do.Finish(close=False)
    exchange = book.end()
    assert book.ports.log == [("a", "succeeded")]
    assert len(exchange.candidates.log) == 1


def test_r21_a_411_to_a_whole_chunked_body_too() -> None:
    book = begun("a", chunked=True)
    book >> book.more(PLAIN) << do.GO_ON
    book >> book.whole() << do.GO_ON
    book >> started(411, JSON) << do.DropUpstream << dial("a")
    book >> on.Connected(reused=False) << up(len(PLAIN), PLAIN.replace(b'"m"', b'"a"'))
    book >> on.ClientGone() << do.DropUpstream << do.Ended
    book.end()


def test_r21_after_a_reset_a_chunked_body_is_not_tried_so_again() -> None:
    book = begun("a", "b", chunked=True)
    book >> book.more(PLAIN) << do.GO_ON
    book >> on.UpstreamFailed("upstream_reset") << do.DropUpstream << do.Pause
    book >> on.PauseOver()
    book >> book.whole() << dial("a")
    book >> on.Connected(reused=False) << up(len(PLAIN), PLAIN.replace(b'"m"', b'"a"'))
    book >> on.ClientGone() << do.DropUpstream << do.Ended
    book.end()


def test_r21_connect_only_asks_nobody_twice_for_a_411() -> None:
    book = begun("a", chunked=True, retry="connect-only")
    book >> started(411, JSON) << do.DropUpstream << down(b"502") << do.Ended
    book << do.Finish(close=True)
    assert book.ports.log == [("a", "released")]
    book.end()


def test_u5_an_upstream_that_dies_before_the_body_is_whole_is_repeated_then_left() -> None:
    book = begun("a", "b")
    book >> book.more(PLAIN[:9]) << do.GO_ON
    book >> on.UpstreamFailed("upstream_reset") << do.DropUpstream << do.Pause
    book >> book.more(PLAIN[9:12])
    book >> on.PauseOver() << dial("a")
    book >> on.Connected(reused=False) << do.BeginUpload
    book >> on.UpstreamFailed("upstream_reset") << do.DropUpstream << dial("b")
    book >> book.more(PLAIN[12:])
    book >> book.whole()
    book >> on.Connected(reused=False) << up(len(PLAIN), PLAIN.replace(b'"m"', b'"b"'))
    book >> on.ClientGone() << do.DropUpstream << do.Ended
    assert book.end().terminal == "Cw"


def test_connect_only_makes_no_further_attempt_once_a_piece_went_up() -> None:
    book = begun("a", "b", retry="connect-only")
    (
        book
        >> on.UpstreamFailed("upstream_reset")
        << do.DropUpstream
        << down(b"502", b"connection: close")
    )
    book << do.Ended << do.Finish(close=True)  # fmt: skip
    book.end()


def test_h6_an_early_error_is_the_answer_and_stops_the_upload() -> None:
    book = begun("a")
    book >> started(413, REFUSED)
    book >> book.more(PLAIN[:9])
    book >> on.ResponseData(ANSWER)
    book >> on.ENDED << do.ReleaseUpstream << down(b"413", b"connection: close") << do.Ended
    book << do.Finish(close=True)
    assert book.end().outcome == "upstream_refused"


def test_h6_a_good_answer_before_its_request_is_none() -> None:
    book = begun("a", "b")
    book >> started(200, JSON) << do.DropUpstream << do.Pause
    book >> on.ClientGone() << do.DropUpstream << do.Ended
    exchange = book.end()
    assert exchange.candidates.log[0].outcome == "upstream_protocol"


def test_c18_a_body_that_is_refused_at_its_end_takes_back_what_went_up() -> None:
    book = begun("a", "b")
    book >> book.more(PLAIN) << do.GO_ON
    rejection = RejectedError("duplicate_key", '"model" stands twice.', "model")
    book >> on.BodyRejected(rejection) << do.DropUpstream
    book << down(b"400", b"stands twice", b'"param":"model"', b"connection: close")
    book << do.Ended << do.Finish(close=True)
    exchange = book.end()
    assert (exchange.outcome, exchange.terminal) == ("bad_request", "Cb-duplicate-key")
    assert book.ports.log == [("a", "released")]


def test_no_room_for_the_rest_of_a_body_is_overload() -> None:
    book = begun("a")
    book >> on.BodyRejected(RejectedError("memory_full", retry_after_s=1)) << do.DropUpstream
    book << down(b"503", b"retry-after: 1") << do.Ended << do.Finish(close=True)
    assert book.end().outcome == "refused_overload"


def test_c2_a_caller_that_leaves_in_the_body_is_cb() -> None:
    book = begun("a")
    book >> on.ClientGone() << do.DropUpstream << do.Ended
    assert book.end().terminal == "Cb"


def test_a_caller_that_leaves_while_a_dial_runs_and_the_body_comes_is_cb_too() -> None:
    book = Playbook(local("a"), arriving=True)
    book >> on.Start() << do.Dial
    book >> book.more(b"{")
    book >> on.ClientGone() << do.DropUpstream << do.Ended
    assert book.end().terminal == "Cb"


def test_a_drain_that_ends_in_the_body_closes_the_connection() -> None:
    book = begun("a")
    book >> on.Interrupted("draining") << do.DropUpstream << down(b"503", b"connection: close")
    book << do.Ended << do.Finish(close=True)
    assert book.end().terminal == "Pb-drain"


def test_p2_a_sensitive_body_goes_up_to_local_backends_only() -> None:
    book = Playbook(local("a"), cloud("c"), label="pii", arriving=True)
    book >> on.Start() << dial("a")
    book >> on.UpstreamFailed("upstream_connect") << do.DropUpstream
    book << down(b"503", b"no_allowed_upstream", b"connection: close")
    book << do.Ended << do.Finish(close=True)
    book.end()


def test_a_streamed_answer_to_a_body_that_came_slowly_is_a_stream() -> None:
    book = begun("a", body=STREAM)
    book >> book.more(STREAM) << do.GO_ON
    book >> book.whole() << do.GO_ON
    assert book.exchange.splices == ("model", "stream_options.include_usage")
    book >> started(200, [(b"content-type", b"text/event-stream")])
    book >> on.ClientGone() << do.DropUpstream << do.Ended
    book.end()
