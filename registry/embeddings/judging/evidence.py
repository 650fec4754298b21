"""Evidence on a trained version: what is stored as its metrics, before it is judged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine

from registry.embeddings import model_features
from registry.embeddings.dataset import TrainingData
from registry.embeddings.judging.benchmarks import Benchmarks, canonical_names
from registry.embeddings.judging.held_out import HeldOut
from registry.embeddings.judging.mixing import NEIGHBOURS, catalog_similarity, mixing
from registry.embeddings.judging.ties import Ties
from registry.learning.calibrated_variances import Cells
from registry.learning.coldstart.features import Description
from registry.learning.factorization.problem import Columns, Mask, Matrix
from registry.learning.space.exams import Exam
from registry.learning.space.reference import item_weights


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a version is measured by.

    Attributes:
        data: the outcomes, with those that were held out.
        held: those.
        benchmarks: of the items, by canonical name.
        described: what the catalog says of the models, in their order.
        context: of these and their ancestors.
        ties: exams of the outcomes to learn from.
    """

    data: TrainingData
    held: HeldOut
    benchmarks: Benchmarks
    described: Sequence[Description]
    context: Sequence[Description]
    ties: Ties

    @classmethod
    def read(cls, engine: Engine, data: TrainingData, hidden: Mask) -> "Evidence":
        """Read what the database says of the models and benchmarks of a data set.

        Args:
            engine: of the database.
            data: the outcomes.
            hidden: bool, M x N, those that were held out.
        """
        with engine.connect() as connection:
            names = canonical_names(connection, data.matrix.columns)
            described, context = _described(connection, data.matrix.models)
        ties = Ties.of(data.problem.without(hidden))
        held = HeldOut.of(data, hidden)
        return cls(data, held, Benchmarks.of(names), described, context, ties)

    def metrics(
        self, models: Matrix, items: Matrix, fitted: Sequence[Mapping[str, object]] = ()
    ) -> dict[str, Any]:
        """Return the metrics of the vectors that a version serves.

        Args:
            models: M x d.
            items: N x (d + 1), with offsets.
            fitted: exams, as a fit notes them; none of a method that knows none.

        Returns:
            held_out and baseline (items' means) on held-out outcomes, by_benchmark, mixing and ties
            by exam, coverage, and reference: the items that distances compare models on.
        """
        predictions = self.held.served(models, items)
        observed = self.data.matrix.mask
        took = np.zeros((len(observed), len(self.ties.exams)), np.bool_)
        for place, exam in enumerate(self.ties.exams):
            took[exam.rows, place] = True
        names = [self._names(exam) for exam in self.ties.exams]
        return {
            "held_out": self.held.metrics(predictions),
            "baseline": self.held.metrics(self.held.means),
            "by_benchmark": self.benchmarks.metrics(self.held, predictions),
            "mixing": self._mixing(models, took, names),
            "ties": self.ties.metrics(self.data.matrix.columns, fitted),
            "coverage": self._coverage(observed, took),
            "reference": self._reference(observed),
        }

    def cells(self) -> Cells:
        """Return the held-out outcomes, their items by benchmark."""
        codes = np.asarray(self.benchmarks.codes, np.intp)
        return Cells(self.held.models, self.held.items, self.held.outcomes, codes)

    def measured(self, predict: Callable[[Columns], Matrix]) -> dict[str, float]:
        """Return the metrics of a fit's own predictions on held-out outcomes."""
        return self.held.metrics(self.held.predicted(predict))

    def _names(self, exam: Exam) -> list[str]:
        """Return the benchmarks of an exam, as they are stored."""
        return sorted({self.data.matrix.columns[item].benchmark for item in exam.columns})

    def _mixing(self, models: Matrix, took: Mask, names: Sequence[list[str]]) -> dict[str, Any]:
        similarity = catalog_similarity(self.described, self.context)
        found = [asdict(each) for each in mixing(models, took, similarity)]
        return {
            "neighbours": NEIGHBOURS,
            "exams": [{"benchmarks": names[each.pop("exam")], **each} for each in found],
        }

    def _reference(self, observed: Mask) -> dict[str, Any]:
        """Return the reference set: by benchmark, as it is stored, its items and their weight.

        As `registry.learning.space.reference`, of which these are the sums.
        """
        held = np.bincount(self.held.items, minlength=observed.shape[1])
        learned = observed.sum(axis=0) > held
        weights = item_weights(self.data.problem.groups, learned)
        benchmarks: dict[str, dict[str, float]] = {}
        for column, weight in zip(self.data.matrix.columns, weights.tolist(), strict=True):
            if weight:
                entry = benchmarks.setdefault(column.benchmark, {"items": 0, "weight": 0.0})
                entry["items"] += 1
                entry["weight"] += weight
        rounded = {
            name: {"items": int(entry["items"]), "weight": round(entry["weight"], 6)}
            for name, entry in sorted(benchmarks.items())
        }
        return {"items": int(learned.sum()), "benchmarks": rounded}

    def _coverage(self, observed: Mask, took: Mask) -> dict[str, Any]:
        counts = {}
        for place, name in enumerate(self.benchmarks.names):
            part = observed[:, self.benchmarks.codes == place]
            counts[name] = {
                "models": int(part.any(axis=1).sum()),
                "items": part.shape[1],
                "outcomes": int(np.count_nonzero(part)),
            }
        return {
            "models": len(observed),
            "items": observed.shape[1],
            "exams": took.shape[1],
            "one_exam": int((took.sum(axis=1) == 1).sum()),
            "benchmarks": counts,
        }


def _described(
    connection: Connection, names: Sequence[str]
) -> tuple[list[Description], list[Description]]:
    """Return what the catalog says of models, in their order, and of these and their ancestors."""
    keys = model_features.read_named(connection, names).keys
    context = model_features.read_context(connection, keys, others=0).descriptions
    known = {each.name: each for each in context}
    # A model that was renamed since the outcomes were read is known by its name only.
    described = [known.get(name) or Description(name) for name in names]
    missing = [each for each in described if each.name not in known]
    return described, [*context, *missing]
