"""Map of vectors in two dimensions, as a page with a search box and as a picture.

The page is self-contained, with its own script on a canvas: a plotting library would add megabytes
to each file, and has no search box.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson
from numpy.typing import NDArray

from registry.errors import UsageError
from registry.files import new_file
from registry.workers import Progress, cores, no_progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROUPS = 20
"""Groups with a colour of their own; the smaller ones share one."""

OTHERS = "others"
MIN_FOR_TSNE = 10

STEPS, EARLY_STEPS = 750, 250
"""Steps of t-SNE, and the first of them, in which attraction is exaggerated."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddingMap:
    """Models on a plane.

    Attributes:
        title: what is shown.
        points: float32, M x 2.
        names: of the M models.
        groups: of the models, which determine their colours.
        details: lines to show for each besides its name and group.
        order: groups that are listed first, in this order; others by their number of models.
    """

    title: str
    points: NDArray[np.float32]
    names: Sequence[str]
    groups: Sequence[str]
    details: Sequence[Sequence[str]]
    order: Sequence[str] = ()


def project(
    vectors: NDArray[np.float32], *, seed: int = 0, on_progress: Progress = no_progress
) -> NDArray[np.float32]:
    """Project M vectors onto a plane, so that neighbours stay close.

    By t-SNE on Euclidean distances (van der Maaten and Hinton 2008), initialized with the principal
    components, which makes it deterministic; for fewer than ten models, or if all vectors are
    equal, by principal components alone.

    Args:
        vectors: float32, M x d.
        seed: of the random numbers.
        on_progress: receives the progress, in steps.

    Returns:
        float32, M x 2.

    Raises:
        UsageError: there is no model.
    """
    if not len(vectors):
        raise UsageError("There are no models to draw.")
    centred = np.asarray(vectors - vectors.mean(axis=0, dtype=np.float64), np.float32)
    alike = bool(np.abs(centred).max() <= 1e-6 * np.abs(vectors).max())
    if len(vectors) < MIN_FOR_TSNE or vectors.shape[1] < 2 or alike:  # noqa: PLR2004
        left, values, _ = np.linalg.svd(centred, full_matrices=False)
        points = np.zeros((len(vectors), 2), np.float32)
        points[:, : min(2, len(values))] = (left * values)[:, :2]
        return points
    from openTSNE import TSNE  # noqa: PLC0415 - an extra, and slow to import

    layout = TSNE(
        perplexity=min(30.0, (len(vectors) - 1) / 3),
        early_exaggeration_iter=EARLY_STEPS,
        n_iter=STEPS - EARLY_STEPS,
        neighbors="exact",
        negative_gradient_method="bh",
        initialization="pca",
        random_state=seed,
        # Places are the same on any number.
        n_jobs=cores(),
        callbacks=_Steps(on_progress),
    )
    return np.asarray(layout.fit(centred), np.float32)


class _Steps:
    """Receiver of the steps of t-SNE, which it counts anew after the early ones."""

    def __init__(self, on_progress: Progress) -> None:
        self._on_progress, self._early = on_progress, 0
        on_progress("finding neighbours", 0, 0)

    def __call__(self, step: int, error: float, points: object) -> bool:
        """Report a step; it goes on."""
        del error, points
        self._on_progress("laying out models by t-SNE", self._early + step, STEPS)
        if step == EARLY_STEPS and not self._early:
            self._early = EARLY_STEPS
        return False


def write_page(drawn: EmbeddingMap, path: Path) -> None:
    """Write a self-contained page, which needs no network, completely or not at all."""
    largest = [name for name, _ in Counter(drawn.groups).most_common(GROUPS) if name != OTHERS]
    places = {name: place for place, name in enumerate(drawn.order)}
    largest.sort(key=lambda name: places.get(name, len(places)))
    names = [*largest, OTHERS] if set(drawn.groups) - set(largest) else largest
    places = {name: place for place, name in enumerate(names)}
    content = orjson.dumps(
        {
            "title": drawn.title,
            "points": np.round(drawn.points.astype(np.float64), 4).tolist(),
            "names": [_plain(name) for name in drawn.names],
            "groups": [_plain(name) for name in names],
            "hues": [-1 if name == OTHERS else place for name, place in places.items()],
            "group": [places.get(name, places.get(OTHERS, 0)) for name in drawn.groups],
            "details": [[_plain(line) for line in lines] for lines in drawn.details],
        }
    ).decode()
    # Names of models must not end the script.
    safe = content.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    page = resources.files(__package__).joinpath("map.html").read_text()
    with new_file(path) as file:
        file.write_text(page.replace("__DATA__", safe), encoding="utf-8")


def _plain(text: str) -> str:
    """Return a text that can be encoded: lone surrogates are replaced."""
    return text.encode(errors="replace").decode()


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty picture of a size in inches.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise UsageError(
            "A picture needs matplotlib, which is not installed: pip install 'llm-registry[train]'."
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def write_picture(drawn: EmbeddingMap, path: Path) -> None:
    """Write a PNG picture, the largest groups in colours with a legend; completely or not at all.

    Raises:
        UsageError: matplotlib is not installed.
    """
    figure = new_figure(11, 8)
    axes = figure.add_subplot()
    groups = np.array([_plain(name) for name in drawn.groups], dtype=object)
    largest = [name for name, _ in Counter(groups).most_common(10)]
    rest = ~np.isin(groups, largest)
    grey = drawn.points[rest]
    label = OTHERS if rest.any() else None
    axes.scatter(grey[:, 0], grey[:, 1], s=8, color="0.75", label=label)
    for name in largest:
        # A dollar sign would start a formula.
        points = drawn.points[groups == name]
        axes.scatter(points[:, 0], points[:, 1], s=14, label=name.replace("$", r"\$"))
    axes.set(title=drawn.title.replace("$", r"\$"), xticks=[], yticks=[])
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    with new_file(path) as file:
        figure.savefig(file, format="png", dpi=120)
