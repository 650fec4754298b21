"""Map of models as SVG: one with all groups in colours, and a small one of each in grey.

All dots of a group are one path, some ten bytes a model; thousands need no picture of dots.
"""

from collections.abc import Sequence
from html import escape

import numpy as np

from registry.analysis.plots.charts import STYLES
from registry.analysis.plots.model_map import NO_GROUP, group_names, is_ordered
from registry.learning.arrays import Reals

SIDE, SMALL = 640, 200
"""Of the map and of the small ones, in their units."""

DOT = 5
EDGE = 8
PALE = "#c8c8c8"

DARKER = (
    (244, 176, 60), (236, 112, 84), (196, 60, 140), (124, 46, 190), (38, 60, 190), (6, 6, 56),
)  # fmt: skip
"""Colours of groups in an order, from light to dark, so that grey print shows it."""

CSS = """
.map > svg { display: block; width: 100%; max-width: 40rem; height: auto; }
.parts { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .6rem; }
.parts figure { margin: 0; }
.parts svg { width: 100%; height: auto; border: 1px solid #ddd; }
.parts figcaption { color: #222; margin: 0; }
"""
"""Of a page that has a map."""


def chart_map(points: Reals, groups: Sequence[str | None]) -> str:
    """Return a map as HTML, with a legend and a small map of each group.

    Args:
        points: M x 2, one or more.
        groups: of the M models; None where there are no groups, or a model is in none.
    """
    names = group_names(groups)
    places = _places(points)
    labels = np.array([each or "" for each in groups], dtype=object)
    rows = {name: places[labels == name] for name in names}
    colours = dict(zip(names, map_colours(names), strict=True))
    # The fewest lie in front; models in no group behind all.
    order = sorted(names, key=lambda name: -len(rows[name]))
    ungrouped = places[labels == ""]
    parts = [_dots(ungrouped, PALE if names else STYLES[0][0]), *(
        _dots(rows[name], colours[name]) for name in order
    )]  # fmt: skip
    said = f"Map of {len(points):,} models" + (f", of {', '.join(names)}." if names else ".")
    main = f'<svg viewBox="0 0 {SIDE} {SIDE}" role="img" aria-label="{escape(said)}">{{}}</svg>'
    if not names:
        return f'<div class="map">{main.format("".join(parts))}</div>'
    legend = [(name, colours[name], len(rows[name])) for name in names]
    if len(ungrouped):
        legend.append((NO_GROUP, PALE, len(ungrouped)))
    entries = "".join(
        f'<li><svg viewBox="0 0 16 16" style="width:.9rem" aria-hidden="true"><circle cx="8" cy="8"'
        f' r="6" fill="{colour}"/></svg>{escape(name)} ({count:,})</li>'
        for name, colour, count in legend
    )
    small = "".join(
        f"<figure><figcaption>{escape(name)} ({len(rows[name]):,})</figcaption>"
        f'<svg viewBox="0 0 {SIDE} {SIDE}" role="img" aria-label="{escape(name)} among all">'
        f'<use href="#all-models"/>{_dots(rows[name], "#000", size=2 * DOT)}</svg></figure>'
        for name in names
    )
    # One path of all dots lies behind each small map.
    shared = f'<defs><g id="all-models">{_dots(places, "#d9d9d9", size=2 * DOT)}</g></defs>'
    return (
        f'<div class="map"><ul class="legend">{entries}</ul>{main.format(shared + "".join(parts))}'
        f'<p>Each group (black) among all models (grey):</p><div class="parts">{small}</div></div>'
    )


def map_colours(names: Sequence[str]) -> list[str]:
    """Return a colour for each group: from light to dark where groups have an order."""
    if not is_ordered(names):
        return [STYLES[place % len(STYLES)][0] for place in range(len(names))]
    at = np.linspace(0, len(DARKER) - 1, len(names))
    parts = [np.interp(at, range(len(DARKER)), part) for part in np.transpose(DARKER)]
    return [
        f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in np.round(parts).astype(int).T
    ]


def _places(points: Reals) -> Reals:
    """Return points as places on the map, one scale for both directions."""
    low, high = points.min(axis=0), points.max(axis=0)
    scale = (SIDE - 2 * EDGE) / (float((high - low).max()) or 1.0)
    moved = (points - (low + high) / 2) * scale
    return np.asarray(np.round(moved * [1, -1] + SIDE / 2), np.float64)


def _dots(places: Reals, colour: str, *, size: float = DOT) -> str:
    # Dots of one place are drawn once.
    at = dict.fromkeys(f"M{x:.0f} {y:.0f}h0" for x, y in places.tolist())
    return (
        f'<path d="{"".join(at)}" stroke="{colour}" stroke-width="{size}" stroke-linecap="round"/>'
        if at else ""
    )  # fmt: skip
