"""Sizes as Kubernetes writes them: ``96Mi``, ``1G``, ``1048576``; and rates: ``1KiB/s``.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from typing import Final

_UNITS: Final = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
}  # fmt: skip
_RATE_UNITS: Final = {"B": 1, "kB": 10**3, "MB": 10**6, "KiB": 1 << 10, "MiB": 1 << 20}
_RATE: Final = re.compile(r"([0-9]{1,9})(B|kB|MB|KiB|MiB)/s\Z")
_SIZE: Final = re.compile(r"([0-9]{1,12})(|[kMGT]|[KMGT]i)\Z")


def parse_size(text: str) -> int:
    """Return bytes; ValueError says what is wrong with `text`."""
    found = _SIZE.match(text)
    if found is None:
        raise ValueError(f"{text!r} is not a size")
    return int(found[1]) * _UNITS[found[2]]


def parse_rate(text: str) -> int:
    """Return bytes a second; ValueError says what is wrong with `text`."""
    if text == "0":
        return 0
    found = _RATE.match(text)
    if found is None:
        raise ValueError(f"{text!r} is not a rate like 1KiB/s")
    return int(found[1]) * _RATE_UNITS[found[2]]


def format_rate(rate: int) -> str:
    """Return the shortest notation that reads back the same."""
    if rate == 0:
        return "0"
    unit = next(u for u in ("MiB", "MB", "KiB", "kB", "B") if rate % _RATE_UNITS[u] == 0)
    return f"{rate // _RATE_UNITS[unit]}{unit}/s"
