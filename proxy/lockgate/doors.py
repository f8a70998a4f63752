"""The paths that Lockgate serves; the audit record calls each by its name ("door")."""

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
"""The checks of a request's head where the policy adds none."""
