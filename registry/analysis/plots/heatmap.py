"""Heat map of contributions between benchmarks."""

from pathlib import Path

import numpy as np

from registry.analysis.plots.map import new_figure
from registry.analysis.probe_metrics import Contribution
from registry.files import new_file


def write_heat_map(contribution: Contribution, path: Path) -> None:
    """Write a PNG picture of the gains between benchmarks, completely or not at all.

    Rows are added to training, columns are predicted; blue helps, red harms. Numbers are the
    decrease of the mean squared error of the accuracy, in squared percentage points.

    Raises:
        UsageError: matplotlib is not installed, or the file exists already.
    """
    # A dollar sign would start a formula.
    names = [name.replace("$", r"\$") for name in contribution.benchmarks]
    gains = np.asarray(contribution.gains) * 1e4
    side = 3 + 0.8 * len(names)
    figure = new_figure(side + 1, side)
    axes = figure.add_subplot()
    most = float(np.abs(gains).max()) or 1.0
    image = axes.imshow(gains, cmap="RdBu", vmin=-most, vmax=most)
    for (row, column), gain in np.ndenumerate(gains):
        if row != column:
            colour = "white" if abs(gain) > most / 2 else "black"
            axes.text(column, row, f"{gain:+.1f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="added to training")
    figure.colorbar(image, label="decrease of the squared error, in squared percentage points")
    with new_file(path) as file:
        figure.savefig(file, format="png", dpi=120)
