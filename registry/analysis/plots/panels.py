"""Panels of curves with bands and points, as a picture or as a page."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from registry.analysis.plots import charts
from registry.analysis.plots.charts import Panel
from registry.analysis.plots.files import check_endings, plain, write_html
from registry.analysis.plots.map import new_figure
from registry.files import new_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_PANELS = 60
"""Panels that are drawn; more cannot be read."""

MOST_OF_PICTURE = 12
"""Panels of a picture, which has one size."""

WIDTH, HEIGHT, DPI = 5.2, 4.6, 110
"""Of a panel, in inches: 400 dots wide letters of 10 points are legible."""

_DASHES = ("-", "--", ":", "-.")
_MARKERS = ("o", "s", "^", "D", "v", "P")

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 1rem auto; max-width: 1250px; color: #222;
  background: #fff; padding: 0 .6rem; overflow-wrap: anywhere; }}
{style}
</style>
<h1>{title}</h1>
<p>{caption}</p>
{figures}
</html>
"""


def check_panels(paths: Sequence[Path]) -> None:
    """Check that panels can be written to files.

    Raises:
        UsageError: for a file that is there, a folder that is not, or another ending.
    """
    check_endings(paths, "Curves are")


def write_panels(panels: Sequence[Panel], path: Path, *, title: str, caption: str) -> None:
    """Write panels, a PNG or a page by the file's ending.

    A page needs no network, and no script. Panels beyond `MOST_PANELS`, or `MOST_OF_PICTURE`, are
    left out, and said.

    Args:
        panels: one or more, in order.
        path: of a new file.
        title: of all.
        caption: what they are of, and how they were made.

    Raises:
        UsageError: as `check_panels` does, and for a PNG where matplotlib is not installed.
    """
    check_panels([path])
    page = path.suffix.lower() == ".html"
    most = MOST_PANELS if page else MOST_OF_PICTURE
    if len(panels) > most:
        caption += f" The first {most} of {len(panels)} panels are drawn."
        panels = panels[:most]
    if not page:
        _picture(panels, path, title, caption)
        return
    written = _PAGE.format(
        title=escape(title), caption=escape(caption), style=charts.CSS,
        figures=charts.chart_panels(panels),
    )  # fmt: skip
    write_html(written, path)


def _picture(panels: Sequence[Panel], path: Path, title: str, caption: str) -> None:
    columns = 1 if len(panels) == 1 else 2
    rows = -(-len(panels) // columns)
    figure = new_figure(WIDTH * columns, HEIGHT * rows + 1)
    styles = charts.series_styles(panels)
    for place, panel in enumerate(panels):
        _draw(figure.add_subplot(rows, columns, place + 1), panel, styles)
    figure.suptitle(plain(title), fontsize=13)
    figure.supxlabel(plain("\n".join(wrap(caption, 62 * columns))), fontsize=9.5)
    with new_file(path) as file:
        figure.savefig(file, format="png", dpi=DPI)


def _draw(axes: "Axes", panel: Panel, styles: Mapping[str, int]) -> None:
    for series in panel.series:
        place = styles.get(series.name, 0)
        colour = charts.GREY if series.muted else charts.STYLES[place % len(charts.STYLES)][0]
        name = plain(series.name)
        if len(series.banded):
            axes.fill_between(*series.banded[:, [0, 2, 3]].T, color=colour, alpha=0.16, lw=0)
        if len(series.curve):
            axes.plot(
                *series.curve[:, :2].T, color=colour, lw=1.6, label=name,
                ls="--" if series.muted else _DASHES[place % len(_DASHES)],
            )  # fmt: skip
            name = "_"
        if len(series.points):
            axes.scatter(
                series.points[:, 0], series.points[:, 1], s=16, color=colour, label=name,
                marker=_MARKERS[place % len(_MARKERS)],
            )  # fmt: skip
    if panel.logarithmic:
        axes.set_xscale("log")
    axes.set_ylim(*charts.bounds(panel))
    for value in panel.marks:
        axes.axvline(value, ymax=0.04, color="#b2182b", linewidth=1)
    if panel.ticks:
        axes.set_xticks(range(len(panel.ticks)), [plain(each) for each in panel.ticks])
        if len(panel.ticks) > charts.LABELS:
            axes.tick_params(axis="x", labelrotation=45)
    axes.set_title(plain(f"{panel.title}\n{panel.note}".strip()), fontsize=11)
    axes.set_xlabel(plain(panel.across), fontsize=10.5)
    axes.set_ylabel(plain(panel.up), fontsize=10.5)
    if len(panel.series) > 1:
        axes.legend(
            fontsize=9.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2
        )
