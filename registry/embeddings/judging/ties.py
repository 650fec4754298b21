"""Ties of exams: whether anything joins models that took different benchmarks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from registry.evaluations.outcomes import Column
from registry.learning.factorization.problem import Columns, Problem
from registry.learning.space.exams import Exam, Unlinked, exams_of, unlinked


@dataclass(frozen=True, slots=True, eq=False)
class Ties:
    """Exams of the outcomes that a version learned from, and what shares no model with the rest.

    Attributes:
        exams: the one of most models first.
        unlinked: of each exam, the benchmarks whose models took no other one of it.
        apart: those of all benchmarks together.
    """

    exams: Sequence[Exam]
    unlinked: Sequence[Sequence[Unlinked]]
    apart: Sequence[Unlinked]

    @classmethod
    def of(cls, problem: Problem) -> "Ties":
        """Find the exams of outcomes to learn from."""
        exams = exams_of(problem)
        rows, columns = map(np.arange, problem.outcomes.shape)
        return cls(
            exams,
            [unlinked(problem, exam) for exam in exams],
            unlinked(problem, Exam(rows, columns)),
        )

    def metrics(
        self, columns: Sequence[Column], fitted: Sequence[Mapping[str, object]]
    ) -> list[dict[str, Any]]:
        """Return what ties each exam to the others.

        Args:
            columns: the items.
            fitted: models, items, linked and explained of each exam, as a fit notes them; none of a
                method that knows no exams, and learns from all outcomes at once.

        Returns:
            These figures, with the names of the benchmarks, and of `apart`: benchmarks whose models
            took no other one of the same exam.
        """
        named = _Names(columns)
        if not fitted:
            parts = [named.part(each) for each in self.apart]
            everything = {
                "benchmarks": named.of(np.arange(len(columns))),
                "models": len(np.unique(np.concatenate([each.rows for each in self.exams]))),
                "items": len(columns),
                "linked": None,
                "explained": None,
            }
            return [{**everything, "apart": parts}]
        return [
            {
                "benchmarks": named.of(exam.columns),
                **{name: value for name, value in figures.items() if name != "fit"},
                "apart": [named.part(each) for each in apart],
            }
            for exam, apart, figures in zip(self.exams, self.unlinked, fitted, strict=True)
        ]


class _Names:
    """Names of benchmarks, as they are stored."""

    def __init__(self, columns: Sequence[Column]) -> None:
        names = [each.benchmark for each in columns]
        self._distinct, self._codes = np.unique(np.array(names, np.str_), return_inverse=True)

    def of(self, items: Columns) -> list[str]:
        """Return the benchmarks of items."""
        found: list[str] = self._distinct[np.unique(self._codes[items])].tolist()
        return found

    def part(self, part: Unlinked) -> dict[str, Any]:
        """Return the benchmarks and the number of models of a part."""
        return {"benchmarks": self._distinct[part.groups].tolist(), "models": len(part.rows)}
