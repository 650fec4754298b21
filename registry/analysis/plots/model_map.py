"""Map of models by their scores, coloured by group, as a picture or as a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from registry.analysis.plots.files import check_endings, plain
from registry.analysis.plots.map import OTHERS, EmbeddingMap, new_figure, write_page
from registry.files import new_file
from registry.learning.arrays import Reals

WIDTH, DPI = 6.4, 125
"""Of a picture: 800 dots, so that letters of 11 points are legible where it is shown in 400."""

NO_GROUP = "in none of these"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnMap:
    """What is drawn.

    Attributes:
        title: what is shown.
        caption: how it was made, and what was found.
        models: M names.
        points: M x 2.
        groups: of the M models; None where there are no groups, or a model is in none.
    """

    title: str
    caption: str
    models: Sequence[str]
    points: Reals
    groups: Sequence[str | None]


def check_map_plots(paths: Sequence[Path]) -> None:
    """Check that maps can be written to files.

    Raises:
        UsageError: for a file that is there, a folder that is not, or another ending.
    """
    check_endings(paths, "A map is")


def write_map(drawn: DrawnMap, path: Path) -> None:
    """Write a map, a PNG or a page by the file's ending; a page needs no network.

    Args:
        drawn: the map.
        path: of a new file.

    Raises:
        UsageError: as `check_map_plots` does, and for a PNG where matplotlib is not installed.
    """
    check_map_plots([path])
    if path.suffix.lower() == ".png":
        _picture(drawn, path)
        return
    page = EmbeddingMap(
        title=f"{drawn.title}. {drawn.caption}",
        points=drawn.points.astype(np.float32),
        names=drawn.models,
        groups=[each or OTHERS for each in drawn.groups] if any(drawn.groups)
        else ["model"] * len(drawn.models),
        details=[[] for _ in drawn.models],
        order=group_names(drawn.groups),
    )  # fmt: skip
    write_page(page, path)


def group_names(groups: Sequence[str | None]) -> list[str]:
    """Return the names of groups: ranges of size by their bound, others by the alphabet."""
    return sorted({name for name in groups if name is not None}, key=_order)


def _picture(drawn: DrawnMap, path: Path) -> None:
    names = [each or NO_GROUP for each in drawn.groups]
    groups = group_names(drawn.groups)
    rows = (len(groups) + 2) // 2
    figure = new_figure(WIDTH, WIDTH + 0.7 + 0.27 * rows)
    axes = figure.add_subplot()
    labels = np.array(names, dtype=object)
    grey = drawn.points[labels == NO_GROUP]
    axes.scatter(grey[:, 0], grey[:, 1], s=6, color="0.8", label=NO_GROUP if groups else None)
    for place, name in enumerate(groups):
        of = drawn.points[labels == name]
        colour = _colours(len(groups))[place]
        axes.scatter(of[:, 0], of[:, 1], s=7, color=colour, label=plain(f"{name} ({len(of):,})"))
    axes.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
    axes.set_title(plain(drawn.title), fontsize=12, wrap=True)
    axes.set_xlabel(plain(_folded(drawn.caption)), fontsize=9.5)
    if groups:
        figure.legend(
            loc="outside lower center", ncols=2, fontsize=11, frameon=False, markerscale=2.5
        )
    with new_file(path) as file:
        figure.savefig(file, format="png", dpi=DPI)


def is_ordered(names: Sequence[str]) -> bool:
    """Return whether groups have an order, as ranges of size and years do."""
    return all(np.isfinite(_order(name)[0]) for name in names)


def _order(name: str) -> tuple[float, str]:
    """Return what sorts ranges of size by their bound, and other names by the alphabet."""
    bound = name.removesuffix("B and more").removesuffix(" or before").partition("-")[0]
    try:
        return float(bound), name
    except ValueError:
        return np.inf, name


def _colours(count: int) -> list[tuple[float, ...]]:
    """Return colours, from dark to light where there are few, as ranges of size have an order."""
    from matplotlib import colormaps  # noqa: PLC0415 - an extra, and slow to import

    if count <= 10:  # noqa: PLR2004 - that map has ten
        return [colormaps["tab10"](place) for place in range(count)]
    return [colormaps["tab20"](place % 20) for place in range(count)]


def _folded(text: str) -> str:
    import textwrap  # noqa: PLC0415

    return "\n".join(textwrap.wrap(text, 80))
