"""The tiers that the command line states for backends: ``NAME=local``, ``'*=cloud'``."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase


def stated_tier(tiers: Mapping[str, str], *names: str) -> str | None:
    """Return the tier stated for the first of `names` that has one, else by a pattern, else None.

    Of several patterns that fit, the longest counts.
    """
    for name in names:
        if name in tiers:
            return tiers[name]
    patterns = sorted(filter(_is_pattern, tiers), key=len, reverse=True)
    fitting = (p for p in patterns if any(fnmatchcase(name, p) for name in names))
    found = next(fitting, None)
    return None if found is None else tiers[found]


def without_a_backend(tiers: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Return the stated names, no patterns, that are none of `names`."""
    known = set(names)
    return [name for name in tiers if name not in known and not _is_pattern(name)]


def _is_pattern(name: str) -> bool:
    return any(char in name for char in "*?[")
