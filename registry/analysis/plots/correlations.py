"""Heat map of correlations between benchmarks, as a picture or as a page."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from registry.analysis.plots.files import check_endings, plain, write_html
from registry.analysis.plots.map import new_figure
from registry.files import new_file

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 1rem; color: #222; background: #fff; }}
div {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th {{ font-weight: 500; text-align: left; padding: .3rem .5rem; white-space: nowrap; }}
thead th {{ vertical-align: bottom; }}
thead th span {{ writing-mode: vertical-rl; transform: rotate(180deg); }}
td {{ text-align: center; padding: .35rem .5rem; min-width: 2.6rem; }}
tbody th {{ position: sticky; left: 0; background: #fff; }}
</style>
<h1>{title}</h1>
<p>{caption}</p>
<div><table><thead><tr><th></th>{heads}</tr></thead>
<tbody>
{rows}
</tbody></table></div>
</html>
"""

Pairs = Mapping[tuple[str, str], float | None]
"""Correlation of each pair of names, in either order; None where it is not defined."""


def check_plots(paths: Sequence[Path]) -> None:
    """Check that heat maps can be written to files.

    Raises:
        UsageError: for a file that is there, a folder that is not, or another ending.
    """
    check_endings(paths, "A heat map is")


def write_correlations(
    names: Sequence[str], pairs: Pairs, path: Path, *, title: str, caption: str
) -> None:
    """Write a heat map of correlations, a PNG or a page by the file's ending.

    Blue is positive, red negative; a page needs no network, and no script.

    Args:
        names: of the benchmarks, in order.
        pairs: their correlations.
        path: of a new file.
        title: what is correlated.
        caption: over how many models, and how.

    Raises:
        UsageError: as `check_plots` does, and for a PNG where matplotlib is not installed.
    """
    check_plots([path])
    if path.suffix.lower() == ".html":
        page = _page(names, pairs, title, caption)
        write_html(page, path)
        return
    _picture(names, pairs, path, title)


def _value(pairs: Pairs, row: str, column: str) -> float | None:
    if row == column:
        return 1.0
    found = pairs.get((row, column))
    return pairs.get((column, row)) if found is None else found


def _page(names: Sequence[str], pairs: Pairs, title: str, caption: str) -> str:
    heads = "".join(f"<th><span>{escape(name)}</span></th>" for name in names)
    rows = []
    for row in names:
        cells = "".join(_cell(_value(pairs, row, column), row, column) for column in names)
        rows.append(f"<tr><th>{escape(row)}</th>{cells}</tr>")
    return _PAGE.format(
        title=escape(title), caption=escape(caption), heads=heads, rows="\n".join(rows)
    )


def _cell(value: float | None, row: str, column: str) -> str:
    said = escape(f"{row} and {column}")
    if value is None:
        return f'<td title="{said}: not known" style="color:#999">-</td>'
    strength = round(abs(value) * 100)
    colour = "#2166ac" if value >= 0 else "#b2182b"
    text = "#fff" if strength > 60 else "#222"  # noqa: PLR2004 - per cent, where white is legible
    style = f"background:color-mix(in srgb, {colour} {strength}%, #fff);color:{text}"
    return f'<td title="{said}" style="{style}">{value:.2f}</td>'


def _picture(names: Sequence[str], pairs: Pairs, path: Path, title: str) -> None:
    labels = [plain(name) for name in names]
    values = np.array([[_value(pairs, row, column) for column in names] for row in names], float)
    side = 3 + 0.6 * len(names)
    figure = new_figure(side + 1, side)
    axes = figure.add_subplot()
    image = axes.imshow(values, cmap="RdBu", vmin=-1, vmax=1)
    for (row, column), value in np.ndenumerate(values):
        if row != column and np.isfinite(value):
            colour = "white" if abs(value) > 0.6 else "black"  # noqa: PLR2004 - legible
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), labels)
    axes.set(title=plain(title))
    figure.colorbar(image, label="correlation")
    with new_file(path) as file:
        figure.savefig(file, format="png", dpi=120)
