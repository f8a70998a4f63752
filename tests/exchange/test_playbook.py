"""The transcripts' own rules: what is not asserted fails, and no end can be forgotten."""

import pytest
from lockgate.exchange import commands as do
from lockgate.exchange import events as on

from tests.exchange.playbook import JSON, Playbook, dial, local, started


def test_a_command_that_nobody_asserts_fails_at_the_next_event_and_at_the_end() -> None:
    book = Playbook(local("a"))
    book >> on.Start()
    with pytest.raises(AssertionError, match="not asserted"):
        book >> on.ClientGone()
    with pytest.raises(AssertionError, match="not asserted"):
        book.end()


def test_several_commands_are_asserted_in_their_order() -> None:
    book = Playbook(local("a"), local("b"))
    book >> on.Start() << dial("a")
    book >> on.UpstreamFailed("upstream_connect")
    with pytest.raises(AssertionError):
        book << (dial("b"), do.DropUpstream)
    Playbook.begun.clear()


def test_a_transcript_that_its_test_forgot_is_ended_and_what_it_left_fails() -> None:
    book = Playbook(local("a")).answered()
    book >> started(200, JSON) >> on.ResponseData(b"{}") >> on.ResponseEnded()
    with pytest.raises(AssertionError, match="not asserted"):
        Playbook.end_all()
    assert book not in Playbook.begun


def test_a_transcript_that_stops_in_the_middle_gives_its_permit_back_when_its_client_goes() -> None:
    Playbook(local("a")).answered()
    Playbook.end_all()
    leak = Playbook(local("a")).answered()
    leak.ports.out += 1
    with pytest.raises(AssertionError, match="a permit was not given back"):
        Playbook.end_all()
