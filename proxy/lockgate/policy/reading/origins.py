"""Web origins as browsers write them (WHATWG HTML 7.1.1, RFC 6454 6.2): scheme, host, port."""

import re
from typing import Final

_ORIGIN: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?\Z"
)
_BEGINS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(?:[^/?#\s@]*@)?([^/?#\s@]+)")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


def origin_fault(origin: str) -> tuple[str, str] | None:
    """Return what keeps `origin` from being one that a browser could say, and what it would say."""
    if origin == "*":
        why = "would let every page that somebody opens send prompts here, and read the answers"
        return why, "https://chat.example"
    if origin == "null":
        return "is what every sandboxed page and file says of itself", "https://chat.example"
    found = _ORIGIN.match(origin)
    if found is not None:
        scheme, _, port = found.groups()
        if port is None or _DEFAULT_PORTS.get(scheme) != port:
            return None
        return "has a port that browsers leave out", origin.removesuffix(f":{port}")
    return "is not an origin: scheme, host and port, in lower case", _nearest(origin)


def _nearest(text: str) -> str:
    begun = _BEGINS.match(text.strip())
    if begun is not None:
        plain = f"{begun[1]}{begun[2]}".lower()
        if _ORIGIN.match(plain):
            return plain
    host = re.match(r"[a-z0-9.-]+(?::[1-9][0-9]{0,4})?(?=/|\Z)", text.strip().lower())
    return f"https://{host[0]}" if host is not None else "https://chat.example"
