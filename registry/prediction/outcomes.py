"""Predictions of outcomes: the probability that a model answers an item well, and its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.catalog import names as model_names
from registry.db import connection as database
from registry.db.connection import reading
from registry.db.errors import translated_errors
from registry.embeddings.read import Embeddings, read_embeddings, read_items
from registry.embeddings.version_uncertainty import VersionUncertainty, read_uncertainty
from registry.embeddings.versions import EmbeddingVersion, read_version
from registry.errors import RegistryError, UsageError
from registry.evaluations.outcomes import Column
from registry.learning.intervals import ends, expected
from registry.prediction.logits import ItemVectors, ModelVectors, logits

if TYPE_CHECKING:
    import pandas as pd

MOST_ERROR = 0.05
"""Calibration error up to which probabilities count as calibrated, as in embedding_versions."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutcomePredictions:
    """Predicted outcomes of M models on N items, by the vectors of one version.

    The logit of a model with vector p on an item with vector [v, c] is p.v + c. Its variance is
    that of p along v, by the model's variances along the axes of the version, and one of the item's
    own. A version that was stored before variances were kept has one standard deviation for all
    coordinates of a model: the logit's is taken as uncertainty x |v| then, which is too small.

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
        deviation: float64, M x N: standard deviation of the logit; NaN where there is none.
        basis: (N,): outcomes, or text for an item without outcomes in the version, whose vector is
            predicted from its text.
        calibrated: bool, (N,): whether variances are kept and the version's intervals hold on
            held-out outcomes, for an item of text on items that were left out; False where they do
            not, or were not measured.
    """

    version: int
    models: Sequence[str]
    items: Sequence[Column]
    probability: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    kind: NDArray[np.str_]
    uncertainty: NDArray[np.float32]
    deviation: NDArray[np.float64]
    basis: NDArray[np.str_]
    calibrated: NDArray[np.bool_]

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
            "basis": self.basis.tolist() * len(self.models),
            "calibrated": self.calibrated.tolist() * len(self.models),
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
            for all items with a vector. One without outcomes in the version is predicted from its
            text, where that has a vector.
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
    kept = read_uncertainty(connection, chosen.version)
    asked = _items(connection, items, (columns, item_vectors), chosen, kept)
    embeddings = read_embeddings(connection, chosen.version)
    rows = model_places(connection, models, embeddings)
    mean, deviation = logits(model_vectors(embeddings, rows), asked.vectors, kept)
    lower, upper = ends(mean, np.square(deviation))
    return OutcomePredictions(
        version=chosen.version,
        models=[embeddings.models[row] for row in rows],
        items=asked.columns,
        probability=expected(mean, np.nan_to_num(np.square(deviation))),
        lower=lower,
        upper=upper,
        kind=embeddings.kind[rows],
        uncertainty=embeddings.uncertainty[rows],
        deviation=deviation,
        basis=np.where(asked.vectors.of_text, "text", "outcomes"),
        calibrated=calibrated(chosen, embeddings, asked.vectors.of_text),
    )


def calibrated(
    version: EmbeddingVersion, embeddings: Embeddings, of_text: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return whether intervals on items hold on held-out outcomes, bool, (N,).

    Args:
        version: that predicts.
        embeddings: its vectors.
        of_text: (N,): which items are predicted from their texts.
    """
    known = bool(version.calibrated) and embeddings.variances is not None
    error = version.metrics.get("intervals", {}).get("text_calibration_error")
    of_texts = known and error is not None and error <= MOST_ERROR
    return np.where(of_text, of_texts, known)


def model_vectors(embeddings: Embeddings, rows: Sequence[int]) -> ModelVectors:
    """Return the vectors of models by their rows, in double precision."""
    variances = embeddings.variances
    return ModelVectors(
        embeddings.vectors[rows].astype(np.float64),
        None if variances is None else variances[rows].astype(np.float64),
        embeddings.uncertainty[rows].astype(np.float64),
    )


class _Items(NamedTuple):
    """Items that were asked for, and their vectors."""

    columns: list[Column]
    vectors: ItemVectors


def _items(
    connection: Connection,
    names: str | Sequence[str] | None,
    learned: tuple[Sequence[Column], NDArray[np.float32]],
    version: EmbeddingVersion,
    kept: VersionUncertainty,
) -> _Items:
    """Return the items asked for: learned ones, else those with the vector of a text."""
    columns, vectors = learned
    if names is None:
        none = np.zeros(len(columns), np.bool_)
        return _Items(list(columns), ItemVectors(vectors.astype(np.float64), none))
    names = [names] if isinstance(names, str) else list(names)
    found = _item_places(connection, names, columns)
    missing = [name for name in names if name not in found]
    texts = _text_items(connection, missing, version, kept)
    chosen: list[tuple[Column, NDArray[np.float64], bool]] = []
    for name in names:
        if name in found:
            place = _single(name, found[name], columns)
            chosen.append((columns[place], vectors[place].astype(np.float64), False))
        elif name in texts:
            column, vector = texts[name]
            chosen.append((column, vector, True))
        else:
            raise UsageError(
                f"No item named {name!r} has a vector in version {version.version} of the "
                "embeddings; an item is named as benchmark:item or benchmark@version:item, and "
                "`registry train` learns vectors of items with outcomes."
            )
    stacked = np.array([each[1] for each in chosen], np.float64).reshape(-1, vectors.shape[1])
    of_text = np.array([each[2] for each in chosen], np.bool_)
    return _Items([each[0] for each in chosen], ItemVectors(stacked, of_text))


def _single(name: str, places: Sequence[int], columns: Sequence[Column]) -> int:
    """Return the one place that a name stands for."""
    if len(places) > 1:
        several = sorted(
            f"{columns[place].benchmark}@{columns[place].version}".rstrip("@") for place in places
        )
        raise UsageError(
            f"Item {name!r} is in several benchmarks: {', '.join(several)}; name one of them as "
            "benchmark@version:item."
        )
    return places[0]


def _text_items(
    connection: Connection,
    names: Sequence[str],
    version: EmbeddingVersion,
    kept: VersionUncertainty,
) -> dict[str, tuple[Column, NDArray[np.float64]]]:
    """Return items that have the vector of a text, by name, with vectors predicted from it."""
    if not names or kept.texts is None:
        return {}
    rows = connection.execute(
        text("""
        SELECT n.name AS asked, b.name, b.version, i.item, t.vector::text AS vector
          FROM store.named_items(CAST(:names AS text[])) AS n
          JOIN store.items i ON i.benchmark_id = n.benchmark_id AND i.ordinal = n.ordinal
          JOIN store.benchmarks b ON b.benchmark_id = n.benchmark_id
          JOIN store.encoders c ON c.name = :encoder
          JOIN store.text_vectors t ON t.encoder_id = c.encoder_id
                                   AND t.content_hash = i.content_hash"""),
        {"names": list(names), "encoder": version.encoder},
    ).all()
    columns = [Column(row.name, row.version, row.item) for row in rows]
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(row.asked, []).append(place)
    found = {}
    for name, several in places.items():
        place = _single(name, several, columns)
        vector = np.array(orjson.loads(rows[place].vector), np.float32)
        found[name] = columns[place], kept.texts.items(vector[None])[0]
    return found


def _item_places(
    connection: Connection, names: Sequence[str], columns: Sequence[Column]
) -> dict[str, list[int]]:
    """Return the places among the items of a version that names stand for."""
    rows = connection.execute(
        text("""
        SELECT n.name AS asked, b.name, b.version, i.item
          FROM store.named_items(CAST(:names AS text[])) AS n
          JOIN store.items i ON i.benchmark_id = n.benchmark_id AND i.ordinal = n.ordinal
          JOIN store.benchmarks b ON b.benchmark_id = n.benchmark_id"""),
        {"names": list(names)},
    )
    there = {column: place for place, column in enumerate(columns)}
    found: dict[str, list[int]] = {}
    for row in rows:
        place = there.get(Column(row.name, row.version, row.item))
        if place is not None:
            found.setdefault(row.asked, []).append(place)
    return found


def model_places(
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
