"""Draws a picture as SVG: a row a track, a column a backend, the cloud beyond a line.

A table and not a free graph: the order of the rules is their meaning, thirty rules over ten
backends stay readable, and a policy's change moves few lines of the file. Nothing is told by colour
alone: what goes to a cloud is dashed and crosses a line, refusals and leaks are words.
"""

from html import escape
from typing import Final

import drawsvg as svg
from attrs import frozen

from pulumi_lockgate.diagram.rows import Picture, Stop, Track
from pulumi_lockgate.diagram.style import CSS, LEGEND

MARGIN: Final = 24
LABELS: Final = 380
"""Width of the column with rules and labels, in px as everything here."""
ROW: Final = 46
GAP: Final = 40
END: Final = 92
CHAR: Final = 7.4
"""Width of a character at 13 px, on the safe side."""
LONGEST: Final = 24


@frozen
class Columns:
    """Where each backend's column is: x of its middle, x of the line before the cloud tier."""

    at: dict[str, float]
    border: float
    width: float
    slanted: bool


def draw(shown: Picture, name: str, description: str) -> str:
    """Return `shown` as the text of an SVG file; `name` is its title."""
    columns = _columns(shown)
    head = 150 if columns.slanted else 70
    first = MARGIN + 40 + head
    second = first + len(shown.sensitive) * ROW + GAP + 30
    height = second + len(shown.every) * ROW + 76
    legend = _used(shown)
    width = max(columns.width, MARGIN + sum(_span(text) for _, _, text in legend))
    image = svg.Drawing(width, height, role="img", aria_labelledby="title desc")
    image.append(svg.Raw(f'<title id="title">{escape(name)}</title>'))
    image.append(svg.Raw(f'<desc id="desc">{escape(description)}</desc>'))
    image.append_css(CSS)
    image.append(svg.Rectangle(0, 0, width, height, class_="paper"))
    image.append(_text(name, MARGIN, MARGIN + 14, "name"))
    _heads(image, shown, columns, first, second + len(shown.every) * ROW)
    _section(image, "Sensitive requests, by label", shown.sensitive, columns, first)
    _section(image, "Every rule, first match wins", shown.every, columns, second)
    _legend(image, legend, height - 34)
    return str(image.as_svg()) + "\n"


def _columns(shown: Picture) -> Columns:
    names = [_short(b.name) for b in shown.backends]
    longest = max((len(n) for n in names), default=0) * CHAR + 26
    slanted = longest * len(names) > 760
    step = 58 if slanted else max(longest, 110)
    x, border = float(MARGIN + LABELS + 20), 0.0
    at: dict[str, float] = {}
    for backend in shown.backends:
        if backend.tier == "cloud" and not border:
            border = x + 40
            x += 60
        at[backend.name] = x + step / 2
        x += step
    slope = 90 if slanted else 0
    return Columns(at, border, x + max(END, slope) + MARGIN, slanted)


def _heads(image: svg.Drawing, shown: Picture, at: Columns, top: float, bottom: float) -> None:
    for backend in shown.backends:
        x = at.at[backend.name]
        image.append(svg.Line(x, top, x, bottom, class_="column"))
        kind = f"head {backend.tier}"
        turn = {"transform": f"rotate(-40 {x:g} {top - 12:g})"} if at.slanted else {}
        anchor = "start" if at.slanted else "middle"
        label = _text(_short(backend.name), x, top - 12, kind, anchor=anchor, **turn)
        label.append_title(f"{backend.name}: {backend.tier} tier")
        image.append(label)
    y = MARGIN + 40
    left = MARGIN + LABELS + 20
    image.append(_text("local tier", left, y, "tier local"))
    if at.border:
        image.append(svg.Line(at.border, y - 12, at.border, bottom, class_="border"))
        image.append(_text("cloud tier", at.border + 12, y, "tier cloud"))


def _section(
    image: svg.Drawing, title: str, tracks: tuple[Track, ...], at: Columns, top: float
) -> None:
    image.append(_text(title, MARGIN, top - 12, "section"))
    for number, track in enumerate(tracks):
        _track(image, track, at, top + number * ROW)


def _track(image: svg.Drawing, track: Track, at: Columns, top: float) -> None:
    row = svg.Group(class_="leak" if track.leaks else "track")
    row.append_title(told(track))
    middle, right = top + ROW / 2, MARGIN + LABELS
    kind = "sensitive" if track.sensitive else "plain"
    row.append(svg.Rectangle(MARGIN, top + 3, LABELS, ROW - 6, rx=6, class_=f"box {kind}"))
    shown = (
        track.title
        if track.number is None or "taken by" in track.note
        else (f"{track.number}  {track.title}")
    )
    row.append(_text(_cut(shown, 46), MARGIN + 12, top + 20, "title"))
    row.append(_text(_cut(track.note, 50), MARGIN + 12, top + 36, "note"))
    _line(row, track, at, right, middle)
    for stop in track.stops:
        _stop(row, stop, at.at[stop.backend], middle, leaks=track.leaks)
    _end(row, track, at, middle)
    image.append(row)


def _line(row: svg.Group, track: Track, at: Columns, start: float, y: float) -> None:
    """Draw the way to the farthest stop: whole in the local tier, dashed beyond its border."""
    if not track.stops:
        return
    end = max(at.at[stop.backend] for stop in track.stops)
    beyond = bool(at.border) and end > at.border
    row.append(svg.Line(start, y, at.border if beyond else end, y, class_="way local"))
    if beyond:
        row.append(svg.Line(at.border, y, end, y, class_="way cloud"))


def _stop(row: svg.Group, stop: Stop, x: float, y: float, *, leaks: bool) -> None:
    tier = "out" if leaks and stop.tier == "cloud" else stop.tier
    signs = {"candidate": str(stop.order), "default": str(stop.order), "copy": "c", "named": "="}
    if stop.role == "default":
        row.append(svg.Rectangle(x - 11, y - 11, 22, 22, rx=4, class_=f"stop last {tier}"))
    else:
        hollow = "" if stop.role == "candidate" else " hollow"
        row.append(svg.Circle(x, y, 12, class_=f"stop{hollow} {tier}"))
    dark = stop.role == "candidate"
    kind = "order" if dark else f"order on {tier}"
    row.append(_text(signs[stop.role], x, y + 4.5, kind, anchor="middle"))


def _end(row: svg.Group, track: Track, at: Columns, y: float) -> None:
    """Say what is left when every stop has failed: nothing but a refusal, or nothing to say."""
    last = max((at.at[stop.backend] for stop in track.stops), default=MARGIN + LABELS)
    if track.leaks:
        row.append(_text("LEAK", last + 20, y + 4.5, "end"))
    elif track.refuses:
        start = last + 13 if track.stops else last
        row.append(svg.Line(start, y, last + 24, y, class_="way end"))
        row.append(_text("503", last + 29, y + 4.5, "end"))


def told(track: Track) -> str:
    """Return a track as a sentence, for those who do not see it."""
    rule = f"rule {track.number}, " if track.number is not None else ""
    kinds = {"default": ", the default route", "copy": ", a copy", "named": ", by its name"}
    stops = [f"{s.backend} ({s.tier}{kinds.get(s.role, '')})" for s in track.stops]
    ends = ["503"] if track.refuses and not track.leaks else []
    leak = ": a leak" if track.leaks else ""
    return f"{rule}{track.title} ({track.note}): {', then '.join(stops + ends)}{leak}"


def _used(shown: Picture) -> list[tuple[str, str, str]]:
    """Return the lines of the legend that this picture needs."""
    tracks = (*shown.sensitive, *shown.every)
    stops = [stop for track in tracks for stop in track.stops]
    roles = {stop.role for stop in stops}
    there = {
        "c": "copy" in roles,
        "=": "named" in roles,
        "[]": "default" in roles,
        "503": any(track.refuses for track in tracks),
        "way cloud": any(stop.tier == "cloud" for stop in stops),
    }
    return [row for row in LEGEND if there.get(row[0], True) and there.get(row[1], True)]


def _span(text: str) -> float:
    return 50 + len(text) * 6.6


def _legend(image: svg.Drawing, legend: list[tuple[str, str, str]], y: float) -> None:
    x: float = MARGIN
    for sign, kind, text in legend:
        if sign == "-":
            image.append(svg.Line(x, y - 4, x + 26, y - 4, class_=kind))
        elif sign == "[]":
            image.append(svg.Rectangle(x + 2, y - 15, 20, 20, rx=4, class_=kind))
        elif sign == "503":
            image.append(_text(sign, x, y, "end"))
        else:
            image.append(svg.Circle(x + 12, y - 4, 10, class_=kind))
            on = "order on local" if "hollow" in kind else "order"
            image.append(_text(sign, x + 12, y, on, anchor="middle"))
        image.append(_text(text, x + 32, y, "note"))
        x += _span(text)


def _text(
    text: str, x: float, y: float, kind: str, *, anchor: str = "start", **more: str
) -> svg.Text:
    return svg.Text(text, None, x, y, class_=kind, text_anchor=anchor, **more)


def _short(name: str) -> str:
    return _cut(name, LONGEST)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
