"""The gates that a request's head passes before anything else is believed.

Facts: RFC 9112 section 3.2 (exactly one valid Host; the four forms of a target), 6.1 and 6.3
(framing; both kinds at once is an attack; no transfer coding in HTTP/1.0); RFC 9110 section 10.1.1
(Expect), 7.8 (an Upgrade may be ignored, and is).

Decisions: `proxy.exchange.wire` judges the bytes, llhttp (Node's parser, through httptools) reads
them, and both must find the same head. The path is byte-equal to a door, nothing is canonicalised:
a target that some server would canonicalise is refused. A query is dropped.
"""

import re
from collections.abc import Mapping
from typing import ClassVar, Final, Literal, final

import httptools

from proxy.exchange.errors import RejectedError
from proxy.exchange.value import Value
from proxy.exchange.wire import (
    Fields,
    SecondReader,
    fields_of,
    is_request_head,
    prefix_fault,
    remember,
    without_length,
)

MAX_BODY_BYTES: Final = 32 * 1024 * 1024

Door = Literal["chat", "models"]
_DOORS: Final[dict[bytes, tuple[Door, bytes]]] = {
    b"/v1/chat/completions": ("chat", b"POST"),
    b"/v1/models": ("models", b"GET"),
}
_METHODS: Final = frozenset(
    {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH"}
)
"""RFC 9110, section 9, and RFC 5789; CONNECT has a target that is no path."""
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\Z")
_CANONICALISED: Final = re.compile(rb"//|\\|%2[fF]|%5[cC]|/(?:\.|%2[eE]){1,2}(?:/|\Z)")


@final
class Head(Value):
    """An admitted head. `headers` has every field value by lower-case name, the length aside."""

    __match_args__: ClassVar = (
        "door",
        "expects_continue",
        "keep_alive",
        "headers",
        "chunked",
        "http10",
    )

    def __init__(  # noqa: PLR0913 - a head has this many sides
        self,
        *,
        door: Door,
        expects_continue: bool,
        keep_alive: bool,
        headers: Mapping[str, tuple[str, ...]],
        chunked: bool = False,
        http10: bool = False,
    ) -> None:
        self.door: Final = door
        self.expects_continue: Final = expects_continue
        self.keep_alive: Final = keep_alive
        self.headers: Final = headers
        self.chunked: Final = chunked
        self.http10: Final = http10


class Heads:
    """Reads heads, and remembers them: a caller sends the same one but for its length."""

    def __init__(self) -> None:
        self._memo: dict[bytes, Head] = {}

    def read(self, raw: bytes) -> tuple[Head, int | None]:
        """Return the admitted head of `raw`, its blank line included, and the body's length.

        RejectedError says what is wrong with it.
        """
        key, length = without_length(raw)
        head = self._memo.get(key)
        if head is None:
            head = read_head(raw)
            if length is None and b"\r\ncontent-length:" in raw.lower():
                raise RejectedError("bad_request", "Content-Length is not one number.")
            remember(self._memo, key, head)
        if length is not None and length > MAX_BODY_BYTES:
            raise RejectedError("body_too_large")
        return head, length


def read_head(raw: bytes) -> Head:
    """Return the admitted head of `raw`; RejectedError otherwise."""
    fault = prefix_fault(raw)
    if fault is not None or not is_request_head(raw):
        raise RejectedError(fault or "bad_request")
    method, target, version = raw[: raw.index(b"\r\n")].split(b" ")
    fields = fields_of(raw)
    head = admit_head(method, target, version[5:].decode(), fields)
    _agree(raw, (method, target, version), fields)
    return head


def _agree(raw: bytes, line: tuple[bytes, bytes, bytes], fields: Fields) -> None:
    """Have llhttp read `raw`; RejectedError unless it says what `line` and `fields` say."""
    reader = SecondReader()
    parser = httptools.HttpRequestParser(reader)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # ignored: what follows the head is this request's body and no other protocol
    except httptools.HttpParserError:
        raise RejectedError("bad_request") from None
    version = b"HTTP/" + parser.get_http_version().encode()
    if (parser.get_method(), reader.target, version) != line or reader.fields != fields:
        raise RejectedError("bad_request")


def admit_head(method: bytes, target: bytes, version: str, fields: Fields) -> Head:
    """Return the admitted head; names in `fields` are lower-case. RejectedError otherwise."""
    headers = _collect(fields)
    host = _host(headers)
    lengths = headers.pop("content-length", ())
    _check_length(lengths)
    _check_coding(headers, version, has_length=bool(lengths))
    door = _door(method, target, host)
    if "content-encoding" in headers and headers["content-encoding"] != ("identity",):
        raise RejectedError("encoded_body", param="content-encoding")
    return Head(
        door=door,
        # a caller of HTTP/1.0 knows no interim answers (RFC 9110, 10.1.1)
        expects_continue=_expects_continue(headers) and version != "1.0",
        keep_alive=_keep_alive(headers, version),
        headers=headers,
        chunked="transfer-encoding" in headers,
        http10=version == "1.0",
    )


def _collect(fields: Fields) -> dict[str, tuple[str, ...]]:
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in fields:
        key = name.decode("ascii")
        held = headers.get(key)
        text = value.decode("latin-1")
        headers[key] = (text,) if held is None else (*held, text)
    return headers


def _host(headers: Mapping[str, tuple[str, ...]]) -> bytes:
    hosts = headers.get("host", ())
    if len(hosts) != 1:
        raise RejectedError("bad_request", "Exactly one Host header is needed.", "host")
    host = hosts[0].encode("latin-1")
    if not _HOST.match(host):
        raise RejectedError("bad_request", "Host is not a host.", "host")
    return host


def _check_length(lengths: tuple[str, ...]) -> None:
    if not lengths:
        return
    length = lengths[0]
    if len(lengths) > 1 or not (length.isascii() and length.isdigit()):
        raise RejectedError("bad_request", "Content-Length is not one number.")
    if len(length) > 18 or int(length) > MAX_BODY_BYTES:
        raise RejectedError("body_too_large")


def _check_coding(
    headers: Mapping[str, tuple[str, ...]], version: str, *, has_length: bool
) -> None:
    codings = headers.get("transfer-encoding")
    if codings is None:
        return
    chunked = len(codings) == 1 and codings[0].lower() == "chunked"
    if has_length or version == "1.0" or not chunked:
        raise RejectedError("bad_request", "The body's framing is ambiguous.")


def _door(method: bytes, target: bytes, host: bytes) -> Door:
    if method not in _METHODS:
        raise RejectedError("bad_request", "That is no method of this protocol.")
    path = _origin_form(target, host).partition(b"?")[0]
    if b"#" in target or _CANONICALISED.search(path):
        raise RejectedError("bad_request", "The target is not in its plain form.")
    known = _DOORS.get(path)
    if known is None:
        raise RejectedError("not_found", "Use /v1/chat/completions or /v1/models.")
    door, wanted = known
    if method != wanted:
        raise RejectedError("method_not_allowed", f"Use {wanted.decode()}.", allow=wanted)
    return door


def _origin_form(target: bytes, host: bytes) -> bytes:
    """Return the path and query of a target in origin-form, or absolute-form for `host`."""
    if target.startswith(b"/"):
        return target
    scheme, _, rest = target.partition(b"://")
    authority, slash, path = rest.partition(b"/")
    if scheme.lower() not in {b"http", b"https"} or authority.lower() != host.lower():
        raise RejectedError("bad_request", "The target is neither a path nor this host's URL.")
    return slash + path if slash else b"/"


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
