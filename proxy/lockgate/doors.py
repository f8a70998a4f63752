"""Which door a request's target and method lead to. A door is a row: its path and what it takes.

Facts: RFC 9112 section 3.2 (the four forms of a target); RFC 9110 9.3.2 (HEAD is answered as GET),
9.3.7 (OPTIONS), 10.2.1 (Allow).

Decisions: a path is byte-equal to a door, nothing is canonicalised: a target that some server would
canonicalise is refused. A query is dropped. What follows ``/v1/models/`` is one model's id, slashes
and all, percent-decoded once: openai-python sends `a%2Fb` (its `path_template`), others `a/b`.
"""

import re
from typing import ClassVar, Final, Literal, final
from urllib.parse import unquote_to_bytes

from lockgate.errors.kinds import RejectedError
from lockgate.value import Value

DoorName = Literal["chat", "models", "options"]

_POST: Final = b"POST, OPTIONS"
_GET: Final = b"GET, HEAD, OPTIONS"
_DOORS: Final[dict[bytes, tuple[DoorName, bytes]]] = {
    b"/v1/chat/completions": ("chat", _POST),
    b"/v1/models": ("models", _GET),
}
_ONE_MODEL: Final = b"/v1/models/"
_METHODS: Final = frozenset(
    {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH"}
)
"""RFC 9110, section 9, and RFC 5789; CONNECT has a target that is no path."""
_CANONICALISED: Final = re.compile(rb"//|\\|%2[fF]|%5[cC]|/(?:\.|%2[eE]){1,2}(?:/|\Z)")
_CANONICALISED_ID: Final = re.compile(rb"//|\\|/(?:\.|%2[eE]){1,2}(?:/|\Z)")


@final
class Door(Value):
    """A known door. `model` is the id asked for, of one model; `allow` the methods it takes."""

    __match_args__: ClassVar = ("name", "allow", "model")

    def __init__(self, name: DoorName, allow: bytes, model: str | None = None) -> None:
        self.name: Final = name
        self.allow: Final = allow
        self.model: Final = model


def door_of(method: bytes, target: bytes, host: bytes) -> Door:
    """Return the door of a request line; RejectedError where there is none."""
    if method not in _METHODS:
        raise RejectedError("bad_request", "That is no method of this protocol.")
    path = _origin_form(target, host).partition(b"?")[0]
    one = path.startswith(_ONE_MODEL) and len(path) > len(_ONE_MODEL)
    if b"#" in target or (_CANONICALISED_ID if one else _CANONICALISED).search(path):
        raise RejectedError("bad_request", "The target is not in its plain form.")
    name, allow = _DOORS.get(_ONE_MODEL[:-1] if one else path, (None, b""))
    if name is None:
        raise RejectedError("not_found", "Use /v1/chat/completions or /v1/models.")
    if method not in allow.split(b", "):
        raise RejectedError("method_not_allowed", f"Use {allow.decode()}.", allow=allow)
    if method == b"OPTIONS":
        return Door("options", allow)
    return Door(name, allow, _id(path[len(_ONE_MODEL) :]) if one else None)


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
