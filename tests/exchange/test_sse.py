"""Server-sent events: one verdict however the bytes are cut, and what each event means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange.sse import Event, EventTooLargeError, Splitter, read_event


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    splitter, events, start = Splitter(), [], 0
    for cut in [*sorted(c % (len(data) + 1) for c in cuts), len(data)]:
        events += splitter.feed(data[start:cut])
        start = cut
    return events


_ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
_lines = st.sampled_from([b"data: a", b": ping", b"event: x", b"data: \xc3\xa9", b"id: 1"])


@given(
    st.lists(st.tuples(_lines, _ends, _ends), max_size=6), st.lists(st.integers(0, 400), max_size=8)
)
def test_events_do_not_depend_on_how_the_bytes_are_cut(
    lines: list[tuple[bytes, bytes, bytes]], cuts: list[int]
) -> None:
    data = b"".join(line + one + two for line, one, two in lines) + b"data: end\n\n"
    whole = split(data, [])
    assert split(data, cuts) == whole
    assert split(data, list(range(len(data)))) == whole
    assert b"".join(whole) == data


def test_a_crlf_cut_between_its_two_bytes_is_one_line_end() -> None:
    splitter = Splitter()
    assert splitter.feed(b"data: a\r\n\r") == []
    assert splitter.feed(b"\ndata: b\n\n") == [b"data: a\r\n\r\n", b"data: b\n\n"]


def test_s8_an_event_without_end_is_refused() -> None:
    splitter = Splitter(max_event_bytes=100)
    with pytest.raises(EventTooLargeError):
        splitter.feed(b"data: " + b"x" * 100)


@pytest.mark.parametrize(
    ("raw", "event"),
    [
        (b": ping\n\n", Event("comment")),
        (b"event: ping\n\n", Event("comment")),
        (b'event: ping\ndata: {"type": "ping"}\n\n', Event("comment")),
        (b"data: [DONE]\n\n", Event("done")),
        (b"data:[DONE]\r\n\r\n", Event("done")),
        (b"data: {oops\n\n", Event("malformed")),
        (b"data: 7\n\n", Event("malformed")),
        (b'data: {"error": {"message": "x"}}\n\n', Event("error")),
        (b'event: error\ndata: {"message": "x"}\n\n', Event("error")),
        (b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n', Event("data")),
        (b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n', Event("data")),
        (b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n', Event("data", content=True)),
        (b'data: {"choices":[\ndata: {"delta":{"content":"x"}}]}\n\n', Event("data", content=True)),
        (b'data: {"choices":[{"delta":{"tool_calls":[{}]}}]}\n\n', Event("data", content=True)),
        (b'data: {"choices":[{"delta":{"refusal":"no"}}]}\n\n', Event("data", content=True)),
        (
            b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
            Event("data", content=True, finished=True),
        ),
        (
            b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n',
            Event("data", usage=(1, 2), usage_only=True),
        ),
        (
            b'data: {"choices":[{"delta":{"content":"x"}}],"usage":null}\n\n',
            Event("data", content=True),
        ),
    ],
)
def test_what_an_event_means(raw: bytes, event: Event) -> None:
    assert read_event(raw) == event
