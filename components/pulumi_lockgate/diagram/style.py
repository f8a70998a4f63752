"""How the SVG picture looks, in light and in dark; sizes are px."""

from typing import Final

LIGHT: Final = {
    "paper": "#ffffff",
    "ink": "#1f2328",
    "soft": "#57606a",
    "hair": "#d8dee4",
    "box": "#f6f8fa",
    "tint": "#e6f4f1",
    "local": "#0a6b5e",
    "cloud": "#a63c06",
    "red": "#b3001b",
    "on": "#ffffff",
}
DARK: Final = {
    "paper": "#0d1117",
    "ink": "#e6edf3",
    "soft": "#9ea7b3",
    "hair": "#30363d",
    "box": "#161b22",
    "tint": "#10302b",
    "local": "#4fc3ad",
    "cloud": "#ff9e64",
    "red": "#ff7b86",
    "on": "#0d1117",
}
_SHAPES: Final = """\
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.name { font-size: 18px; font-weight: 600; }
.section { font-size: 14px; font-weight: 600; }
.verdict { font-size: 15px; font-weight: 700; }
.digest { font: 12px ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; }
.title { font-size: 13px; font-weight: 600; }
.note { font-size: 12px; }
.head, .tier { font-size: 13px; font-weight: 600; }
.order { font-size: 12px; font-weight: 700; }
.end { font-size: 13px; font-weight: 700; }
.box { stroke-width: 1; }
.column { stroke-width: 1; }
.border { stroke-width: 2; stroke-dasharray: 2 5; }
.way { stroke-width: 2.5; }
.way.cloud { stroke-dasharray: 8 5; }
.stop { stroke-width: 2.5; }
.stop.copy { stroke-dasharray: 4 3; }
.cloudside { fill-opacity: 0.05; }
"""
_COLOURS: Final = """\
.paper {{ fill: {paper}; }}
text, .name, .section, .title {{ fill: {ink}; }}
.note, .digest {{ fill: {soft}; }}
.verdict.proved {{ fill: {local}; }}
.verdict.violated {{ fill: {red}; }}
.cloudside {{ fill: {cloud}; }}
.box {{ fill: {box}; stroke: {hair}; }}
.box.sensitive {{ fill: {tint}; stroke: {local}; }}
.column {{ stroke: {hair}; }}
.border {{ stroke: {cloud}; }}
.head.local, .tier.local, .order.on.local {{ fill: {local}; }}
.head.cloud, .tier.cloud, .order.on.cloud {{ fill: {cloud}; }}
.way.local {{ stroke: {local}; }}
.way.cloud {{ stroke: {cloud}; }}
.way.end {{ stroke: {red}; }}
.stop.local {{ fill: {local}; stroke: {local}; }}
.stop.cloud {{ fill: {cloud}; stroke: {cloud}; }}
.stop.out {{ fill: {red}; stroke: {red}; }}
.stop.hollow {{ fill: {paper}; }}
.order {{ fill: {on}; }}
.order.on.out, .end {{ fill: {red}; }}
.leak .way, .leak .box {{ stroke: {red}; }}
"""


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


CSS: Final = (
    _SHAPES
    + _COLOURS.format(**LIGHT)
    + "@media (prefers-color-scheme: dark) {\n"
    + _indented(_COLOURS.format(**DARK))
    + "}\n"
)
LEGEND: Final = (
    ("1", "stop local", "tried in this order"),
    ("%", "stop local", "share of the requests"),
    ("copy", "stop copy hollow local", "copies of requests"),
    ("[]", "stop default hollow local", "default route"),
    ("=", "stop named hollow local", "by its name"),
    ("-", "way local", "stays local"),
    ("-", "way cloud", "goes to a cloud"),
    ("503", "", "refused when all have failed"),
)
"""(sign, class of its shape, what it means)."""
