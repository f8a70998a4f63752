"""What the policy in force, and the address listened on, add to the gates of a request's head.

Facts: CGI made `-` and `_` one character, and servers behind this one still do (nginx drops names
with an underscore, `underscores_in_headers`); RFC 9110, 6.5.1: a field that routing needs may not
come in a trailer; WHATWG Fetch 3.3 (CORS) and W3C Fetch Metadata 2 (Sec-Fetch-Site): browsers say
which page a request comes from. Node's fetch says Sec-Fetch-Mode and nothing else of them
(nodejs/undici, appendFetchMetadata), so that one alone is no page.

Decisions: a name with an underscore goes nowhere; where it reads like one that routing or framing
reads it is refused, since somebody could take it for that one. A proxy on loopback has no password
and every page that a browser shows can send to it: pages of other origins are refused, and so is a
page under a name that was made to point here (DNS rebinding).
"""

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Final, final

from lockgate.errors.kinds import RejectedError
from lockgate.http1.request_target import KnownPaths

Headers = Mapping[str, tuple[str, ...]]

FRAMING: Final = frozenset(
    {
        "access-control-request-headers",
        "access-control-request-method",
        "api-key",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "origin",
        "proxy-authorization",
        "proxy-connection",
        "sec-fetch-dest",
        "sec-fetch-mode",
        "sec-fetch-site",
        "sec-fetch-user",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-api-key",
    }
)
"""Names that decide where a message ends, who sends it, or whether it is taken at all."""
EXPOSED: Final = (
    b"x-request-id, x-lockgate-backend, x-lockgate-policy, x-lockgate-rule, "
    b"x-lockgate-upstream-request-id, retry-after, retry-after-ms, x-should-retry"
)
"""What a page's script may read of our heads; the last three are what OpenAI's SDK looks at."""
PREFLIGHT_S: Final = 600
_TOKENS: Final = re.compile(
    r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*,[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+)*\Z"
)
_ORIGIN: Final = re.compile(r"https?://([^/]+)\Z")
_SHOWN: Final = re.compile(r"[^!-~]")
_OF_A_PAGE: Final = ("origin", "sec-fetch-site", "sec-fetch-dest", "sec-fetch-user")


def folded(name: str) -> str:
    """Return `name` as a server that knows no difference between dash and underscore reads it."""
    return name.lower().replace("_", "-")


def is_loopback(host: str) -> bool:
    """Whether `host`, without a port, is this machine alone."""
    name = host.lower().removesuffix(".")
    if name == "localhost":
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


@final
class HeadRules:
    """What one server adds to HTTP's own rules for a request's head.

    `paths` are those that may be named, `label_names` the headers that routing reads, `origins` the
    pages that may send requests from a browser, `listens_on` the address listened on.
    """

    def __init__(
        self,
        paths: KnownPaths,
        label_names: Iterable[str] = (),
        origins: Iterable[str] = (),
        listens_on: str = "",
    ) -> None:
        self.paths: Final = paths
        self._labels: Final = frozenset(folded(name) for name in label_names)
        self._origins: Final = frozenset(origins)
        self._varies: Final = b"vary: Origin\r\n" if self._origins else b""
        self._on_loopback: Final = is_loopback(listens_on)

    # -- names

    def check_underscored(self, names: Iterable[str]) -> None:
        """Refuse a name with an underscore that reads like one that is read here."""
        for name in names:
            meant = folded(name)
            if meant in self._labels or meant in FRAMING:
                detail = f"The header {name} can be taken for {meant}: send {meant}."
                raise RejectedError("bad_request", detail, name)

    def check_trailer(self, names: Iterable[str]) -> None:
        """Refuse a field of a trailer that routing reads: it comes when all is decided."""
        for name in names:
            if folded(name) in self._labels:
                detail = f"{name} may not come in a trailer: send it in the request's head."
                raise RejectedError("bad_request", detail, name)

    def check_declared(self, headers: Headers) -> None:
        """Refuse a head whose Trailer names such a field (RFC 9110, 6.6.2)."""
        for value in headers.get("trailer", ()):
            self.check_trailer(name.strip(" \t") for name in value.split(","))

    # -- pages

    def check_page(self, headers: Headers) -> None:
        """Refuse a page of another origin where this proxy listens on loopback."""
        if not self._on_loopback or not any(name in headers for name in _OF_A_PAGE):
            return
        origins = headers.get("origin", ())
        for origin in origins:
            if origin not in self._origins and not _is_loopback_origin(origin):
                detail = f'Add "{_shown(origin)}" to endpoint.cors.origins in the policy.'
                if origin == "null":
                    detail = "It has no origin of its own: serve it from one, and list that."
                raise RejectedError("cross_origin", detail, "origin")
        if origins:
            return  # a page under a name that was made to point here has that name as its origin
        host = _without_port(headers["host"][0])
        if not is_loopback(host):
            detail = f"This proxy listens on loopback, and {_shown(host)} is another name."
            raise RejectedError("cross_origin", detail, "host")
        sites = {value.strip(" \t").lower() for value in headers.get("sec-fetch-site", ())}
        if "cross-site" in sites:
            detail = "Call it with fetch, from an origin in endpoint.cors.origins in the policy."
            raise RejectedError("cross_origin", detail, "sec-fetch-site")

    def cors(self, headers: Headers) -> bytes:
        """Return the lines that let a listed origin's script read the response."""
        origin = self._listed(headers)
        if origin is None:
            return self._varies
        return b"access-control-allow-origin: %b\r\naccess-control-expose-headers: %b\r\n%b" % (
            origin,
            EXPOSED,
            self._varies,
        )

    def preflight(self, headers: Headers, allow: bytes) -> bytes:
        """Return what more the response to a preflight says: any header whose name is one."""
        if self._listed(headers) is None or "access-control-request-method" not in headers:
            return b""
        lines = b"access-control-allow-methods: %b\r\naccess-control-max-age: %d\r\n" % (
            allow,
            PREFLIGHT_S,
        )
        asked = ", ".join(headers.get("access-control-request-headers", ()))
        if _TOKENS.match(asked):
            lines += b"access-control-allow-headers: %b\r\n" % asked.encode("ascii")
        return lines

    def _listed(self, headers: Headers) -> bytes | None:
        origins = headers.get("origin", ())
        if len(origins) == 1 and origins[0] in self._origins:
            return origins[0].encode("latin-1")
        return None


def _is_loopback_origin(origin: str) -> bool:
    found = _ORIGIN.match(origin)
    return found is not None and is_loopback(_without_port(found[1]))


def _without_port(authority: str) -> str:
    if authority.startswith("["):
        return authority.partition("]")[0] + "]"
    return authority.partition(":")[0]


def _shown(text: str) -> str:
    return _SHOWN.sub("?", text[:128])
