"""Numbers of models with their intervals, one below the other, as a picture or as a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from registry.analysis.plots.files import check_endings, plain, write_html
from registry.analysis.plots.map import new_figure
from registry.files import new_file

COLOUR = "#2166ac"

ROW = 0.24
"""Height of a row of the picture, in inches."""

LONGEST = 44
"""Letters of a name in the picture."""

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 1rem auto; max-width: 60rem; color: #222;
  background: #fff; padding: 0 .6rem; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
th {{ font-weight: 500; text-align: left; padding: .1rem .5rem .1rem 0; overflow-wrap: anywhere;
  max-width: 20rem; }}
th small {{ display: block; font-weight: 400; color: #555; }}
td {{ padding: .1rem 0 .1rem .5rem; text-align: right; }}
td:nth-child(2) {{ width: 50%; }}
tr {{ break-inside: avoid; border-bottom: 1px solid #eee; }}
thead td:nth-child(2) {{ text-align: center; color: #555; }}
thead span {{ float: left; }} thead span + span {{ float: right; }}
svg {{ display: block; width: 100%; height: 1.2rem; overflow: visible; }}
</style>
<h1>{title}</h1>
<p>{caption}</p>
<table><thead><tr><th></th><td><span>{low}</span><span>{high}</span>{across}</td><td></td></tr></thead>
<tbody>
{rows}
</tbody></table>
</html>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalMark:
    """A number with its interval.

    Attributes:
        name: of what it is.
        value: the number.
        lower: lower end of the interval; None where it is not known.
        upper: upper end.
        note: said beside the name on a page.
    """

    name: str
    value: float
    lower: float | None
    upper: float | None
    note: str = ""


def check_intervals(paths: Sequence[Path]) -> None:
    """Check that intervals can be written to files.

    Raises:
        UsageError: for a file that is there, a folder that is not, or another ending.
    """
    check_endings(paths, "Intervals are")


def write_intervals(
    marks: Sequence[IntervalMark], path: Path, *, title: str, across: str, caption: str
) -> None:
    """Write numbers with intervals, a PNG or a page by the file's ending.

    A page needs no network, and no script.

    Args:
        marks: from the top down.
        path: of a new file.
        title: what is shown.
        across: name of the number, with its unit.
        caption: of what they are, and how they were made.

    Raises:
        UsageError: as `check_intervals` does, and for a PNG where matplotlib is not installed.
    """
    check_intervals([path])
    if path.suffix.lower() == ".html":
        page = _page(marks, title, across, caption)
        write_html(page, path)
        return
    _picture(marks, path, title, across, caption)


def _ends(mark: IntervalMark) -> tuple[float, float]:
    """Return the ends of an interval; the number where it is not known."""
    return (
        mark.value if mark.lower is None else mark.lower,
        mark.value if mark.upper is None else mark.upper,
    )


def _page(marks: Sequence[IntervalMark], title: str, across: str, caption: str) -> str:
    ends = [end for mark in marks for end in (mark.value, *_ends(mark))]
    low, high = (min(ends), max(ends)) if ends else (0.0, 0.0)
    rows = "\n".join(_row(mark, low, (high - low) or 1.0) for mark in marks)
    return _PAGE.format(
        title=escape(title), caption=escape(caption), across=escape(across), rows=rows,
        low=f"{low:.0f}" if marks else "", high=f"{high:.0f}" if marks else "",
    )  # fmt: skip


def _row(mark: IntervalMark, low: float, width: float) -> str:
    left, right = ((end - low) / width * 100 for end in _ends(mark))
    middle = (mark.value - low) / width * 100
    known = "" if mark.lower is None else f", from {mark.lower:.0f} to {mark.upper:.0f}"
    said = escape(f"{mark.name}: {mark.value:.0f}{known}")
    return (
        f"<tr><th>{escape(mark.name)}<small>{escape(mark.note)}</small></th>"
        f'<td><svg role="img" aria-label="{said}"><title>{said}</title>'
        f'<line x1="{left:.2f}%" x2="{right:.2f}%" y1="50%" y2="50%" stroke="{COLOUR}"'
        f' stroke-width="2"/><circle cx="{middle:.2f}%" cy="50%" r="4" fill="{COLOUR}"/></svg></td>'
        f"<td>{mark.value:.0f}</td></tr>"
    )


def _picture(
    marks: Sequence[IntervalMark], path: Path, title: str, across: str, caption: str
) -> None:
    figure = new_figure(9, 1.8 + ROW * max(len(marks), 3))
    axes = figure.add_subplot()
    values = np.array([mark.value for mark in marks], float)
    ends = np.array([_ends(mark) for mark in marks], float).reshape(-1, 2)
    places = np.arange(len(marks))
    axes.hlines(places, ends[:, 0], ends[:, 1], color=COLOUR, lw=1.6)
    axes.scatter(values, places, color=COLOUR, s=18, zorder=3)
    axes.set_yticks(places, [plain(_short(mark.name)) for mark in marks])
    axes.set_ylim(max(len(marks), 1) - 0.5, -0.5)
    axes.grid(axis="x", color="0.9")
    axes.grid(axis="y", color="0.95")
    axes.set_axisbelow(True)
    axes.set_xlabel(plain(across))
    figure.suptitle(plain(title))
    figure.supxlabel(plain(caption), fontsize=8, wrap=True)
    with new_file(path) as file:
        figure.savefig(file, format="png", dpi=120)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."
