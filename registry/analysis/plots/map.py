"""Vectors in two dimensions, as a page that can be searched and as a picture.

The page is a script of our own on a canvas, with all it needs inside: a plotting library would put
megabytes into each file, and a search box on top of it would be our own all the same.
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

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROUPS = 20
"""Groups that have a colour of their own; the smaller ones share one."""

OTHERS = "others"
LEAST_FOR_TSNE = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddingMap:
    """Models on a plane.

    Attributes:
        title: what is shown.
        points: float32, M x 2.
        names: of the M models.
        groups: what each belongs to, by which it is coloured.
        details: lines to show of each beside its name and group.
    """

    title: str
    points: NDArray[np.float32]
    names: Sequence[str]
    groups: Sequence[str]
    details: Sequence[Sequence[str]]


def project(vectors: NDArray[np.float32], *, seed: int = 0) -> NDArray[np.float32]:
    """Lay M vectors out on a plane, so that near ones stay near.

    By t-SNE on directions (van der Maaten and Hinton 2008), begun from the principal components,
    which make it the same each time; of fewer than ten models, or such as all point the same way,
    by principal components alone.

    Args:
        vectors: float32, M x d.
        seed: of what is random.

    Returns:
        float32, M x 2.

    Raises:
        UsageError: when there is no model.
    """
    if not len(vectors):
        raise UsageError("There are no models to draw.")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = vectors / np.where(norms > 0, norms, 1)
    centred = directions - directions.mean(axis=0)
    alike = bool(np.abs(centred).max() < 1e-6)  # noqa: PLR2004
    if len(vectors) < LEAST_FOR_TSNE or vectors.shape[1] < 2 or alike:  # noqa: PLR2004
        left, values, _ = np.linalg.svd(centred, full_matrices=False)
        found = np.zeros((len(vectors), 2), np.float32)
        found[:, : min(2, len(values))] = (left * values)[:, :2]
        return found
    from sklearn.manifold import TSNE  # noqa: PLC0415 - an extra, and slow to import

    perplexity = min(30.0, (len(vectors) - 1) / 3)
    layout = TSNE(perplexity=perplexity, init="pca", metric="cosine", random_state=seed)
    return np.asarray(layout.fit_transform(directions), np.float32)


def write_page(drawn: EmbeddingMap, path: Path) -> None:
    """Write a page of its own, which needs no network; whole or not at all."""
    largest = [name for name, _ in Counter(drawn.groups).most_common(GROUPS) if name != OTHERS]
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
    # Inside a script no markup may stand, whatever models are called.
    safe = content.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    page = resources.files(__package__).joinpath("map.html").read_text()
    with new_file(path) as file:
        file.write_text(page.replace("__DATA__", safe), encoding="utf-8")


def _plain(text: str) -> str:
    """Return text that any encoder takes: lone surrogates are replaced."""
    return text.encode(errors="replace").decode()


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty picture of some inches.

    Raises:
        UsageError: when matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise UsageError(
            "A picture needs matplotlib, which is not installed: pip install 'llm-registry[train]'."
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def write_picture(drawn: EmbeddingMap, path: Path) -> None:
    """Write a PNG picture, the largest groups in colours with a legend; whole or not at all.

    Raises:
        UsageError: when matplotlib is not installed.
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
        some = drawn.points[groups == name]
        axes.scatter(some[:, 0], some[:, 1], s=14, label=name.replace("$", r"\$"))
    axes.set(title=drawn.title.replace("$", r"\$"), xticks=[], yticks=[])
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    with new_file(path) as file:
        figure.savefig(file, format="png", dpi=120)
