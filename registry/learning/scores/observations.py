"""Scores that a model of scores is fitted to, with what is known of models and benchmarks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from registry.errors import UsageError
from registry.learning.arrays import Places, Reals
from registry.learning.scores.links import ScoreLinks

LEAST_SCORES = 10
"""Scores that a model of scores needs."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreObservations:
    """A table of scores of M models on B benchmarks, with holes.

    Attributes:
        rows: intp, n: model of each score.
        columns: intp, n: benchmark of each score.
        values: float64, n: scores on the working scale, see `links`.
        variances: float64, n, at least 0: of each value's own error on that scale; 0 where exact.
        models: M.
        benchmarks: B.
        features: float64, M x f: features of models whose inner products are similarities, mean 0,
            see `registry.learning.coldstart.kernel_features`; zero columns where nothing is known.
        names: of the benchmarks, B.
        links: of the benchmarks; without them, all scores are shares.
        groups: intp, f: group of each feature, from 0; the slopes of each group have variances of
            their own. Without them, there is one group.
        apart: float64, M: how much the features of each model lack, in units of the mean square of
            features, see `ModelFeatureSpace.apart`; 0 without it.
    """

    rows: Places
    columns: Places
    values: Reals
    variances: Reals
    models: int
    benchmarks: int
    features: Reals
    names: Sequence[str]
    links: ScoreLinks | None = None
    groups: Places | None = None
    apart: Reals | None = None

    def __post_init__(self) -> None:
        """Check the shapes and values.

        Raises:
            ValueError: for shapes that differ, places out of range, values that are not finite,
                and a cell with two scores.
        """
        lengths = {len(self.rows), len(self.columns), len(self.values), len(self.variances)}
        if len(lengths) > 1:
            raise ValueError("rows, columns, values and variances are to have one length")
        _check_places("rows", self.rows, self.models)
        _check_places("columns", self.columns, self.benchmarks)
        if not np.isfinite(self.values).all():
            raise ValueError("values are to be finite")
        if not (np.isfinite(self.variances).all() and (self.variances >= 0).all()):
            raise ValueError("variances are to be finite and at least 0")
        if self.features.ndim != 2 or len(self.features) != self.models:  # noqa: PLR2004
            raise ValueError(f"features are to have {self.models} rows, one a model")
        if not np.isfinite(self.features).all():
            raise ValueError("features are to be finite")
        if len(self.names) != self.benchmarks:
            raise ValueError(f"There are {len(self.names)} names for {self.benchmarks} benchmarks.")
        if self.links and len(self.links.bounded) != self.benchmarks:
            raise ValueError(f"links are to be of {self.benchmarks} benchmarks")
        if self.groups is not None and len(self.groups) != self.features.shape[1]:
            raise ValueError(f"groups are to be of {self.features.shape[1]} features")
        self._check_twice()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def scales(self) -> ScoreLinks:
        """Working scales of the benchmarks."""
        return self.links or ScoreLinks.shares(self.benchmarks)

    def only(self, kept: NDArray[np.bool_]) -> Self:
        """Return the observations with a part of the scores."""
        return replace(
            self,
            rows=self.rows[kept],
            columns=self.columns[kept],
            values=self.values[kept],
            variances=self.variances[kept],
        )

    def of_models(self, rows: Places) -> Self:
        """Return the observations of some models, in this order, whose places change.

        Args:
            rows: models, all of those with scores among them.
        """
        places = np.full(self.models, -1, np.intp)
        places[rows] = np.arange(len(rows))
        return replace(
            self,
            rows=places[self.rows],
            models=len(rows),
            features=self.features[rows],
            apart=None if self.apart is None else self.apart[rows],
        )

    def counts(self) -> tuple[Places, Places]:
        """Return the number of scores of each model, M, and of each benchmark, B."""
        of_models = np.bincount(self.rows, minlength=self.models)
        return of_models, np.bincount(self.columns, minlength=self.benchmarks)

    def check_enough(self) -> None:
        """Check that there is something to learn.

        Raises:
            UsageError: for fewer than ten scores, or scores of one model only.
        """
        if len(self) < LEAST_SCORES:
            raise UsageError(
                f"There are {len(self)} scores, too few to predict others; {LEAST_SCORES} are the"
                " least. `registry evals import PATH` adds some."
            )
        if len(np.unique(self.rows)) < 2:  # noqa: PLR2004
            raise UsageError("All scores are of one model; predictions need those of several.")

    def _check_twice(self) -> None:
        cells = self.rows.astype(np.int64) * self.benchmarks + self.columns
        ranked = np.sort(cells)
        twice = ranked[1:][ranked[1:] == ranked[:-1]]
        if len(twice):
            row, column = divmod(int(twice[0]), self.benchmarks)
            raise ValueError(
                f"Model {row} has two scores on benchmark {self.names[column]};"
                " which of them counts is to be decided before."
            )


def _check_places(name: str, places: Places, count: int) -> None:
    if len(places) and not (places.min() >= 0 and places.max() < count):
        raise ValueError(f"{name} are to be from 0 to {count - 1}")
