"""Draws a picture as SVG: a line for each row, a column for each backend, clouds beyond a border.

A table and not a free graph: the order of the rules is their meaning, thirty rules over ten
backends stay readable, and a changed policy moves few lines of the file. Nothing is said by colour
alone: what goes to a cloud is dashed and crosses a border, refusals and leaks are words.
"""

from html import escape
from typing import Final

import drawsvg as svg
from attrs import frozen

from pulumi_lockgate.diagram.rows import Picture, Row, Stop, distinct, in_words
from pulumi_lockgate.diagram.style import CSS, LEGEND

MARGIN: Final = 24
LABELS: Final = 400
"""Width of the column with rules and labels, in px as everything here."""
ROW: Final = 48
GAP: Final = 44
END: Final = 92
HEAD: Final = 116
"""Height of the title, the verdict and the digest."""
CHAR: Final = 7.6
"""Width of a character at 13 px, on the safe side."""
LONGEST: Final = 24
"""Characters of a backend's name; more where two names would become one."""
TITLE: Final = 44
"""Characters of a rule's name, likewise."""
NOTE: Final = 56


@frozen
class Layout:
    """Where everything is: x of each column and of the border, y of both tables.

    `texts` has the text of each name: whole, or cut and still its own.
    """

    columns: dict[str, float]
    border: float
    width: float
    is_slanted: bool
    first: float
    second: float
    bottom: float
    texts: dict[str, str]


def svg_of(picture: Picture, name: str) -> str:
    """Return `picture` as the text of an SVG file; `name` is the policy's file or stack."""
    layout = _layout(picture)
    legend = _used(picture)
    width = max(layout.width, MARGIN + sum(_span(text) for _, _, text in legend), 760)
    height = layout.bottom + 76
    title = f"Where requests go: {name}"
    image = svg.Drawing(width, height, role="img", aria_labelledby="title desc")
    image.append(svg.Raw(f'<title id="title">{escape(title)}</title>'))
    image.append(svg.Raw(f'<desc id="desc">{escape(_description(picture))}</desc>'))
    image.append_css(CSS)
    image.append(svg.Rectangle(0, 0, width, height, class_="paper"))
    _head(image, picture, title)
    _columns(image, picture, layout, width)
    _section(image, "Sensitive requests, by label", picture.sensitive, layout, layout.first)
    _section(image, "Every rule; the first match decides", picture.every, layout, layout.second)
    _legend(image, legend, height - 34)
    return str(image.as_svg()) + "\n"


def _description(picture: Picture) -> str:
    """Return the whole picture in words."""
    tiers = [f"{b.name} ({b.tier})" for b in picture.backends]
    parts = [
        f"{picture.verdict}. Policy {picture.digest}. Backends: {', '.join(tiers)}.",
        "Sensitive requests: " + "; ".join(map(in_words, picture.sensitive)) + ".",
        "Every rule: " + "; ".join(map(in_words, picture.every)) + ".",
    ]
    return " ".join(parts)


def _layout(picture: Picture) -> Layout:
    names = distinct((b.name for b in picture.backends), LONGEST)
    longest = max((len(text) for text in names.values()), default=0) * CHAR + 26
    is_slanted = longest * len(names) > 760
    step = 58 if is_slanted else max(longest, 110)
    x, border = float(MARGIN + LABELS + 20), 0.0
    columns: dict[str, float] = {}
    for backend in picture.backends:
        if backend.tier == "cloud" and not border:
            border = x + 52
            x += 76
        columns[backend.name] = x + step / 2
        x += step
    slope = longest * 0.77 if is_slanted else 0  # the last name leans over the right end
    first = HEAD + (longest * 0.65 + 40 if is_slanted else 74)
    second = first + len(picture.sensitive) * ROW + GAP + 30
    bottom = second + len(picture.every) * ROW
    texts = names | distinct((row.title for row in picture.every), TITLE)
    width = x + max(END, slope) + MARGIN
    return Layout(columns, border, width, is_slanted, first, second, bottom, texts)


def _head(image: svg.Drawing, picture: Picture, title: str) -> None:
    word, _, meaning = picture.verdict.partition(": ")
    kind = "proved" if picture.proved else "violated"
    image.append(_text(title, MARGIN, MARGIN + 16, "name"))
    image.append(_text(word, MARGIN, MARGIN + 44, f"verdict {kind}"))
    image.append(_text(meaning, MARGIN + 20 + len(word) * 10, MARGIN + 44, "section"))
    image.append(_text(picture.digest, MARGIN, MARGIN + 68, "digest"))


def _columns(image: svg.Drawing, picture: Picture, layout: Layout, width: float) -> None:
    top, bottom = HEAD - 6, layout.bottom
    if layout.border:
        right = width - MARGIN - layout.border
        image.append(svg.Rectangle(layout.border, top, right, bottom - top + 6, class_="cloudside"))
        image.append(svg.Line(layout.border, top, layout.border, bottom + 6, class_="border"))
        image.append(_text("cloud tier", layout.border + 12, top + 20, "tier cloud"))
    image.append(_text("local tier", MARGIN + LABELS + 20, top + 20, "tier local"))
    for backend in picture.backends:
        x, y = layout.columns[backend.name], layout.first - 12
        image.append(svg.Line(x, layout.first, x, bottom, class_="column"))
        turn = {"transform": f"rotate(-40 {x:g} {y:g})"} if layout.is_slanted else {}
        anchor = "start" if layout.is_slanted else "middle"
        label = _text(
            layout.texts[backend.name], x, y, f"head {backend.tier}", anchor=anchor, **turn
        )
        label.append_title(f"{backend.name}: {backend.tier} tier")
        image.append(label)


def _section(
    image: svg.Drawing, title: str, rows: tuple[Row, ...], layout: Layout, top: float
) -> None:
    image.append(_text(title, MARGIN, top - 12, "section"))
    for number, row in enumerate(rows):
        _row(image, row, layout, top + number * ROW)


def _row(image: svg.Drawing, row: Row, layout: Layout, top: float) -> None:
    group = svg.Group(class_="leak" if row.leaks else "row")
    group.append_title(in_words(row))
    middle, right = top + ROW / 2, MARGIN + LABELS
    kind = "sensitive" if row.sensitive else "plain"
    group.append(svg.Rectangle(MARGIN, top + 3, LABELS, ROW - 6, rx=6, class_=f"box {kind}"))
    title = layout.texts.get(row.title) or _ended(row.title, TITLE)
    numbered = f"{row.number}  {title}" if row.is_numbered else title
    group.append(_text(numbered, MARGIN + 12, top + 21, "title"))
    group.append(_text(_ended(row.note, NOTE), MARGIN + 12, top + 37, "note"))
    _way(group, row, layout, right, middle)
    for stop in row.stops:
        _stop(group, stop, layout.columns[stop.backend], middle, leaks=row.leaks)
    _end(group, row, layout, middle)
    image.append(group)


def _way(group: svg.Group, row: Row, layout: Layout, start: float, y: float) -> None:
    """Draw the way to the farthest stop: whole in the local tier, dashed beyond its border."""
    if not row.stops:
        return
    end = max(layout.columns[stop.backend] for stop in row.stops)
    beyond = bool(layout.border) and end > layout.border
    group.append(svg.Line(start, y, layout.border if beyond else end, y, class_="way local"))
    if beyond:
        group.append(svg.Line(layout.border, y, end, y, class_="way cloud"))


def _stop(group: svg.Group, stop: Stop, x: float, y: float, *, leaks: bool) -> None:
    tier = "out" if leaks and stop.tier == "cloud" else stop.tier
    is_filled = stop.role in {"candidate", "share"}
    kind = f"stop {tier}" if is_filled else f"stop {stop.role} hollow {tier}"
    if stop.percent is not None:
        group.append(svg.Rectangle(x - 23, y - 12, 46, 24, rx=12, class_=kind))
    elif stop.role == "default":
        group.append(svg.Rectangle(x - 11, y - 11, 22, 22, rx=4, class_=kind))
    else:
        group.append(svg.Circle(x, y, 12, class_=kind))
    on = "order" if is_filled else f"order on {tier}"
    group.append(_text(stop.sign, x, y + 4.5, on, anchor="middle"))


def _end(group: svg.Group, row: Row, layout: Layout, y: float) -> None:
    """Say what is left when every backend has failed: a refusal, or a leak before that."""
    last = max((layout.columns[s.backend] for s in row.stops), default=MARGIN + LABELS)
    if row.leaks:
        group.append(_text("LEAK", last + 30, y + 4.5, "end"))
    elif row.refuses:
        start = last + 24 if row.stops else last
        group.append(svg.Line(start, y, last + 34, y, class_="way end"))
        group.append(_text("503", last + 40, y + 4.5, "end"))


def _used(picture: Picture) -> list[tuple[str, str, str]]:
    """Return the lines of the legend that this picture needs."""
    rows = (*picture.sensitive, *picture.every)
    stops = [stop for row in rows for stop in row.stops]
    roles = {stop.role for stop in stops}
    needed = {
        "1": "candidate" in roles,
        "%": "share" in roles,
        "copy": "copy" in roles,
        "=": "named" in roles,
        "[]": "default" in roles,
        "503": any(row.refuses for row in rows),
        "way cloud": any(stop.tier == "cloud" for stop in stops),
    }
    return [row for row in LEGEND if needed.get(row[0], True) and needed.get(row[1], True)]


def _span(text: str) -> float:
    return 58 + len(text) * 6.6


def _legend(image: svg.Drawing, legend: list[tuple[str, str, str]], y: float) -> None:
    x: float = MARGIN
    for sign, kind, text in legend:
        if sign == "-":
            image.append(svg.Line(x, y - 4, x + 30, y - 4, class_=kind))
        elif sign == "[]":
            image.append(svg.Rectangle(x + 6, y - 14, 20, 20, rx=4, class_=kind))
        elif sign == "503":
            image.append(_text(sign, x + 4, y, "end"))
        else:
            shape: svg.DrawingBasicElement = svg.Circle(x + 16, y - 4, 10, class_=kind)
            if sign in {"%", "copy"}:
                shape = svg.Rectangle(x, y - 14, 32, 20, rx=10, class_=kind)
            image.append(shape)
            on = "order on local" if "hollow" in kind else "order"
            shown = "%" if sign == "copy" else sign
            image.append(_text(shown, x + 16, y, on, anchor="middle"))
        image.append(_text(text, x + 40, y, "note"))
        x += _span(text)


def _text(
    text: str, x: float, y: float, kind: str, *, anchor: str = "start", **more: str
) -> svg.Text:
    return svg.Text(text, None, x, y, class_=kind, text_anchor=anchor, **more)


def _ended(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
