"""What a training learns from: outcomes, and what items say as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from sqlalchemy import Connection, text

from registry.embeddings import item_vectors
from registry.evaluations.outcomes import Column, OutcomeMatrix, read_outcomes
from registry.learning import text_features
from registry.learning.factorization.problem import ItemTexts, Mask, Problem
from registry.learning.text_features import ItemText

HELD_OUT = 20
"""One outcome in so many is never trained on: every version is measured on the same ones."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """Outcomes of models on items, and what the items say.

    Attributes:
        matrix: all outcomes, M x N.
        texts: of the N items; None without an encoder.
        encoder: name of the one that made the texts' vectors.
        domains: of the N items; None where they are not known.
    """

    matrix: OutcomeMatrix
    texts: ItemTexts | None
    encoder: str | None
    domains: Sequence[str | None]

    @property
    def held_out(self) -> Mask:
        """Return bool, M x N: outcomes that no version is ever trained on.

        Which ones they are is told by the names of model and item alone, so that an outcome that
        one version was measured on is not trained on by the next, whatever was added between.
        """
        models = _hashes(self.matrix.models)
        items = _hashes([f"{each.benchmark}@{each.version}:{each.item}" for each in self._columns])
        mixed = models[:, None] ^ items
        # The finalizer of SplitMix64 (Steele, Lea, Flood 2014): each bit depends on all.
        mixed ^= mixed >> np.uint64(30)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(27)
        mixed *= np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
        return np.asarray((mixed % np.uint64(HELD_OUT) == 0) & self.matrix.mask)

    @property
    def _columns(self) -> Sequence[Column]:
        return self.matrix.columns

    @property
    def problem(self) -> Problem:
        """Return all that is known, as methods take it."""
        return Problem(self.matrix.values, self.texts)

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
    """Read what there is to learn from.

    Args:
        connection: to read from.
        benchmarks: names, each with all its versions, or name@version; None is all.
        encoder: whose vectors of items to take; None goes without texts.

    Raises:
        UsageError: when there is no such benchmark, or the encoder has encoded nothing.
    """
    matrix = read_outcomes(connection, benchmarks=benchmarks)
    told, domains = _texts(connection, matrix.columns)
    if encoder is None or not any(told):
        return TrainingData(matrix, None, None, domains)
    texts = ItemTexts(
        item_vectors.read(connection, encoder, matrix.columns),
        text_features.traits(told),
        text_features.words(told),
    )
    return TrainingData(matrix, texts, encoder, domains)


def _texts(
    connection: Connection, columns: Sequence[Column]
) -> tuple[list[ItemText | None], list[str | None]]:
    """Return what items ask, and their domains; None for those of which it is not known."""
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
