"""An error as a client reads it: OpenAI's object, with our code and the request's id."""

import json

from lockgate.errors.body import error_body, error_event, error_object
from lockgate.errors.kinds import KINDS

KIND = KINDS["upstream_connect"]


def test_an_error_is_openais_object() -> None:
    error = json.loads(error_body(KIND, "req-1"))["error"]
    assert set(error) == {"message", "type", "param", "code", "request_id"}
    assert (error["code"], error["type"], error["param"]) == ("upstream_connect", KIND.type, None)
    assert error["message"] == f"{KIND.sentence} (request req-1)"


def test_a_detail_follows_the_sentence_and_a_field_is_named() -> None:
    error = error_object(KIND, "req-1", detail="Look at `url`.", param="model")["error"]
    assert error["message"] == f"{KIND.sentence} Look at `url`. (request req-1)"
    assert error["param"] == "model"


def test_a_broken_streams_last_event_says_how_it_ended() -> None:
    event = error_event(error_object(KIND, "req-1")["error"], ("truncated", "Us-cut"))
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    error = json.loads(event[6:])["error"]
    assert (error["outcome"], error["terminal"], error["code"]) == (
        "truncated",
        "Us-cut",
        KIND.code,
    )
