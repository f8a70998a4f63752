"""Transcripts of large answers that last until their connection, as HTTP/1.0 servers send them."""

import json

import pytest
from lockgate.exchange import commands as do
from lockgate.exchange import events as on
from lockgate.exchange.holding import HOLD_LIMIT_BYTES

from tests.exchange.playbook import Playbook, down, local, started

UNTIL_CLOSE = [(b"content-type", b"application/json")]
LARGE = json.dumps({"choices": [{}], "data": [[float("nan"), 1.5, "x,é"]] * 100_000}).encode()
AT = HOLD_LIMIT_BYTES + 9


def begun(data: bytes = LARGE[:AT]) -> Playbook:
    """Return an exchange whose answer is over what is held, and goes down."""
    book = Playbook(local("a"), local("b")).answered()
    book >> started(200, UNTIL_CLOSE)
    book >> on.ResponseData(data) << down(b"200", b"chunked") << do.Relay
    return book


def test_r22_a_large_answer_is_whole_when_its_document_is() -> None:
    assert len(LARGE) > AT
    book = begun()
    book >> on.ResponseData(LARGE[AT:]) << do.SendDown
    book >> on.ENDED << down(b"0\r\n\r\n") << do.ReleaseUpstream << do.Ended
    book << do.Finish(close=False)
    assert book.end().outcome == "complete"


@pytest.mark.parametrize("cut", [1, 2, 1000])
def test_r22_one_that_ends_within_its_document_is_cut(cut: int) -> None:
    book = begun()
    book >> on.ResponseData(LARGE[AT:-cut]) << do.SendDown
    book >> on.ENDED << do.DropUpstream << do.Ended << do.BREAK
    assert book.end().outcome == "truncated"


def test_r22_what_is_no_document_is_cut_at_once_and_before_the_limit_another_backend_asked() -> (
    None
):
    book = begun()
    book >> on.ResponseData(b"} <html>") << do.DropUpstream << do.Ended << do.BREAK
    book.end()
    book = Playbook(local("a"), local("b")).answered()
    book >> started(200, UNTIL_CLOSE)
    book >> on.ResponseData(b"<" + LARGE) << do.DropUpstream
    assert not book.down
    book.pending.clear()
    book >> on.ClientGone() << do.DropUpstream << do.Ended
    book.end()
