"""What resuming must know of a body is what a parser of the whole would say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.bodies.conversation import Conversation

from tests.bodies.json_pieces import chunkings, places

MESSAGES: list[Any] = [
    [], [{"role": "user", "content": "x"}], [{"role": "assistant"}], [{"role": "user"}, {"role": "assistant", "x": [{}]}],
    [{"role": "assistant"}, {"content": [{"role": "assistant"}], "role": "user"}], ["text"], [{}], [1, {"a": {"role": 1}}],
    {"role": "user"}, None, 7, [[{"role": "assistant"}]], [{"role": "user", "content": "]},{\\"}],
]  # fmt: skip
_bodies = st.fixed_dictionaries(
    {"model": st.just("m")},
    optional={
        "messages": st.sampled_from(MESSAGES),
        "n": st.sampled_from([None, 1, 2, [1], "1", 0]),
        "logprobs": st.sampled_from([None, True, False, 3]),
        "response_format": st.sampled_from([None, {"type": "text"}, {"type": "json_object"}, "text"]),
        "x": st.sampled_from([1, {"messages": [{"role": "user"}]}]),
    },
)  # fmt: skip


@given(_bodies, places, st.sampled_from([None, 1]))
def test_it_says_what_a_parser_of_the_whole_would_say(
    document: dict[str, Any], at: list[int], indent: int | None
) -> None:
    body = json.dumps(document, indent=indent).encode()
    form = document.get("response_format")
    plain = (
        document.get("n") in [None, 1]
        and not document.get("logprobs")
        and (form is None or (isinstance(form, dict) and form["type"] == "text"))
    )
    messages = document.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    takes_more = isinstance(last, dict) and last.get("role") != "assistant"
    for pieces in chunkings(body, at):
        found = Conversation(pieces)
        assert found.is_plain == plain
        end = found.last_message_end
        assert (end is not None) == takes_more
        if end is not None:
            assert isinstance(messages, list)
            longer = json.loads(body[:end] + b',"more"' + body[end:])
            assert longer == {**document, "messages": [*messages, "more"]}


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages":[{"role":"user"}],"messages":[{"role":"user"}]}',
        b'{"messages":[{"role":"user"}],"messages":7}',
        b'{"messages":[{"role":"user"}]',
    ],
)
def test_messages_that_two_parsers_read_differently_take_no_other(body: bytes) -> None:
    assert Conversation([body]).last_message_end is None


def test_a_field_that_stands_twice_is_not_plain() -> None:
    assert not Conversation([b'{"n":1,"n":1}']).is_plain
