"""Panels of curves with bands and points, as a picture or as a page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from io import StringIO
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.analysis.plots.map import new_figure
from registry.errors import UsageError
from registry.files import check_target, new_file
from registry.learning.arrays import Reals

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".html")

MOST_PANELS = 12
"""Panels that are drawn."""

WIDTH, HEIGHT, DPI = 5.2, 4.6, 110
"""Of a panel, in inches: 400 dots wide letters of 10 points are legible."""

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 1rem auto; max-width: 1250px; color: #222;
        background: #fff; padding: 0 .6rem; }}
main {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr));
        gap: 1rem; }}
figure {{ margin: 0; break-inside: avoid; }}
svg {{ width: 100%; height: auto; }}
figcaption {{ color: #555; font-size: .9em; }}
</style>
<h1>{title}</h1>
<p>{caption}</p>
<main>
{figures}
</main>
</html>
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PanelSeries:
    """What is drawn of a group.

    Attributes:
        name: of the group.
        points: n x 2.
        curve: m x 2 for a line alone, or m x 4: place, value, lower and upper end of the band.
        muted: whether it is drawn in grey, behind the others.
    """

    name: str
    points: Reals = field(default_factory=lambda: np.empty((0, 2)))
    curve: Reals = field(default_factory=lambda: np.empty((0, 2)))
    muted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Curves on one pair of axes.

    Attributes:
        title: of the panel.
        across: what is on the horizontal axis.
        up: what is on the vertical one.
        series: what is drawn, in order.
        logarithmic: whether the horizontal axis is.
        ticks: names of the places 0, 1, ... on the horizontal axis; none for numbers.
    """

    title: str
    across: str
    up: str
    series: Sequence[PanelSeries]
    logarithmic: bool = False
    ticks: Sequence[str] = ()


def check_panels(paths: Sequence[Path]) -> None:
    """Check that panels can be written to files.

    Raises:
        UsageError: for a file that is there, a folder that is not, or another ending.
    """
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            raise UsageError(f"Curves are written as .png or .html, not as {path.name}.")
        check_target(path)


def write_panels(panels: Sequence[Panel], path: Path, *, title: str, caption: str) -> None:
    """Write panels, a PNG or a page by the file's ending; a page needs no network.

    Args:
        panels: the first `MOST_PANELS` are drawn.
        path: of a new file.
        title: of all.
        caption: what they are of, and how they were made.

    Raises:
        UsageError: as `check_panels` does, and where matplotlib is not installed.
    """
    check_panels([path])
    panels = panels[:MOST_PANELS]
    if path.suffix.lower() == ".html":
        figures = "\n".join(_figure(panel) for panel in panels)
        page = _PAGE.format(title=escape(title), caption=escape(caption), figures=figures)
        with new_file(path) as file:
            file.write_text(page.encode(errors="replace").decode(), encoding="utf-8")
        return
    columns = 1 if len(panels) == 1 else 2
    rows = -(-len(panels) // columns)
    figure = new_figure(WIDTH * columns, HEIGHT * rows)
    for place, panel in enumerate(panels):
        _draw(figure.add_subplot(rows, columns, place + 1), panel)
    with new_file(path) as file:
        figure.savefig(file, format="png", dpi=DPI)


def _figure(panel: Panel) -> str:
    from matplotlib import rc_context  # noqa: PLC0415 - an extra, and slow to import

    drawn = StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": panel.title}):
        figure = new_figure(WIDTH, HEIGHT)
        _draw(figure.add_subplot(), panel)
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    svg = drawn.getvalue()
    names = ", ".join(series.name for series in panel.series)
    said = f"{panel.title}: {panel.up} by {panel.across}, of {names}."
    return f'<figure role="img" aria-label="{escape(said)}">{svg[svg.index("<svg") :]}</figure>'


def _draw(axes: "Axes", panel: Panel) -> None:
    colours = cycle(f"C{place}" for place in (0, 1, 2, 3, 4, 5, 6, 8, 9))
    for series in panel.series:
        colour: Any = "0.55" if series.muted else next(colours)
        name = _safe(series.name)
        if series.curve.shape[1] > 2 and len(series.curve):  # noqa: PLR2004 - with a band
            axes.fill_between(*series.curve[:, [0, 2, 3]].T, color=colour, alpha=0.13, lw=0)
        if len(series.curve):
            axes.plot(
                *series.curve[:, :2].T, color=colour, lw=1.6, label=name,
                ls="--" if series.muted else "-",
            )  # fmt: skip
            name = "_"
        if len(series.points):
            axes.scatter(series.points[:, 0], series.points[:, 1], s=16, color=colour, label=name)
    if panel.logarithmic:
        axes.set_xscale("log")
    if panel.ticks:
        axes.set_xticks(range(len(panel.ticks)), [_safe(each) for each in panel.ticks])
        if len(panel.ticks) > 5:  # noqa: PLR2004 - names side by side would overlap
            axes.tick_params(axis="x", labelrotation=45)
    axes.set_title(_safe(panel.title), fontsize=12)
    axes.set_xlabel(panel.across, fontsize=10.5)
    axes.set_ylabel(panel.up, fontsize=10.5)
    axes.legend(
        fontsize=9.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2
    )


def _safe(text: str) -> str:
    """Return text in which a dollar sign starts no formula."""
    return text.encode(errors="replace").decode().replace("$", r"\$")
