"""How names, labels and header names are spelt, and what a wrong one should have been."""

import re
import unicodedata
from typing import Final

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
LABEL: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")
TOKEN: Final = re.compile(r"[!#$%&'*+\-.^`|~0-9A-Za-z]+\Z")
NEVER_UPWARD: Final = frozenset(
    {
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-api-key",
        "x-request-id",
        "accept",
        "accept-encoding",
        "user-agent",
    }
)
"""Fields that the proxy writes itself, hop-by-hop fields and keys: never the client's."""
TAKEN: Final = NEVER_UPWARD | {
    "access-control-request-headers",
    "access-control-request-method",
    "api-key",
    "date",
    "forwarded",
    "origin",
    "proxy-connection",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "via",
}
"""Fields that the proxy reads or drops for reasons of its own: they can carry no labels."""
FIELD_VALUE: Final = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?\Z")
"""A value that is the same bytes in every encoding, without outer spaces."""

NEVER_DOWNWARD: Final = frozenset(
    {
        "alt-svc",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "keep-alive",
        "location",
        "proxy-authenticate",
        "retry-after",
        "set-cookie",
        "strict-transport-security",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "www-authenticate",
        "x-accel-buffering",
        "x-request-id",
    }
)
"""Fields that frame a response or speak for the origin: the proxy writes its own, or none."""

OURS: Final = ("access-control-", "x-lockgate-")
"""Prefixes of response fields that only the proxy sets: the policy says who may read a response."""


def is_ollama_cloud(model: str) -> bool:
    """Whether Ollama runs a model of this name in its cloud: `name:cloud`, `name:20b-cloud`.

    Source: https://docs.ollama.com/cloud.
    """
    return re.search(r":(?:[^:/]*-)?cloud(?::|\Z)", model) is not None


def as_name(name: str) -> str:
    """Return `name` turned into a valid name of a backend or a rule."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63] or "NAME"


def as_header(name: str) -> str:
    """Return `name` turned into a valid header name."""
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-") or "x-name"


def as_label(label: str) -> str:
    """Return `label` turned into a valid label; letters of other scripts are dropped."""
    return re.sub(r"[^a-z0-9._-]+", "-", label.lower()).strip("-._") or "LABEL"


def odd(label: str) -> str:
    """Return what makes `label` invalid; a look-alike of another script by its Unicode name."""
    char = next((c for c in label if not LABEL.match(c) and c not in "._-"), None)
    if char is None:
        return "at most 63 characters, beginning with a letter or digit"
    if char.isascii():
        return f"{char!r} may not be in it (lower-case letters, digits, '.', '_', '-')"
    known = unicodedata.name(char, "no character")
    return f"{char!r} is {known} (U+{ord(char):04X}), not ASCII"


def value_fault(value: str) -> tuple[str, str] | None:
    """Return what is wrong with a field's value that is compared word for word, and a good one."""
    if FIELD_VALUE.match(value):
        return None
    better = "".join(c for c in value if " " <= c <= "~").strip() or "VALUE"
    if not value.isascii():
        return f"{value!r} is not plain ASCII, and comes in more than one encoding", better
    return f"{value!r} has outer spaces or control characters, which no field's value has", better


def look_alike(label: str) -> str:
    """Return a note on a label with letters that are not ASCII, empty for one in plain ASCII."""
    return "" if label.isascii() else f": {odd(label)}"
