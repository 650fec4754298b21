"""Panels of curves with bands and points as SVG, which needs no library and no script."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, floor

import numpy as np

from registry.learning.arrays import Reals

WIDTH, HEIGHT = 360, 260
"""Of a panel, in its units."""

LEFT, RIGHT, TOP, BOTTOM = 50, 20, 24, 50
"""Of its margins."""

LABELS = 6
"""Named places that are written below a panel; of more, some are."""

GREY = "#888"

STYLES = (
    ("#2166ac", ""), ("#d95f02", "7 3"), ("#1b7837", "2 3"), ("#762a83", "9 3 2 3"),
    ("#b2182b", "12 4"), ("#8c6d1f", "4 4"), ("#01a6a6", "2 6"), ("#222222", "12 3 2 3 2 3"),
    ("#e377c2", ""), ("#6b8e00", "7 3"), ("#4d4dff", "2 3"), ("#c49c94", "9 3 2 3"),
)  # fmt: skip
"""Colours and dashes of series; the dashes tell them apart in grey print."""

MARKS = (
    "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0", "m-3-3h6v6h-6z", "m0-4l4 7h-8z", "m0-4l4 4-4 4-4-4z",
    "m0 4l4-7h-8z", "m-4-1h3v-3h2v3h3v2h-3v3h-2v-3h-3z",
)  # fmt: skip
"""Shapes of points, drawn from their place."""

CSS = """
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr));
  gap: 1rem; margin: .6rem 0; }
.panels figure { margin: 0; break-inside: avoid; }
.panels figcaption { font-weight: 500; overflow-wrap: anywhere; color: #222; margin: 0; }
.panels figcaption span { display: block; font-weight: 400; color: #555; }
.panels svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; fill: #444; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: 0; margin: .4rem 0;
  list-style: none; font-size: .88rem; }
.legend svg { width: 2.6rem; height: .9rem; vertical-align: -.1rem; margin-right: .3rem; }
"""
"""Of a page that has panels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PanelSeries:
    """What is drawn of a group.

    Attributes:
        name: of the group.
        points: n x 2.
        curve: m x 2 for a line alone, or m x 4: place, value, lower and upper end of the band,
            which are nan where there is none.
        muted: whether it is drawn in grey, behind the others.
    """

    name: str
    points: Reals = field(default_factory=lambda: np.empty((0, 2)))
    curve: Reals = field(default_factory=lambda: np.empty((0, 2)))
    muted: bool = False

    @property
    def banded(self) -> Reals:
        """The part of the curve that has a band."""
        if self.curve.shape[1] < 4:  # noqa: PLR2004 - without a band
            return self.curve[:0]
        return np.asarray(self.curve[np.isfinite(self.curve).all(axis=1)], np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Curves on one pair of axes.

    Attributes:
        title: of the panel.
        across: what is on the horizontal axis.
        up: what is on the vertical one.
        series: what is drawn, in order; one or more, with a point or more.
        note: said below the title.
        logarithmic: whether the horizontal axis is.
        ticks: names of the places 0, 1, ... on the horizontal axis; none for numbers.
        marks: places on the horizontal axis that are marked.
    """

    title: str
    across: str
    up: str
    series: Sequence[PanelSeries]
    note: str = ""
    logarithmic: bool = False
    ticks: Sequence[str] = ()
    marks: Sequence[float] = ()


def chart_panels(panels: Sequence[Panel]) -> str:
    """Return panels as HTML, with one legend for all where they have more than one series.

    A series has one colour, dash and shape of points in all panels, by its name.
    """
    styles = series_styles(panels)
    drawn = "\n".join(f"<figure>{_caption(each)}{_chart(each, styles)}</figure>" for each in panels)
    return f'{_legend(panels, styles)}<div class="panels">\n{drawn}\n</div>'


def series_styles(panels: Sequence[Panel]) -> dict[str, int]:
    """Return the place of each series among the styles, by its name; none of muted ones."""
    names = dict.fromkeys(
        series.name for panel in panels for series in panel.series if not series.muted
    )
    return {name: place for place, name in enumerate(names)}


def _caption(panel: Panel) -> str:
    note = f"<span>{escape(panel.note)}</span>" if panel.note else ""
    return f"<figcaption>{escape(panel.title)}{note}</figcaption>"


def _legend(panels: Sequence[Panel], styles: Mapping[str, int]) -> str:
    shown: dict[str, PanelSeries] = {}
    for panel in panels:
        for series in panel.series:
            if series.name not in shown or len(series.points):
                shown[series.name] = series
    if len(shown) == 1:
        return ""
    entries = []
    for series in sorted(shown.values(), key=lambda each: styles.get(each.name, len(styles))):
        colour, dash, mark = _style(series, styles)
        drawn = f'<path d="M1 8H43" stroke="{colour}" stroke-width="2" {dash} fill="none"/>'
        if len(series.points):
            drawn += f'<path d="M22 8{mark}" fill="{colour}"/>'
        entries.append(
            f'<li><svg viewBox="0 0 44 16" aria-hidden="true">{drawn}</svg>'
            f"{escape(series.name)}</li>"
        )
    return f'<ul class="legend">{"".join(entries)}</ul>'


def _style(series: PanelSeries, styles: Mapping[str, int]) -> tuple[str, str, str]:
    if series.muted:
        return GREY, 'stroke-dasharray="5 4"', MARKS[0]
    place = styles[series.name]
    colour, dash = STYLES[place % len(STYLES)]
    return colour, f'stroke-dasharray="{dash}"' if dash else "", MARKS[place % len(MARKS)]


def _chart(panel: Panel, styles: Mapping[str, int]) -> str:
    axes = _Axes(panel)
    # Bands and lines of one series would hide those of others, bands more than lines.
    layers: tuple[list[str], list[str], list[str]] = ([], [], [])
    for series in panel.series:
        colour, dash, mark = _style(series, styles)
        curve, banded = series.curve, series.banded
        if len(banded):
            band = [*axes.points(banded[:, [0, 3]]), *axes.points(banded[::-1, [0, 2]])]
            layers[0].append(f'<polygon points="{_joined(band)}" fill="{colour}" opacity=".16"/>')
        if len(curve):
            layers[1].append(
                f'<polyline points="{_joined(axes.points(curve[:, :2]))}" fill="none"'
                f' stroke="{colour}" stroke-width="2" {dash}/>'
            )
        if len(series.points):
            # Points of one place are drawn once.
            at = dict.fromkeys(f"M{x:.0f} {y:.0f}{mark}" for x, y in axes.points(series.points))
            layers[2].append(f'<path d="{"".join(at)}" fill="{colour}"/>')
    said = panel_sentence(panel)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}">'
        f"{axes.drawn()}{''.join(each for layer in layers for each in layer)}</svg>"
    )


def panel_sentence(panel: Panel) -> str:
    """Return what a panel shows, for those who do not see it."""
    names = ", ".join(series.name for series in panel.series)
    note = f" {panel.note}." if panel.note else ""
    return f"{panel.title}: {panel.up} by {panel.across}, of {names}.{note}"


class _Axes:
    """Places of values on a panel, in its units."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        across = np.concatenate([
            part[:, 0] for series in panel.series for part in (series.curve, series.points)
        ])  # fmt: skip
        across = self._across(across)
        room = 0.4 if panel.ticks else 0.0 if np.ptp(across) else 0.5
        self.low_x, self.high_x = float(across.min()) - room, float(across.max()) + room
        self.low, self.high = bounds(panel)

    def _across(self, values: Reals) -> Reals:
        return np.log10(values) if self.panel.logarithmic else values

    def x(self, values: Sequence[float] | Reals) -> Reals:
        shares = (self._across(np.asarray(values, np.float64)) - self.low_x) / (
            self.high_x - self.low_x
        )
        return np.asarray(LEFT + shares * (WIDTH - LEFT - RIGHT), np.float64)

    def y(self, values: Sequence[float] | Reals) -> Reals:
        cut = np.clip(np.asarray(values, np.float64), self.low, self.high)
        up = (HEIGHT - TOP - BOTTOM) / (self.high - self.low)
        return np.asarray(HEIGHT - BOTTOM - (cut - self.low) * up, np.float64)

    def points(self, values: Reals) -> list[tuple[float, float]]:
        return list(zip(self.x(values[:, 0]).tolist(), self.y(values[:, 1]).tolist(), strict=True))

    def drawn(self) -> str:
        """Return lines, numbers and names of the axes."""
        panel, bottom, centre = self.panel, HEIGHT - BOTTOM, (LEFT + WIDTH - RIGHT) / 2
        values = round_numbers(self.low, self.high)
        parts = [
            f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{value:.6g}</text>'
            f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e4e4e4"/>'
            for value, y in zip(values, self.y(values), strict=True)
        ]
        named = self._named()
        parts += [
            f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="#e4e4e4"/>' + _lines(name, x, bottom + 15)
            for x, name in zip(self.x([value for value, _ in named]),
                               [name for _, name in named], strict=True)
        ]  # fmt: skip
        parts += [
            f'<path d="M{x:.1f} {bottom}v-7" stroke="#b2182b" stroke-width="1.5"/>'
            for x in self.x(panel.marks)
        ]
        return "".join([
            *parts, f'<path d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}" stroke="#888" fill="none"/>',
            f'<text x="4" y="13">{escape(panel.up)}</text>',
            _lines(panel.across, centre, bottom + 31 + 13 * any("\n" in name for _, name in named)),
        ])  # fmt: skip

    def _named(self) -> list[tuple[float, str]]:
        """Return the places that are written below, with their names."""
        ticks = self.panel.ticks
        if ticks:
            step = ceil(len(ticks) / LABELS)
            return [(float(place), ticks[place]) for place in range(0, len(ticks), step)]
        if not self.panel.logarithmic:
            return [(each, f"{each:.6g}") for each in round_numbers(self.low_x, self.high_x)]
        powers = [float(power) for power in range(ceil(self.low_x), floor(self.high_x) + 1)]
        powers = powers[:: ceil(len(powers) / LABELS)] if powers else [self.low_x, self.high_x]
        return [(10**power, short(10**power)) for power in powers]


def bounds(panel: Panel) -> tuple[float, float]:
    """Return the ends of a panel's vertical axis.

    Bands at the ends of a curve may be many times as wide as it is high; they are cut there.
    """
    curves = [series.curve for series in panel.series if len(series.curve)]
    inner = np.concatenate([
        *(curve[:, 1] for curve in curves), *(series.points[:, 1] for series in panel.series)
    ])  # fmt: skip
    low, high = float(inner.min()), float(inner.max())
    bands = [series.banded for series in panel.series if len(series.banded)]
    ends = np.concatenate([inner, *(band[:, 2:].ravel() for band in bands)])
    half = max((float((band[:, 3] - band[:, 1]).max()) for band in bands), default=0.0)
    room = (high - low) or half or 1.0
    low, high = max(float(ends.min()), low - room), min(float(ends.max()), high + room)
    return (low, high) if high > low else (low - room / 2, high + room / 2)


def round_numbers(low: float, high: float) -> list[float]:
    """Return round numbers between two, some three to six."""
    step = 10 ** np.floor(np.log10((high - low) / 2))
    while (high - low) / step > 6:  # noqa: PLR2004 - lines
        step *= 2 if f"{step:.0e}"[0] in "15" else 2.5
    # Adding 0 makes -0 a 0.
    return [float(place * step) + 0 for place in range(ceil(low / step), floor(high / step) + 1)]


def short(value: float) -> str:
    """Write a number of weights, tokens or operations in a few letters."""
    value = float(f"{value:.3g}")
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if size <= abs(value) < 1e3 * size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _lines(text: str, x: float, y: float) -> str:
    return "".join(
        f'<text x="{x:.1f}" y="{y + 13 * place:.1f}" text-anchor="middle">{escape(line)}</text>'
        for place, line in enumerate(text.split("\n"))
    )


def _joined(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
