"""The paths that Lockgate serves, by the name that the record has for each ("door")."""

from typing import Final

from lockgate.http1.head_rules import HeadRules
from lockgate.http1.request_target import KnownPaths

_POST: Final = b"POST, OPTIONS"
_GET: Final = b"GET, HEAD, OPTIONS"
DOORS: Final = KnownPaths(
    {b"/v1/chat/completions": ("chat", _POST), b"/v1/models": ("models", _GET)},
    collection=b"/v1/models",
)
NO_RULES: Final = HeadRules(DOORS)
"""What a request's head is held to where no policy says more."""
