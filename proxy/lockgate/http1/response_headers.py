"""Which of an upstream's header fields a caller sees: an allow-list, everything else stays here.

Hop-by-hop fields (RFC 9110, section 7.6.1), cookies, server names, redirect targets and CORS are
not on it. Framing fields, content-type and cache-control are ours to write.
"""

from typing import Final

ALLOWED_DOWN: Final = frozenset(
    {
        b"openai-model",
        b"openai-processing-ms",
        b"openai-version",
    }
)
HINTS: Final = frozenset({b"ratelimit", b"ratelimit-policy"})
"""Draft-ietf-httpapi-ratelimit-headers."""
HINT_PREFIX: Final = b"x-ratelimit-"
"""OpenAI's rate limit fields, which its SDKs read."""


def is_allowed_down(name: bytes) -> bool:
    """Whether a field of this lower-case name may go down."""
    return name in ALLOWED_DOWN


def is_hint(name: bytes) -> bool:
    """Whether a field of this lower-case name tells a caller about its rate limit."""
    return name in HINTS or name.startswith(HINT_PREFIX)
