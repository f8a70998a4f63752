"""Draws a picture as a Mermaid flowchart, which GitHub and GitLab show inside a comment.

The same rows as in the SVG. Everything from a policy is written as numeric character codes where it
is no plain word, so that no name ends a label, a line or the block around the chart.
"""

import json
import re
from collections.abc import Iterator
from typing import Final

from pulumi_lockgate.diagram.rows import Picture, Row, Stop, distinct

MOST_EDGES: Final = 200
"""Arrows that are drawn: hosts draw up to 500, too many to read."""
_SPECIAL: Final = re.compile(r"[^\w .,:/()%+-]")
_LONGEST: Final = 80
_Groups = tuple[tuple[str, str, tuple[Row, ...]], ...]
"""(prefix of its nodes, title, rows) of each part of the chart."""
_STYLES: Final = (
    "classDef local fill:#0a6b5e,stroke:#0a6b5e,color:#fff",
    "classDef cloud fill:#a63c06,stroke:#a63c06,color:#fff,stroke-dasharray:4 3",
    "classDef sensitive stroke:#0a6b5e,stroke-width:2px",
    "classDef leak stroke:#b3001b,stroke-width:3px",
)


def mermaid_of(picture: Picture) -> str | None:
    """Return the text of a Mermaid flowchart, None where it would have too many arrows."""
    rows = (*picture.sensitive, *picture.every)
    if sum(len(row.stops) for row in rows) > MOST_EDGES:
        return None
    title = json.dumps(f"{picture.verdict} ({picture.digest[:19]}…)", ensure_ascii=False)
    return "\n".join(["---", f"title: {title}", "---", "flowchart LR", *_body(picture)]) + "\n"


def _body(picture: Picture) -> Iterator[str]:
    nodes = {backend.name: f"b{n}" for n, backend in enumerate(picture.backends)}
    titles = distinct((row.title for row in picture.every), _LONGEST)
    groups: _Groups = (
        ("sensitive", "Sensitive requests, by label", picture.sensitive),
        ("every", "Every rule; the first match decides", picture.every),
    )
    for name, title, rows in groups:
        if rows:
            yield f'  subgraph {name} ["{title}"]'
            for number, row in enumerate(rows):
                yield f"    {name}{number}{_label(row, titles)}"
            yield "  end"
    for tier in ("local", "cloud"):
        members = [b for b in picture.backends if b.tier == tier]
        if members:
            yield f'  subgraph {tier}tier ["{tier} tier"]'
            for backend in members:
                yield f'    {nodes[backend.name]}(["{_safe(backend.name)}"]):::{tier}'
            yield "  end"
    yield from _arrows(groups, nodes)
    yield from (f"  {style}" for style in _STYLES)


def _arrows(groups: _Groups, nodes: dict[str, str]) -> Iterator[str]:
    drawn, leaking = 0, []
    for name, _, rows in groups:
        for number, row in enumerate(rows):
            for stop in row.stops:
                yield f"  {name}{number} {_arrow(row, stop)} {nodes[stop.backend]}"
                if row.leaks and stop.tier == "cloud":
                    leaking.append(str(drawn))
                drawn += 1
    if leaking:
        yield f"  linkStyle {','.join(leaking)} stroke:#b3001b,stroke-width:3px"


def _label(row: Row, titles: dict[str, str]) -> str:
    title = titles.get(row.title, row.title[:_LONGEST])
    lines = [f"{row.number}  {title}" if row.is_numbered else title, row.note[:_LONGEST]]
    if row.leaks:
        lines.append("LEAK")
    elif row.refuses:
        lines.append("then 503")
    kind = "leak" if row.leaks else "sensitive" if row.sensitive else ""
    text = "<br/>".join(_safe(line) for line in lines)
    return f'["{text}"]' + (f":::{kind}" if kind else "")


def _arrow(row: Row, stop: Stop) -> str:
    """Return the arrow to a backend: thick for a leak, dotted into the cloud and for copies."""
    words = {"default": "default", "named": "by name", "copy": f"copies {stop.percent}%"}
    label = words.get(stop.role, stop.sign)
    if row.leaks and stop.tier == "cloud":
        return f'== "LEAK {label}" ==>'
    if stop.tier == "cloud" or stop.role == "copy":
        return f'-. "{label}" .->'
    return f'-- "{label}" -->'


def _safe(text: str) -> str:
    """Return `text` with everything but plain words as Mermaid's numeric character codes."""
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", text)
