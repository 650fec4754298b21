"""Benchmarks of a data set's items, and metrics by benchmark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.embeddings.judging.gain import Gain, gain
from registry.embeddings.judging.held_out import HeldOut
from registry.evaluations.outcomes import Column
from registry.learning.arrays import Reals
from registry.learning.factorization.problem import Matrix
from registry.learning.metrics import auc, log_loss


@dataclass(frozen=True, slots=True, eq=False)
class Benchmarks:
    """Benchmarks of N items.

    Attributes:
        names: of B benchmarks.
        codes: place of the benchmark of each item among them, N.
    """

    names: Sequence[str]
    codes: NDArray[np.intp]

    @classmethod
    def of(cls, names: Sequence[str]) -> "Benchmarks":
        """Take the names of the benchmarks of N items."""
        distinct, codes = np.unique(np.array(names, object).astype(str), return_inverse=True)
        return cls(distinct.tolist(), codes)

    def metrics(self, held: HeldOut, predictions: Matrix) -> dict[str, dict[str, float]]:
        """Return metrics of predictions on the held-out outcomes of each benchmark that has some.

        Args:
            held: the outcomes.
            predictions: n.

        Returns:
            log_loss, auc, baseline (log loss of items' means) and count, by benchmark.
        """
        codes = self.codes[held.items]
        found = {}
        for place in np.unique(codes).tolist():
            cells = codes == place
            outcomes = held.outcomes[cells]
            found[self.names[place]] = {
                "log_loss": log_loss(outcomes, predictions[cells]),
                "auc": auc(outcomes, predictions[cells]),
                "baseline": log_loss(outcomes, held.means[cells]),
                "count": len(outcomes),
            }
        return found

    def gains(
        self, held: HeldOut, current: Reals, candidate: Reals, cells: NDArray[np.intp]
    ) -> Mapping[str, Gain]:
        """Return the gains of a candidate on the held-out outcomes of each benchmark.

        Args:
            held: the outcomes.
            current: losses of the current version on some of them.
            candidate: losses of the candidate on the same.
            cells: places of these outcomes.
        """
        models, items = held.models[cells], held.items[cells]
        codes = self.codes[items]
        found = {}
        for place in np.unique(codes).tolist():
            at = np.flatnonzero(codes == place)
            found[self.names[place]] = gain(current[at], candidate[at], models[at], items[at])
        return found


def canonical_names(connection: Connection, columns: Sequence[Column]) -> list[str]:
    """Return the canonical name of the benchmark of each item."""
    rows = connection.execute(
        text("""
        SELECT DISTINCT name, coalesce(canonical, name) AS canonical FROM store.benchmarks
         WHERE name = ANY (:names)"""),
        {"names": sorted({column.benchmark for column in columns})},
    )
    canonical = {row.name: row.canonical for row in rows}
    return [canonical.get(column.benchmark, column.benchmark) for column in columns]
