"""Server-sent events: one verdict however the bytes are cut, and what each event means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.exchange.sse import Event, EventTooLargeError, Splitter, read_event


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


def data(document: str) -> bytes:
    return b"data: %b\n\n" % document.encode()


def choice(inner: str) -> bytes:
    return data('{"choices":[{"index":0,' + inner + "}]}")


SEEN = Event("data", seen=(0,))
SAID = Event("data", seen=(0,), said=(0,))
FINISHED = Event("data", seen=(0,), finished=(0,))


@pytest.mark.parametrize(
    ("raw", "event"),
    [
        (b": ping\n\n", Event("comment")),
        (b"event: ping\n\n", Event("comment")),
        (b'event: ping\ndata: {"type": "ping"}\n\n', Event("comment")),
        (b"id: 7\nretry: 3\n\n", Event("comment")),
        (b"data:\n\n", Event("nothing")),
        (b"data: \n\n", Event("nothing")),
        (b"data\n\n", Event("nothing")),
        (b"data: [DONE]\n\n", Event("done")),
        (b"data:[DONE]\r\n\r\n", Event("done")),
        (b"data: {oops\n\n", Event("malformed")),
        (b"data: 7\n\n", Event("malformed")),
        (b"data: error: engine died\n\n", Event("malformed")),
        (choice('"delta":{"role":"assistant"}'), SEEN),
        (choice('"delta":{"role":"assistant","content":""}'), SEEN),
        (choice('"delta":{"provider_specific_fields":{"a":1},"annotations":[{}]}'), SEEN),
        (choice('"delta":{"content":"x"}'), SAID),
        (data('{"choices":[\ndata: {"delta":{"content":"x"}}]}'), SAID),
        (choice('"delta":{"tool_calls":[{}]}'), SAID),
        (choice('"delta":{"refusal":"no"}'), SAID),
        (choice('"delta":{"images":[{}],"content":""}'), SAID),
        (choice('"message":{"content":"x"},"finish_reason":null'), SAID),
        (choice('"delta":{"reasoning_content":"hm"}'), SAID),
        (choice('"delta":{},"finish_reason":"stop"'), FINISHED),
        (choice('"delta":{},"finish_reason":""'), SEEN),
        (choice('"delta":{"content":"x"},"finish_reason":"null"'), SAID),
        (choice('"delta":{"content":"x"},"finish_reason":""'), SAID),
        (data('{"choices":[],"prompt_filter_results":[{}]}'), Event("data")),
        (
            data('{"choices":[{"index":1,"delta":{"content":"x"}},{"delta":{},"index":0}]}'),
            Event("data", seen=(1, 0), said=(1,)),
        ),
        (
            data('{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}'),
            Event("data", usage=(1, 2), usage_only=True),
        ),
        (
            data('{"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":1}}'),
            Event("data", seen=(0,), usage=(1, 0), usage_only=True),
        ),
        (
            data('{"choices":null,"usage":{"input_tokens":1.0,"output_tokens":2}}'),
            Event("data", usage=(1, 2), usage_only=True),
        ),
        (data('{"choices":[{"delta":{"content":"x"}}],"usage":null}'), SAID),
        (data('{"choices":[],"usage":{}}'), Event("data", usage_only=True)),
        (
            data('{"choices":[{"index":0,"delta":{},"logprobs":{"content":[1]}}],"usage":{}}'),
            SEEN,
        ),
        (
            choice('"delta":{"content":"x"},"logprobs":{"logprob":-Infinity},"stop":NaN'),
            SAID,
        ),
        (choice('"delta":{"content":"\\ud83d"}'), SAID),
        (data('{"error":"","choices":[{"delta":{"content":"x"}}]}'), SAID),
        (data('{"error":{},"choices":[{"delta":{"content":"x"}}]}'), SAID),
        (data('{"error":{"message":"","code":null},"choices":[{"delta":{"content":"x"}}]}'), SAID),
        (data('{"error":false,"choices":[{"delta":{"content":"x"}}]}'), SAID),
        (data('{"message":"","choices":[],"code":0}'), Event("data")),
    ],
)
def test_what_an_event_means(raw: bytes, event: Event) -> None:
    assert read_event(raw) == event


@pytest.mark.parametrize(
    "raw",
    [
        b"event: error\ndata: Internal Server Error\n\n",
        b"event: error\ndata:\n\n",
        b'event: error\ndata: {"message": "x"}\n\n',
        data('{"error": {"message": "x"}}'),
        data('{"error": "engine died"}'),
        data('[{"error": {"code": 400, "message": "x"}}]'),
        data('{"object": "error", "message": "x", "code": 400}'),
        data('{"error_message": "x"}'),
        data('{"choices": [], "message": "x"}'),
        data('{"choices": null, "detail": "x"}'),
        data('{"detail": [{"msg": "x"}]}'),
        data('{"base_resp": {"status_code": 1004, "status_msg": "x"}}'),
        data('{"code": 40001}'),
        data('{"status": 503}'),
    ],
)
def test_an_error_is_an_error_in_whatever_shape(raw: bytes) -> None:
    assert read_event(raw).kind == "error"


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_each_byte_is_looked_at_once(size: int) -> None:
    splitter = Splitter()
    whole = b"data: " + b"x" * 50_000 + b"\r\n\r\n"
    found = [e for at in range(0, len(whole), size) for e in splitter.feed(whole[at : at + size])]
    found += splitter.finish()
    assert found == [whole]
    assert splitter.held_bytes == 0
