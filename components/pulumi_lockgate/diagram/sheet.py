"""A policy's whole sheet: its picture with the name and the words that stand for it."""

from pathlib import Path

from lockgate.policy.spec.model_router import RouterSpec

from pulumi_lockgate.diagram.draw import draw, told
from pulumi_lockgate.diagram.rows import picture


def sheet(spec: RouterSpec, named: str) -> str:
    """Return the SVG of `spec`; `named` is the file or the stack that it was read from."""
    shown = picture(spec)
    path = Path(named)
    name = path.name if path.suffix else f"stack {named}"
    tiers = [f"{b.name} ({b.tier})" for b in shown.backends]
    words = [
        f"Backends: {', '.join(tiers)}.",
        "Sensitive requests: " + "; ".join(told(track) for track in shown.sensitive) + ".",
        "Every rule: " + "; ".join(told(track) for track in shown.every) + ".",
    ]
    return draw(shown, f"Where requests go: {name}", " ".join(words))
