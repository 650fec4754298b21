"""Predictions of outcomes: the probability that a model answers an item well, and its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sqlalchemy import Connection, text

from registry.catalog import names as model_names
from registry.db import connection as database
from registry.db.connection import reading
from registry.db.errors import translated_errors
from registry.embeddings.read import Embeddings, read_embeddings, read_items
from registry.embeddings.versions import read_version
from registry.errors import RegistryError, UsageError
from registry.evaluations.outcomes import Column

if TYPE_CHECKING:
    import pandas as pd

NORMAL_90 = 1.6448536269514722
"""Standard deviations from the mean to each end of a 90% interval of a normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutcomePredictions:
    """Predicted outcomes of M models on N items, by the vectors of one version.

    The logit of a model with vector p on an item with vector [v, c] is p.v + c. Of its uncertainty
    the model's alone counts, not the item's: a version stores the root mean square of the standard
    deviations of a model's coordinates, so that the logit's standard deviation is taken as
    uncertainty x |v|, as if all coordinates were equally uncertain and independent.

    Attributes:
        version: number of the version.
        models: names of the models, in the order asked for.
        items: the items, in the order asked for.
        probability: float64, M x N: expected outcome, by the probit approximation of the mean over
            the model's uncertainty; that of the logit itself where the method gives none.
        lower: float64, M x N: lower end of the 90% interval of the probability; NaN where the
            method gives no uncertainty.
        upper: float64, M x N: its upper end.
        kind: (M,), of `enums.VectorKind`.
        uncertainty: float32, (M,): of the models' vectors; NaN where the method gives none.
    """

    version: int
    models: Sequence[str]
    items: Sequence[Column]
    probability: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    kind: NDArray[np.str_]
    uncertainty: NDArray[np.float32]

    def to_pandas(self) -> "pd.DataFrame":
        """Return a frame with a row for each model and item, model by model."""
        import pandas as pd  # noqa: PLC0415 - takes half a second to load

        across = len(self.items)
        return pd.DataFrame({
            "model": np.repeat(np.array(self.models, object), across),
            "benchmark": [each.benchmark for each in self.items] * len(self.models),
            "benchmark_version": [each.version for each in self.items] * len(self.models),
            "item": [each.item for each in self.items] * len(self.models),
            "probability": self.probability.reshape(-1),
            "lower": self.lower.reshape(-1),
            "upper": self.upper.reshape(-1),
            "kind": np.repeat(self.kind.astype(object), across),
            "uncertainty": np.repeat(self.uncertainty, across),
        })  # fmt: skip


def load(
    models: str | Sequence[str] | None = None,
    items: str | Sequence[str] | None = None,
    url: str | None = None,
    version: int | None = None,
) -> OutcomePredictions:
    """Predict outcomes in the database of a URL; see `predict_outcomes`."""
    with (
        translated_errors("predict outcomes"),
        database.engine(database.setting(url)) as engine,
        reading(engine, snapshot=True) as connection,
    ):
        return predict_outcomes(connection, models, items, version=version)


def predict_outcomes(
    connection: Connection,
    models: str | Sequence[str] | None = None,
    items: str | Sequence[str] | None = None,
    *,
    version: int | None = None,
) -> OutcomePredictions:
    """Predict the outcomes of models on items that a version was trained on.

    Args:
        connection: in a transaction with one snapshot (REPEATABLE READ).
        models: any names; None for all models with a vector.
        items: names as benchmark:item or benchmark@version:item, of any name of the benchmark; None
            for all items with a vector.
        version: number of a version; by default the current one.

    Raises:
        ModelNotFoundError: for an unknown model, with the nearest names there are.
        UsageError: for an item that is unknown, has no vector, or is in several benchmarks.
        RegistryError: when there is no such version, it has no vectors of items, or a model has no
            vector in it.
    """
    chosen = read_version(connection, version)
    columns, item_vectors = read_items(connection, chosen.version)
    if not columns or item_vectors.shape[1] != chosen.dimension + 1:
        raise RegistryError(
            f"Version {chosen.version} of the embeddings ({chosen.method}) has no vectors of items "
            "in the space of its models; `registry train --method irt` learns both."
        )
    places = _item_places(connection, items, columns, chosen.version)
    embeddings = read_embeddings(connection, chosen.version)
    rows = _model_places(connection, models, embeddings)
    vectors, asked = embeddings.vectors[rows].astype(np.float64), item_vectors[places]
    uncertainty = embeddings.uncertainty[rows]
    probability, lower, upper = probabilities(vectors, asked.astype(np.float64), uncertainty)
    return OutcomePredictions(
        version=chosen.version,
        models=[embeddings.models[row] for row in rows],
        items=[columns[place] for place in places],
        probability=probability,
        lower=lower,
        upper=upper,
        kind=embeddings.kind[rows],
        uncertainty=uncertainty,
    )


def probabilities(
    models: NDArray[np.float64], items: NDArray[np.float64], uncertainty: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the probabilities of outcomes and the ends of their 90% intervals, each M x N.

    Args:
        models: M x d.
        items: N x (d + 1).
        uncertainty: (M,), NaN where unknown.
    """
    logits = models @ items[:, :-1].T + items[:, -1]
    deviation = np.outer(uncertainty.astype(np.float64), np.linalg.norm(items[:, :-1], axis=1))
    # The mean of a logistic function of a normal variable (MacKay 1992).
    flattened = logits / np.sqrt(1 + np.pi / 8 * np.nan_to_num(deviation) ** 2)
    lower, upper = logits - NORMAL_90 * deviation, logits + NORMAL_90 * deviation
    return expit(flattened), expit(lower), expit(upper)


def _item_places(
    connection: Connection,
    items: str | Sequence[str] | None,
    columns: Sequence[Column],
    version: int,
) -> list[int]:
    """Return the place of each item asked for among those of the version."""
    if items is None:
        return list(range(len(columns)))
    names = [items] if isinstance(items, str) else list(items)
    rows = connection.execute(
        text("""
        SELECT n.name AS asked, b.name, b.version, i.item
          FROM store.named_items(CAST(:names AS text[])) AS n
          JOIN store.items i ON i.benchmark_id = n.benchmark_id AND i.ordinal = n.ordinal
          JOIN store.benchmarks b ON b.benchmark_id = n.benchmark_id"""),
        {"names": names},
    )
    there = {column: place for place, column in enumerate(columns)}
    found: dict[str, list[int]] = {}
    for row in rows:
        place = there.get(Column(row.name, row.version, row.item))
        if place is not None:
            found.setdefault(row.asked, []).append(place)
    for name in names:
        several = sorted(
            f"{columns[place].benchmark}@{columns[place].version}".rstrip("@")
            for place in found.get(name, [])
        )
        if not several:
            raise UsageError(
                f"No item named {name!r} has a vector in version {version} of the embeddings; an "
                "item is named as benchmark:item or benchmark@version:item, and `registry train` "
                "learns vectors of items with outcomes."
            )
        if len(several) > 1:
            raise UsageError(
                f"Item {name!r} is in several benchmarks: {', '.join(several)}; name one of them "
                "as benchmark@version:item."
            )
    return [found[name][0] for name in names]


def _model_places(
    connection: Connection, models: str | Sequence[str] | None, embeddings: Embeddings
) -> list[int]:
    """Return the place of each model asked for among those with a vector."""
    there = {name: place for place, name in enumerate(embeddings.models)}
    if models is None:
        return list(there.values())
    names = [models] if isinstance(models, str) else list(models)
    return [
        there[name] if name in there else _renamed(connection, name, there, embeddings.version)
        for name in names
    ]


def _renamed(connection: Connection, name: str, there: dict[str, int], version: int) -> int:
    """Return the place of a model by another of its names."""
    key = model_names.model_id(connection, name)
    present = connection.scalar(
        text("SELECT name FROM store.models WHERE model_id = :key"), {"key": key}
    )
    if present not in there:
        raise RegistryError(
            f"Model {name!r} has no vector in version {version} of the embeddings; `registry "
            f"explain {name}` says why."
        )
    return there[present]
