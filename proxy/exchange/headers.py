"""Which of an upstream's header fields a caller sees: an allow-list, everything else stays here.

Hop-by-hop fields (RFC 9110, section 7.6.1), cookies, server names, redirect targets and CORS are
not on it. Framing fields are ours to write.
"""

from typing import Final

ALLOWED_DOWN: Final = frozenset(
    {
        b"content-type",
        b"cache-control",
        b"openai-model",
        b"openai-processing-ms",
        b"openai-version",
    }
)
ALLOWED_PREFIX: Final = b"x-ratelimit-"
"""OpenAI's rate limit fields, which its SDKs read."""


def is_allowed_down(name: bytes) -> bool:
    """Whether a field of this lower-case name may go down."""
    return name in ALLOWED_DOWN or name.startswith(ALLOWED_PREFIX)
