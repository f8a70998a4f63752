"""What of an upstream's head is read besides its framing."""

import pytest
from lockgate.http1.response_head import read_response_head


def head(*lines: bytes) -> bytes:
    return b"\r\n".join((b"HTTP/1.1 429 X", b"Content-Length: 0", *lines)) + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ((b"Retry-After: 7",), 7.0),
        ((b"Retry-After: Tue, 24 Nov 2026 14:00:30 GMT", b"Date: Tue, 24 Nov 2026 14:00:00 GMT"), 30.0),
        ((b"Retry-After: Tue, 24 Nov 2026 13:00:00 GMT", b"Date: Tue, 24 Nov 2026 14:00:00 GMT"), 0.0),
        ((b"Retry-After: Tue, 24 Nov 2026 14:00:30 GMT",), None),
        ((b"Retry-After: soon", b"Date: Tue, 24 Nov 2026 14:00:00 GMT"), None),
        ((b"Retry-After: -1",), None),
        ((b"Retry-After: " + b"9" * 20,), None),
        ((), None),
    ],
)  # fmt: skip
def test_retry_after_is_read_in_both_forms(lines: tuple[bytes, ...], seconds: float | None) -> None:
    assert read_response_head(head(*lines)).retry_after_s == seconds


@pytest.mark.parametrize(
    ("name", "is_hint"),
    [
        (b"RateLimit", True),
        (b"ratelimit-policy", True),
        (b"X-RateLimit-Remaining-Tokens", True),
        (b"x-ratelimit", False),
        (b"set-cookie", False),
        (b"server", False),
        (b"location", False),
        (b"access-control-allow-origin", False),
    ],
)
def test_of_an_upstreams_fields_its_rate_limits_are_hints(name: bytes, is_hint: bool) -> None:
    hints = read_response_head(head(name + b": 1")).hints
    assert (name.lower() in hints.lower()) is is_hint
