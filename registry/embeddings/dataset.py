"""Data sets of outcomes: to train on, with items' texts as arrays, and to fold in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.embeddings import item_vectors
from registry.embeddings.read import read_items
from registry.embeddings.versions import EmbeddingVersion
from registry.evaluations.outcomes import Column, OutcomeMatrix, read_outcomes
from registry.learning import text_features
from registry.learning.coldstart.fold_in import ItemParameters
from registry.learning.factorization.problem import ItemTexts, Mask, Problem
from registry.learning.splitmix import mix
from registry.learning.text_features import ItemText

CELLS_AT_ONCE = 1 << 22
"""Cells of models and items in memory at a time, in 8 bytes each."""

HELD_OUT = 20
"""One outcome in this many is never trained on: every version is measured on the same ones."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """Outcomes of models on items, and the items' texts.

    Attributes:
        matrix: all outcomes, M x N.
        texts: of the N items; None without an encoder.
        encoder: name of the encoder of the texts.
        domains: of the N items; None where unknown.
        catalog: float32, M x f: features of the models; None where they were not read.
    """

    matrix: OutcomeMatrix
    texts: ItemTexts | None
    encoder: str | None
    domains: Sequence[str | None]
    catalog: NDArray[np.float32] | None = None

    @property
    def held_out(self) -> Mask:
        """Return bool, M x N: outcomes that no version is ever trained on.

        They are chosen by the names of model and item alone, so that an outcome that one version
        was measured on is never trained on by a later one, whatever is added in between.
        """
        models = _hashes(self.matrix.models)
        items = _hashes([f"{each.benchmark}@{each.version}:{each.item}" for each in self._columns])
        held = self.matrix.mask
        at_once = max(1, CELLS_AT_ONCE // max(1, len(items)))
        for start in range(0, len(models), at_once):
            rows = slice(start, start + at_once)
            held[rows] &= mix(models[rows, None] ^ items) % np.uint64(HELD_OUT) == 0
        return held

    @property
    def _columns(self) -> Sequence[Column]:
        return self.matrix.columns

    @property
    def problem(self) -> Problem:
        """Return the outcomes and texts as a problem of factorization."""
        names = [each.benchmark for each in self._columns]
        _, groups = np.unique(np.array(names, np.str_), return_inverse=True)
        return Problem(self.matrix.values, self.texts, groups, self.catalog)

    def fingerprint(self) -> str:
        """Return a digest of models, items, outcomes and encoder."""
        digest = blake2b(digest_size=16)
        digest.update(repr((list(self.matrix.models), self.encoder)).encode(errors="replace"))
        digest.update(repr([tuple(each) for each in self._columns]).encode(errors="replace"))
        digest.update(np.ascontiguousarray(self.matrix.values).tobytes())
        return digest.hexdigest()


def _hashes(names: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(
        [
            int.from_bytes(blake2b(name.encode(errors="replace"), digest_size=8).digest())
            for name in names
        ],
        np.uint64,
    )


def read(
    connection: Connection, *, benchmarks: Sequence[str] | None = None, encoder: str | None = None
) -> TrainingData:
    """Read outcomes and texts to train on.

    Args:
        connection: to read from.
        benchmarks: names, each with all its versions, or name@version; None is all.
        encoder: name of the encoder of the items' texts; None reads none.

    Raises:
        UsageError: when there is no such benchmark, or no vector by this encoder.
    """
    matrix = read_outcomes(connection, benchmarks=benchmarks)
    prompts, domains = _texts(connection, matrix.columns)
    if encoder is None or not any(prompts):
        return TrainingData(matrix, None, None, domains)
    texts = ItemTexts(
        item_vectors.read(connection, encoder, matrix.columns),
        text_features.traits(prompts),
        text_features.words(prompts),
    )
    return TrainingData(matrix, texts, encoder, domains)


def learnable(data: TrainingData) -> TrainingData:
    """Return the data without models and items that have no outcome but held-out ones.

    Nothing is learned of them: such a model is placed like any other that a version was not trained
    on, and such an item has no vector that would predict anything.
    """
    seen = data.matrix.mask & ~data.held_out
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if (len(rows), len(columns)) == seen.shape:
        return data
    matrix = data.matrix
    return TrainingData(
        OutcomeMatrix(
            [matrix.models[row] for row in rows.tolist()],
            [matrix.columns[column] for column in columns.tolist()],
            matrix.values[np.ix_(rows, columns)],
        ),
        None if data.texts is None else data.texts.part(columns),
        data.encoder,
        [data.domains[column] for column in columns.tolist()],
        None if data.catalog is None else data.catalog[rows],
    )


@dataclass(frozen=True, slots=True, eq=False)
class FoldInOutcomes:
    """Outcomes of models that a version was not trained on, on its items.

    Attributes:
        items: parameters of the N items.
        outcomes: float32, n x N; NaN where not observed.
        rows: row of each model, by its key.
        groups: N, number of the benchmark of each item.
    """

    items: ItemParameters
    outcomes: NDArray[np.float32]
    rows: Mapping[int, int] = field(default_factory=dict)
    groups: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))

    def of(self, keys: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the outcomes of models by their keys."""
        return self.outcomes[[self.rows[key] for key in keys.tolist()]]


def read_fold_in(
    connection: Connection, version: EmbeddingVersion, models: Mapping[str, int]
) -> FoldInOutcomes:
    """Read the outcomes of models, keys by name, on the items of a version."""
    columns, items = read_items(connection, version.version)
    # A version may have no items, or items of another space.
    if not models or items.shape != (len(columns), version.dimension + 1):
        none = ItemParameters(np.zeros((0, version.dimension)), np.zeros(0))
        return FoldInOutcomes(none, np.zeros((0, 0), np.float32))
    benchmarks = sorted({f"{each.benchmark}@{each.version}" for each in columns})
    matrix = read_outcomes(connection, models=list(models), benchmarks=benchmarks)
    places = {column: place for place, column in enumerate(matrix.columns)}
    order = [places.get(column, -1) for column in columns]
    outcomes = matrix.values[:, order]
    outcomes[:, [place < 0 for place in order]] = np.nan
    rows = {
        models[name]: row
        for row, name in enumerate(matrix.models)
        if not np.isnan(outcomes[row]).all()
    }
    _, groups = np.unique([each.benchmark for each in columns], return_inverse=True)
    return FoldInOutcomes(ItemParameters(items[:, :-1], items[:, -1]), outcomes, rows, groups)


def evaluated_models(connection: Connection, keys: Sequence[int] | None = None) -> dict[str, int]:
    """Return the keys of models that have outcomes, by name; of all, or of these keys."""
    rows = connection.execute(
        text("""
        SELECT m.name, m.model_id FROM store.models AS m
         WHERE (CAST(:keys AS bigint[]) IS NULL OR m.model_id = ANY (:keys))
           AND EXISTS (SELECT FROM store.runs AS r
                        WHERE r.model_id = m.model_id AND r.right_bits IS NOT NULL)
         ORDER BY m.name"""),
        {"keys": None if keys is None else list(keys)},
    )
    return {row.name: row.model_id for row in rows}


def _texts(
    connection: Connection, columns: Sequence[Column]
) -> tuple[list[ItemText | None], list[str | None]]:
    """Return the texts and domains of items; None where unknown."""
    names = sorted({(column.benchmark, column.version) for column in columns})
    rows = connection.execute(
        text("""
        SELECT b.name, b.version, i.item, i.prompt, i.choices,
               coalesce(i.domain, b.domain) AS domain
          FROM unnest(CAST(:names AS text[]), CAST(:versions AS text[])) AS w (name, version)
          JOIN store.benchmarks b USING (name, version)
          JOIN store.items i USING (benchmark_id)"""),
        {"names": [each[0] for each in names], "versions": [each[1] for each in names]},
    )
    texts: dict[Column, ItemText] = {}
    domains: dict[Column, str] = {}
    for row in rows:
        column = Column(row.name, row.version, row.item)
        if row.prompt is not None:
            texts[column] = ItemText(row.prompt, tuple(row.choices))
        domains[column] = row.domain
    return [texts.get(each) for each in columns], [domains.get(each) for each in columns]
