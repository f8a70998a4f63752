"""Sizes as Kubernetes writes them: ``96Mi``, ``1G``, ``1048576``.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from typing import Final

_UNITS: Final = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
}  # fmt: skip
_SIZE: Final = re.compile(r"([0-9]{1,12})(|[kMGT]|[KMGT]i)\Z")


def parse_size(text: str) -> int:
    """Return bytes; ValueError says what is wrong with `text`."""
    found = _SIZE.match(text)
    if found is None:
        raise ValueError(f"{text!r} is not a size")
    return int(found[1]) * _UNITS[found[2]]
