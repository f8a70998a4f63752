"""The gates that a request's head passes before anything else is believed.

Facts: RFC 9112 section 3.2 (exactly one valid Host), 6.1 and 6.3
(framing; both kinds at once is an attack; no transfer coding in HTTP/1.0); RFC 9110 section 10.1.1
(Expect), 7.8 (an Upgrade may be ignored, and is).

Decisions: `http1.grammar` judges the bytes, llhttp (Node's parser, through httptools) reads
them, and both must find the same head. `http1.request_target` judges the target,
`http1.head_rules` what the policy in force has to say. A name with an underscore goes
nowhere: neither to rules, nor to records, nor up.
"""

import re
from collections.abc import Mapping
from typing import ClassVar, Final, Literal, final

import httptools

from lockgate.errors.kinds import RejectedError
from lockgate.http1.grammar import (
    MEMO_BOUND,
    Fields,
    SecondReader,
    fields_of,
    is_request_head,
    prefix_fault,
    remember,
    without_length,
)
from lockgate.http1.head_rules import HeadRules
from lockgate.memo import BoundedMemo
from lockgate.value import Value

Framing = Literal["none", "length", "chunked"]
MAX_BODY_BYTES: Final = 32 * 1024 * 1024

_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\Z")
CLIENT_ID_CHARS: Final = 128
"""As much of a client's own request id as the record keeps."""
_UNPRINTABLE: Final = re.compile(r"[^ -~]")


@final
class Head(Value):
    """An admitted head. `door` is the name of the path that is asked for, `model` an id behind it.

    `headers` has every field value by lower-case name, the length and what is dropped aside;
    `dropped` are names with an underscore. `cors` are lines that every response to it carries, and
    `options` those of a response to OPTIONS. `bodiless`: HEAD, served as GET is, without a body.
    """

    __match_args__: ClassVar = (
        "door",
        "expects_continue",
        "keep_alive",
        "headers",
        "model",
        "dropped",
        "framing",
        "http10",
        "bodiless",
        "client_request_id",
        "cors",
        "options",
    )

    def __init__(  # noqa: PLR0913 - a head has this many sides
        self,
        *,
        door: str,
        expects_continue: bool,
        keep_alive: bool,
        headers: Mapping[str, tuple[str, ...]],
        model: str | None = None,
        dropped: tuple[str, ...] = (),
        framing: Framing = "none",
        http10: bool = False,
        bodiless: bool = False,
        client_request_id: str | None = None,
        cors: bytes = b"",
        options: bytes = b"",
    ) -> None:
        self.door: Final = door
        self.expects_continue: Final = expects_continue
        self.keep_alive: Final = keep_alive
        self.headers: Final = headers
        self.model: Final = model
        self.dropped: Final = dropped
        self.framing: Final = framing
        self.http10: Final = http10
        self.bodiless: Final = bodiless
        self.client_request_id: Final = client_request_id
        self.cors: Final = cors
        self.options: Final = options


class Heads:
    """Reads heads, and remembers them: a client sends the same one but for its length.

    `rules` are those of the policy in force; what was admitted under others is forgotten.
    """

    def __init__(self, rules: HeadRules) -> None:
        self._memo: BoundedMemo[bytes, Head] = BoundedMemo(MEMO_BOUND)
        self.rules = rules

    def adopt(self, rules: HeadRules) -> None:
        """Hold heads to `rules` from now on."""
        self.rules = rules
        self._memo = BoundedMemo(MEMO_BOUND)

    def read(self, raw: bytes) -> tuple[Head, int | None]:
        """Return the admitted head of `raw`, its blank line included, and the body's length.

        RejectedError says what is wrong with it.
        """
        key, length = without_length(raw)
        head = self._memo.get(key)
        if head is None:
            head = read_head(raw, self.rules)
            if length is None and b"\r\ncontent-length:" in raw.lower():
                raise RejectedError("bad_request", "Content-Length is not one number.")
            remember(self._memo, key, head)
        if length is not None and length > MAX_BODY_BYTES:
            rejection = RejectedError("body_too_large")
            rejection.headers = head.cors
            raise rejection
        return head, length


def read_head(raw: bytes, rules: HeadRules) -> Head:
    """Return the admitted head of `raw`; RejectedError otherwise."""
    fault = prefix_fault(raw)
    if fault is not None or not is_request_head(raw):
        raise RejectedError(fault or "bad_request")
    method, target, version = raw[: raw.index(b"\r\n")].split(b" ")
    fields = fields_of(raw)
    try:
        head = admit_head(method, target, version[5:].decode(), fields, rules)
    except RejectedError as rejection:
        rejection.headers = rules.cors(_collect(fields)[0])
        raise
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


def admit_head(
    method: bytes, target: bytes, version: str, fields: Fields, rules: HeadRules
) -> Head:
    """Return the admitted head; names in `fields` are lower-case. RejectedError otherwise."""
    headers, dropped = _collect(fields)
    host = _host(headers)
    lengths = headers.pop("content-length", ())
    _check_length(lengths)
    _check_coding(headers, version, has_length=bool(lengths))
    if method != b"OPTIONS":  # whose response lets in none that the policy does not list
        rules.check_page(headers)
    rules.check_underscored(dropped)
    rules.check_declared(headers)
    named = rules.paths.find(method, target, host)
    if "content-encoding" in headers and headers["content-encoding"] != ("identity",):
        raise RejectedError("encoded_body", param="content-encoding")
    framing: Framing = "length" if lengths else "none"
    if "transfer-encoding" in headers:
        framing = "chunked"
    options = b""
    if named.name == "options":
        options = b"allow: %b\r\n%b" % (named.allow, rules.preflight(headers, named.allow))
    return Head(
        door=named.name,
        model=named.item,
        # a client of HTTP/1.0 knows no interim responses (RFC 9110, 10.1.1)
        expects_continue=_expects_continue(headers) and version != "1.0",
        keep_alive=_keep_alive(headers, version),
        headers=headers,
        dropped=dropped,
        framing=framing,
        http10=version == "1.0",
        bodiless=method == b"HEAD",
        client_request_id=_client_request_id(headers),
        cors=rules.cors(headers),
        options=options,
    )


def _collect(fields: Fields) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Return the values by name, and the names that are dropped."""
    headers: dict[str, tuple[str, ...]] = {}
    dropped: list[str] = []
    for name, value in fields:
        key = name.decode("ascii")
        if "_" in key:
            dropped.append(key)
            continue
        before = headers.get(key)
        text = value.decode("latin-1")
        headers[key] = (text,) if before is None else (*before, text)
    return headers, tuple(dropped)


def _client_request_id(headers: Mapping[str, tuple[str, ...]]) -> str | None:
    named = headers.get("x-request-id")
    if named is None:
        return None
    return _UNPRINTABLE.sub("?", named[0][:CLIENT_ID_CHARS]) or None


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
