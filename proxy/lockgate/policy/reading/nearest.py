"""Which known name an unknown one was meant to be."""

import difflib
from collections.abc import Iterable
from typing import Final

_KNOWN_AS: Final = {
    "apikey": "credentialsSecretRef",
    "key": "credentialsSecretRef",
    "secret": "credentialsSecretRef",
    "token": "credentialsSecretRef",
    "secretref": "credentialsSecretRef",
    "apibase": "url",
    "baseurl": "url",
    "address": "url",
    "priority": "rules",
    "routes": "rules",
    "default": "defaultRoute",
    "fallback": "defaultRoute",
    "labels": "dataClassification",
    "classification": "dataClassification",
}
"""What other routers call it, spelled as `_bare` does."""


def _bare(name: str) -> str:
    return name.rpartition(":")[2].lower().replace("_", "").replace("-", "")


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that `name` was meant to be; case and separators count little."""
    known = {_bare(one): one for one in sorted(names)}
    stated = _KNOWN_AS.get(_bare(name), "")
    if _bare(name) not in known and stated in known.values():
        return stated
    close = difflib.get_close_matches(_bare(name), list(known), n=1)
    return known[close[0]] if close else None
