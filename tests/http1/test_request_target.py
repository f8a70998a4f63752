"""Which door a target and a method lead to."""

import pytest
from lockgate.doors import DOORS
from lockgate.errors.kinds import RejectedError


@pytest.mark.parametrize(
    ("target", "model"),
    [
        (b"/v1/models", None),
        (b"/v1/models?limit=1", None),
        (b"/v1/models/m", "m"),
        (b"/v1/models/org/model", "org/model"),
        (b"/v1/models/org%2Fmodel", "org/model"),
        (b"/v1/models/org%2fmodel?x=1", "org/model"),
        (b"/v1/models/a%252Fb", "a%2Fb"),
        (b"/v1/models/gpt-4o:latest", "gpt-4o:latest"),
        (b"/v1/models/a%20b", "a b"),
        (b"/v1/models/%C3%BC", "\xfc"),
        (b"/v1/models/a+b", "a+b"),
        (b"/v1/models/a%2F..%2Fb", "a/../b"),
        (b"/v1/models/%zz", "%zz"),
        (b"/v1/models/%ff", "\ufffd"),
        (b"/v1/models/a%23b%3Fc", "a#b?c"),
        (b"http://x/v1/models/m", "m"),
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_one_model_is_a_door_of_its_own(method: bytes, target: bytes, model: str | None) -> None:
    door = DOORS.find(method, target, b"x")
    assert (door.name, door.item) == ("models", model)


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (b"/v1/models/", "not_found"),
        (b"/v1/models//a", "bad_request"),
        (b"/v1/models/a//b", "bad_request"),
        (b"/v1/models/../chat/completions", "bad_request"),
        (b"/v1/models/a/..", "bad_request"),
        (b"/v1/models/.", "bad_request"),
        (b"/v1/models/%2e%2E/x", "bad_request"),
        (b"/v1/models/a\\b", "bad_request"),
        (b"/v1/models/a#b", "bad_request"),
        (b"/v1/models%2Fa", "bad_request"),
        (b"/v1/Models/a", "not_found"),
        (b"/v1/modelsx", "not_found"),
        (b"*", "bad_request"),
    ],
)
def test_what_a_server_would_canonicalise_is_no_door(target: bytes, code: str) -> None:
    with pytest.raises(RejectedError) as caught:
        DOORS.find(b"GET", target, b"x")
    assert caught.value.kind.code == code


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        (b"POST", b"/v1/models", b"GET, HEAD, OPTIONS"),
        (b"DELETE", b"/v1/models/m", b"GET, HEAD, OPTIONS"),
        (b"GET", b"/v1/chat/completions", b"POST, OPTIONS"),
        (b"HEAD", b"/v1/chat/completions", b"POST, OPTIONS"),
    ],
)
def test_a_method_that_a_door_does_not_take_is_told_those_it_does(
    method: bytes, target: bytes, allow: bytes
) -> None:
    with pytest.raises(RejectedError) as caught:
        DOORS.find(method, target, b"x")
    assert (caught.value.kind.code, caught.value.allow) == ("method_not_allowed", allow)
    assert DOORS.find(b"OPTIONS", target, b"x").allow == allow
