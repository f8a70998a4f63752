"""Amounts of CPU, memory and devices as Kubernetes writes them.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
Not `parse_size` of policies, which knows whole bytes alone: these have decimals, thousandths and
exponents. Not the Kubernetes client's either: importing it takes longer than a plan.
"""

import re
from decimal import Decimal
from typing import Final

_QUANTITY: Final = re.compile(
    r"(?P<number>[0-9]{1,18}(\.[0-9]{0,9})?|\.[0-9]{1,9})"
    r"(?P<unit>|[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})\Z"
)
_TENS: Final = {
    "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
}  # fmt: skip
_TWOS: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def quantity(stated: object) -> Decimal:
    """Return an amount, 0 or more; ValueError says that `stated` is none."""
    parts = None if isinstance(stated, bool) else _QUANTITY.match(str(stated))
    if parts is None:
        raise ValueError(f"{stated!r} is no amount like 8, 500m or 64Gi")
    number, unit = Decimal(parts["number"]), parts["unit"]
    if unit in _TWOS:
        return number * (1 << _TWOS[unit])
    return number.scaleb(_TENS[unit] if unit in _TENS else int(unit[1:]))


def shown(amount: Decimal, resource: str) -> str:
    """Return an amount for people: memory in GiB or MiB, all else as a number."""
    if resource != "memory":
        return f"{amount.normalize():f}"
    unit, size = ("GiB", 1 << 30) if amount >= 1 << 30 else ("MiB", 1 << 20)
    return f"{round(amount / size, 1).normalize():f} {unit}"
