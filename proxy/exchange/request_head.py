"""The gates that a request's head passes before anything else is believed.

Facts: RFC 9112 section 3.2 (exactly one Host), 6.1 and 6.3 (framing; both kinds at once is an
attack), RFC 9110 section 5.5 (no control characters in a value) and 10.1.1 (Expect).
Decisions: the path is byte-equal to a door, nothing is canonicalised; a query is dropped; names
with an underscore are refused, since servers behind us may read them as dashes.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar, Final, Literal, final

from proxy.exchange.errors import RejectedError
from proxy.exchange.value import Value

MAX_HEADERS: Final = 100
MAX_HEAD_BYTES: Final = 32 * 1024
MAX_TARGET_BYTES: Final = 8 * 1024
MAX_BODY_BYTES: Final = 32 * 1024 * 1024

Door = Literal["chat", "models"]
_DOORS: Final[dict[bytes, tuple[Door, bytes]]] = {
    b"/v1/chat/completions": ("chat", b"POST"),
    b"/v1/models": ("models", b"GET"),
}
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_NAMES: Final = re.compile(rb"[!#$%&'*+\-.^`|~0-9a-z]+(?:,[!#$%&'*+\-.^`|~0-9a-z]+)*\Z")


@final
class Head(Value):
    """An admitted head. `headers` has every field value by lower-case name, the length aside."""

    __match_args__: ClassVar = ("door", "expects_continue", "keep_alive", "headers")

    def __init__(
        self,
        *,
        door: Door,
        expects_continue: bool,
        keep_alive: bool,
        headers: Mapping[str, tuple[str, ...]],
    ) -> None:
        self.door: Final = door
        self.expects_continue: Final = expects_continue
        self.keep_alive: Final = keep_alive
        self.headers: Final = headers


def admit_head(
    method: bytes, target: bytes, version: str, fields: list[tuple[bytes, bytes]]
) -> Head:
    """Return the admitted head; names in `fields` are lower-case. RejectedError otherwise.

    A caller sends the same head again and again but for its length, so heads are remembered.
    """
    lengths = [value for name, value in fields if name == b"content-length"]
    if lengths:
        _check_length(lengths)
        fields = [field for field in fields if field[0] != b"content-length"]
    if len(fields) > MAX_HEADERS:
        raise RejectedError("head_too_large", f"At most {MAX_HEADERS} header fields.")
    return _admit(method, target, version, bool(lengths), *fields)


@lru_cache(maxsize=256)
def _admit(
    method: bytes,
    target: bytes,
    version: str,
    has_length: bool,  # noqa: FBT001 - the memo's key is positional
    *fields: tuple[bytes, bytes],
) -> Head:
    headers = _collect(fields)
    if version not in {"1.1", "1.0"}:
        raise RejectedError("bad_request", "Only HTTP/1.1 and HTTP/1.0 are understood.")
    if len(headers.get("host", ())) != 1:
        raise RejectedError("bad_request", "Exactly one Host header is needed.", "host")
    _check_coding(headers, version, has_length=has_length)
    door = _door(method, target)
    if "content-encoding" in headers and headers["content-encoding"] != ("identity",):
        raise RejectedError("encoded_body", param="content-encoding")
    return Head(
        door=door,
        expects_continue=_expects_continue(headers),
        keep_alive=_keep_alive(headers, version),
        headers=headers,
    )


def _collect(fields: tuple[tuple[bytes, bytes], ...]) -> dict[str, tuple[str, ...]]:
    names = b",".join([name for name, _ in fields])
    values = b"".join([value for _, value in fields])
    if len(names) + len(values) > MAX_HEAD_BYTES:
        raise RejectedError("head_too_large")
    if fields and not _NAMES.match(names):
        raise RejectedError("bad_request", "A header name is not acceptable.")
    if _CONTROL.search(values):
        raise RejectedError("bad_request", "A header value has a control character.")
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in fields:
        key = name.decode("ascii")
        held = headers.get(key)
        text = value.decode("latin-1")
        headers[key] = (text,) if held is None else (*held, text)
    return headers


def _check_length(lengths: list[bytes]) -> None:
    if len(lengths) > 1 or not lengths[0].isdigit():
        raise RejectedError("bad_request", "Content-Length is not one number.")
    if len(lengths[0]) > 18 or int(lengths[0]) > MAX_BODY_BYTES:
        raise RejectedError("body_too_large")


def _check_coding(
    headers: Mapping[str, tuple[str, ...]], version: str, *, has_length: bool
) -> None:
    codings = headers.get("transfer-encoding")
    if codings is not None and (has_length or version == "1.0" or codings != ("chunked",)):
        raise RejectedError("bad_request", "The body's framing is ambiguous.")


def _door(method: bytes, target: bytes) -> Door:
    if len(target) > MAX_TARGET_BYTES:
        raise RejectedError("uri_too_long")
    path = target.partition(b"?")[0]
    known = _DOORS.get(path)
    if known is None:
        raise RejectedError("not_found", "Use /v1/chat/completions or /v1/models.")
    door, wanted = known
    if method != wanted:
        raise RejectedError("method_not_allowed", f"Use {wanted.decode()}.", allow=wanted)
    return door


def _expects_continue(headers: Mapping[str, tuple[str, ...]]) -> bool:
    expectations = headers.get("expect")
    if expectations is None:
        return False
    if any(value.lower() != "100-continue" for value in expectations):
        raise RejectedError("expectation_failed", param="expect")
    return True


def _keep_alive(headers: Mapping[str, tuple[str, ...]], version: str) -> bool:
    fields = headers.get("connection")
    if fields is None:
        return version == "1.1"
    tokens = {token.strip().lower() for value in fields for token in value.split(",")}
    return "close" not in tokens if version == "1.1" else "keep-alive" in tokens
