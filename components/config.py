"""The stack's configuration, whole: also the keys that nobody asks for, so that none is ignored."""

import json
from typing import Any

from pulumi.runtime import config as runtime_config

from components.settings import PROJECT


def stack_config() -> dict[str, Any]:
    """Return the values under ``lockgate:`` by key; values that are JSON are read."""
    prefix = f"{PROJECT}:"
    held = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    return {
        key.removeprefix(prefix): _value(text)
        for key, text in held.items()
        if key.startswith(prefix)
    }


def _value(text: str) -> Any:
    if text[:1] not in {"{", "["}:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
