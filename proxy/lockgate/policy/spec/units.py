"""Units as a policy writes them: durations, sizes and rates.

Durations are Go's (https://pkg.go.dev/time#ParseDuration), in seconds. Sizes are Kubernetes
quantities (``96Mi``, ``1G``, ``1048576``), in bytes:
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
Rates are bytes a second: ``1KiB/s``.
"""

import re
from decimal import Decimal
from typing import Final

_TIMES: Final = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "μs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_DURATION: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_BYTES: Final = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
}  # fmt: skip
_RATES: Final = {"B": 1, "kB": 10**3, "MB": 10**6, "KiB": 1 << 10, "MiB": 1 << 20}
_RATE: Final = re.compile(r"([0-9]{1,9})(B|kB|MB|KiB|MiB)/s\Z")
_SIZE: Final = re.compile(r"([0-9]{1,12})(|[kMGT]|[KMGT]i)\Z")


def parse_duration(text: str) -> float:
    """Return the seconds of a positive duration like ``1m30s``; ValueError says what is wrong."""
    total, at = Decimal(0), 0
    body = text.removeprefix("+")
    while at < len(body):
        part = _DURATION.match(body, at)
        if part is None:
            raise ValueError(f"{text!r} is not a duration like 30s or 1m30s")
        total += Decimal(part[1]) * _TIMES[part[2]]
        at = part.end()
    if not body or total <= 0:
        raise ValueError(f"{text!r} is not a duration greater than zero")
    return float(total)


def format_duration(seconds: float) -> str:
    """Return the shortest notation in hours, minutes, seconds that reads back the same."""
    left = Decimal(repr(seconds))
    if left < 1:
        return f"{_plain(left * 1000)}ms"
    out = ""
    for unit, size in (("h", 3600), ("m", 60)):
        count, left = divmod(left, size)
        out += f"{count:f}".split(".")[0] + unit if count else ""
    return out + (f"{_plain(left)}s" if left else "")


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def parse_size(text: str) -> int:
    """Return bytes; ValueError says what is wrong with `text`."""
    parts = _SIZE.match(text)
    if parts is None:
        raise ValueError(f"{text!r} is not a size")
    return int(parts[1]) * _BYTES[parts[2]]


def parse_rate(text: str) -> int:
    """Return bytes a second; ValueError says what is wrong with `text`."""
    if text == "0":
        return 0
    parts = _RATE.match(text)
    if parts is None:
        raise ValueError(f"{text!r} is not a rate like 1KiB/s")
    return int(parts[1]) * _RATES[parts[2]]


def format_rate(rate: int) -> str:
    """Return the shortest notation that reads back the same."""
    if rate == 0:
        return "0"
    unit = next(u for u in ("MiB", "MB", "KiB", "kB", "B") if rate % _RATES[u] == 0)
    return f"{rate // _RATES[unit]}{unit}/s"
