"""Go's duration notation (https://pkg.go.dev/time#ParseDuration), in seconds."""

import re
from decimal import Decimal
from typing import Final

_UNITS: Final = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "μs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_PART: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Return the seconds of a positive duration like ``1m30s``; ValueError says what is wrong."""
    total, at = Decimal(0), 0
    body = text.removeprefix("+")
    while at < len(body):
        part = _PART.match(body, at)
        if part is None:
            raise ValueError(f"{text!r} is not a duration like 30s or 1m30s")
        total += Decimal(part[1]) * _UNITS[part[2]]
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
