"""Curves of partial effects with their bands, as a picture or as a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from pathlib import Path

import numpy as np

from registry.analysis.plots.map import new_figure
from registry.errors import UsageError
from registry.files import check_target, new_file

SUFFIXES = (".png", ".html")
WIDTH, HEIGHT = 340, 230
"""Of a panel of the page, in its units."""

LEFT, RIGHT, TOP, BOTTOM = 48, 10, 8, 34
"""Of its margins."""

ACROSS = 3
"""Panels in a row of the picture."""

MOST_PANELS = 60
"""Panels that are drawn; more cannot be read."""

COLOUR = "#2166ac"

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 1rem; color: #222; background: #fff; }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr));
  gap: 1rem; }}
figure {{ margin: 0; break-inside: avoid; }}
figcaption {{ font-weight: 500; overflow-wrap: anywhere; }}
figcaption span {{ display: block; font-weight: 400; color: #555; }}
svg {{ width: 100%; height: auto; font: 11px system-ui, sans-serif; fill: #444; }}
</style>
<h1>{title}</h1>
<p>{caption}</p>
<main>
{panels}
</main>
</html>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePanel:
    """A curve of G points.

    Attributes:
        title: what is explained by what.
        note: said below the title.
        x_label: name of the number below.
        x: G, ascending.
        effect: G, partial effect.
        lower: G, end of the band.
        upper: G, its other end.
        fifths: values that divide the models into fifths.
        logarithmic: whether x is drawn as a logarithm.
    """

    title: str
    note: str
    x_label: str
    x: Sequence[float]
    effect: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]
    fifths: Sequence[float]
    logarithmic: bool


def check_plots(paths: Sequence[Path]) -> None:
    """Check that curves can be written to files.

    Raises:
        UsageError: for a file that is there, a folder that is not, or another ending.
    """
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            raise UsageError(f"Curves are written as .png or .html, not as {path.name}.")
        check_target(path)


def write_curves(panels: Sequence[CurvePanel], path: Path, *, title: str, caption: str) -> None:
    """Write curves, a PNG or a page by the file's ending.

    A page needs no network, and no script. Panels beyond `MOST_PANELS` are left out, and said.

    Args:
        panels: one or more, in order.
        path: of a new file.
        title: what is shown.
        caption: of which models, and how.

    Raises:
        UsageError: as `check_plots` does, and for a PNG where matplotlib is not installed.
    """
    check_plots([path])
    if len(panels) > MOST_PANELS:
        caption += f" The first {MOST_PANELS} of {len(panels)} curves are drawn."
        panels = panels[:MOST_PANELS]
    if path.suffix.lower() == ".html":
        page = _PAGE.format(
            title=escape(title), caption=escape(caption), panels="\n".join(map(_figure, panels))
        )
        with new_file(path) as file:
            file.write_text(page.encode(errors="replace").decode(), encoding="utf-8")
        return
    _picture(panels, path, title, caption)


def _figure(panel: CurvePanel) -> str:
    # Bands at the ends may be many times as wide as the curve; they are cut there.
    low, high = _bounds(panel)
    across, up = _Axis(panel), (HEIGHT - TOP - BOTTOM) / (high - low)
    left = [LEFT + share * (WIDTH - LEFT - RIGHT) for share in across(panel.x)]

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (min(max(value, low), high) - low) * up

    def line(xs: Sequence[float], ys: Sequence[float]) -> str:
        return " ".join(f"{x:.1f},{y(each):.1f}" for x, each in zip(xs, ys, strict=True))

    band = line([*left, *reversed(left)], [*panel.upper, *reversed(panel.lower)])
    bottom = HEIGHT - BOTTOM
    marks = "".join(
        f'<path d="M{LEFT + share * (WIDTH - LEFT - RIGHT):.1f} {bottom}v6" stroke="#b2182b"/>'
        for share in across(panel.fifths)
    )
    ticks = "".join(
        f'<text x="{LEFT - 5}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#eee"/>'
        for value in _ticks(low, high)
    )
    ends = "".join(
        f'<path d="M{LEFT + share * (WIDTH - LEFT - RIGHT):.1f} {TOP}V{bottom}" stroke="#eee"/>'
        f'<text x="{LEFT + share * (WIDTH - LEFT - RIGHT):.1f}" y="{bottom + 16}"'
        f' text-anchor="middle">{_short(value)}</text>'
        for value, share in zip(_places(panel), across(_places(panel)), strict=True)
    )
    return (
        f"<figure><figcaption>{escape(panel.title)}<span>{escape(panel.note)}</span></figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{escape(panel.title)}: {escape(panel.note)}">{ticks}{ends}'
        f'<polygon points="{band}" fill="{COLOUR}" opacity=".2"/>'
        f'<polyline points="{line(left, panel.effect)}" fill="none" stroke="{COLOUR}"'
        f' stroke-width="2"/>{marks}'
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">'
        f"{escape(panel.x_label)}</text></svg></figure>"
    )


class _Axis:
    """Places of values on a panel's axis, as shares of its width."""

    def __init__(self, panel: CurvePanel) -> None:
        self.logarithmic = panel.logarithmic
        self.low, self.high = self._of(panel.x[0]), self._of(panel.x[-1])

    def _of(self, value: float) -> float:
        return log10(value) if self.logarithmic else value

    def __call__(self, values: Sequence[float]) -> list[float]:
        return [(self._of(value) - self.low) / (self.high - self.low) for value in values]


def _bounds(panel: CurvePanel) -> tuple[float, float]:
    low, high = min(panel.effect), max(panel.effect)
    room = (high - low) or max(u - e for u, e in zip(panel.upper, panel.effect, strict=True)) or 1.0
    return max(min(panel.lower), low - room), min(max(panel.upper), high + room)


def _ticks(low: float, high: float) -> list[float]:
    step = 10 ** np.floor(np.log10((high - low) / 2))
    while (high - low) / step > 6:  # noqa: PLR2004 - lines
        step *= 2 if f"{step:.0e}"[0] in "15" else 2.5
    first = ceil(low / step)
    # Adding 0 makes -0 a 0.
    return [float(place * step) + 0 for place in range(first, floor(high / step) + 1)]


def _places(panel: CurvePanel) -> list[float]:
    """Return the values that are written below: powers of ten, or round numbers."""
    if not panel.logarithmic:
        return _ticks(panel.x[0], panel.x[-1])
    powers = range(ceil(log10(panel.x[0])), floor(log10(panel.x[-1])) + 1)
    return [10.0**power for power in powers] or [panel.x[0], panel.x[-1]]


def _short(value: float) -> str:
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _picture(panels: Sequence[CurvePanel], path: Path, title: str, caption: str) -> None:
    columns = min(ACROSS, len(panels))
    rows = ceil(len(panels) / columns)
    figure = new_figure(4.2 * columns, 3.1 * rows + 0.8)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(grid, panels, strict=False):
        axes.fill_between(panel.x, panel.lower, panel.upper, alpha=0.2, color=COLOUR, linewidth=0)
        axes.plot(panel.x, panel.effect, color=COLOUR)
        if panel.logarithmic:
            axes.set_xscale("log")
        axes.set_ylim(*_bounds(panel))
        for value in panel.fifths:
            axes.axvline(value, ymax=0.04, color="#b2182b", linewidth=1)
        axes.set_title(_plain(f"{panel.title}\n{panel.note}"), fontsize=9)
        axes.set_xlabel(_plain(panel.x_label), fontsize=9)
        axes.tick_params(labelsize=8)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    figure.suptitle(_plain(title))
    figure.supxlabel(_plain(caption), fontsize=8, wrap=True)
    with new_file(path) as file:
        figure.savefig(file, format="png", dpi=120)


def _plain(text: str) -> str:
    # A dollar sign would start a formula.
    return text.replace("$", r"\$")
