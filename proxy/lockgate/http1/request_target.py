"""Which of the known paths a request's target and method name.

Facts: RFC 9112 section 3.2 (the four forms of a target); RFC 9110 9.3.2 (HEAD is answered as GET),
9.3.7 (OPTIONS), 10.2.1 (Allow).

Decisions: a path is byte-equal to a known one, nothing is canonicalised: a target that some server
would canonicalise is refused. A query is dropped. What follows a collection's path and a slash is
one item's id, slashes and all, percent-decoded once: openai-python sends `a%2Fb` (its
`path_template`), others `a/b`.
"""

import re
from collections.abc import Mapping
from typing import ClassVar, Final, final
from urllib.parse import unquote_to_bytes

from lockgate.errors.kinds import RejectedError
from lockgate.value import Value

_METHODS: Final = frozenset(
    {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH"}
)
"""RFC 9110, section 9, and RFC 5789; CONNECT has a target that is no path."""
_CANONICALISED: Final = re.compile(rb"//|\\|%2[fF]|%5[cC]|/(?:\.|%2[eE]){1,2}(?:/|\Z)")
_CANONICALISED_ID: Final = re.compile(rb"//|\\|/(?:\.|%2[eE]){1,2}(?:/|\Z)")


@final
class RequestTarget(Value):
    """The known path that a request names: its `name`, and the methods that it takes.

    `item` is the id that follows a collection's path, None for the path itself.
    """

    __match_args__: ClassVar = ("name", "allow", "item")

    def __init__(self, name: str, allow: bytes, item: str | None = None) -> None:
        self.name: Final = name
        self.allow: Final = allow
        self.item: Final = item


@final
class KnownPaths:
    """The paths that requests may name: `rows` has a name and the methods for each.

    `collection` is the one of them behind which an item's id may follow.
    """

    def __init__(
        self, rows: Mapping[bytes, tuple[str, bytes]], collection: bytes | None = None
    ) -> None:
        self._rows: Final = dict(rows)
        self._collection: Final = collection or b""
        self._items: Final = b"%b/" % collection if collection else b""
        self._known: Final = f"Use {b' or '.join(rows).decode()}."

    def find(self, method: bytes, target: bytes, host: bytes) -> RequestTarget:
        """Return what a request line names; RejectedError where it is nothing that is known."""
        if method not in _METHODS:
            raise RejectedError("bad_request", "That is no method of this protocol.")
        path = _origin_form(target, host).partition(b"?")[0]
        at = len(self._items)
        is_item = 0 < at < len(path) and path.startswith(self._items)
        if b"#" in target or (_CANONICALISED_ID if is_item else _CANONICALISED).search(path):
            raise RejectedError("bad_request", "The target is not in its plain form.")
        name, allow = self._rows.get(self._collection if is_item else path, (None, b""))
        if name is None:
            raise RejectedError("not_found", self._known)
        if method not in allow.split(b", "):
            raise RejectedError("method_not_allowed", f"Use {allow.decode()}.", allow=allow)
        if method == b"OPTIONS":
            return RequestTarget("options", allow)
        return RequestTarget(name, allow, _id(path[at:]) if is_item else None)


def _id(raw: bytes) -> str:
    # what is no UTF-8 is no id either: it is said back, and nobody publishes it
    return unquote_to_bytes(raw).decode("utf-8", "replace")


def _origin_form(target: bytes, host: bytes) -> bytes:
    """Return the path and query of a target in origin-form, or absolute-form for `host`."""
    if target.startswith(b"/"):
        return target
    scheme, _, rest = target.partition(b"://")
    authority, slash, path = rest.partition(b"/")
    if scheme.lower() not in {b"http", b"https"} or authority.lower() != host.lower():
        raise RejectedError("bad_request", "The target is neither a path nor this host's URL.")
    return slash + path if slash else b"/"
