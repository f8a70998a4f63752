"""Hands a manifest to the resource class of its kind."""

import re
from typing import Any, Final

from pulumi_lockgate.manifests.common import Manifest

_HUMP: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")


def body(manifest: Manifest) -> dict[str, Any]:
    """Return a manifest as keyword arguments: top-level names in the SDK's spelling."""
    stated = {"apiVersion", "kind"}
    return {
        _HUMP.sub(r"_\1", key).lower(): value
        for key, value in manifest.items()
        if key not in stated
    }
