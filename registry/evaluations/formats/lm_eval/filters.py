"""Samples by filter, named or, before 0.4.6, one line a filter without its name."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from registry.errors import UnreadableFileError
from registry.evaluations.formats.lm_eval.results import FilterNames
from registry.evaluations.records import Notes

_CLOSE = 1e-4
"""Difference from which a mean is not the stated score, which may have four digits."""

_MOST_ORDERS = 6
"""SampleFilters up to which the order is sought by their means."""


class Sample(NamedTuple):
    """Results of a model on one item under one filter.

    A value is NaN where it was not observed, infinite where it is not a number.
    """

    values: Mapping[str, float]
    answer: str | None


class Samples:
    """Results of a model under one filter, by the places of items: about 20 bytes a sample."""

    def __init__(self) -> None:
        self.count = 0
        self.answers: list[str | None] = []
        self.values: dict[str, array[float]] = {}
        self._present = bytearray()

    def get(self, place: int) -> Sample | None:
        """Return the sample of an item, if there is one."""
        if place >= len(self._present) or not self._present[place]:
            return None
        values = {
            metric: column[place] for metric, column in self.values.items() if place < len(column)
        }
        return Sample(values, self.answers[place])

    def put(self, place: int, sample: Sample) -> None:
        """Store the first sample of an item."""
        missing = max(place + 1 - len(self._present), 0)
        self._present.extend(bytes(missing))
        self.answers.extend([None] * missing)
        self.count += 1
        self._present[place], self.answers[place] = 1, sample.answer
        for metric, value in sample.values.items():
            column = self.values.setdefault(metric, array("d"))
            column.extend([float("nan")] * (place + 1 - len(column)))
            column[place] = value

    def fill(self, count: int) -> None:
        """Extend all columns to `count` places."""
        self.answers.extend([None] * (count - len(self.answers)))
        for column in self.values.values():
            column.extend([float("nan")] * (count - len(column)))

    def means(self) -> dict[str, float]:
        """Return the means of the metrics that have numbers only."""
        columns = {metric: np.array(column) for metric, column in self.values.items()}
        return {
            metric: float(np.nanmean(column))
            for metric, column in columns.items()
            if not np.isnan(column).all() and not np.isinf(column).any()
        }


class SampleFilters:
    """The samples of a file by filter.

    Lines that do not name their filter, of a task with several, are distinguished by the order in
    which an item's lines come: lm-eval writes the filters one after the other.
    """

    def __init__(self, path: Path, names: FilterNames, notes: Notes) -> None:
        self._path, self._names, self._notes = path, names, notes
        self._named: dict[str, Samples] = {}
        self._unnamed = [Samples() for _ in names.names] if len(names.names) > 1 else []

    def add(self, name: str | None, place: int, sample: Sample, line: int) -> None:
        """Add a sample.

        Raises:
            UnreadableFileError: it contradicts an earlier one.
        """
        if name is None and self._unnamed:
            samples = next(
                (each for each in self._unnamed if each.get(place) is None), self._unnamed[-1]
            )
        else:
            only = self._names.names[0] if len(self._names.names) == 1 else ""
            samples = self._named.setdefault(only if name is None else name, Samples())
        earlier = samples.get(place)
        if earlier is None:
            samples.put(place, sample)
        elif differing := _differing(earlier.values, sample.values):
            raise UnreadableFileError(
                self._path,
                "an earlier line has another value for this sample.",
                line=line,
                field=differing[0],
            )
        else:
            self._notes.left_out("samples that repeat another one")

    def named(self, scores: Mapping[tuple[str, str], float | None]) -> dict[str, Samples]:
        """Return the samples by the names of their filters.

        Args:
            scores: of the results file, by metric and filter, raw.

        Raises:
            UnreadableFileError: lines do not name their filter, and their means are not the scores
                of the task's filters in their order.
        """
        unnamed = [each for each in self._unnamed if each.count]
        if not unnamed:
            return self._named
        if self._named:
            raise UnreadableFileError(
                self._path, "only some of its lines name their filter.", field="filter"
            )
        orders = [
            order for order in self._orders(len(unnamed)) if _have_scores(unnamed, order, scores)
        ]
        if len(orders) != 1:
            listed = ", ".join(self._names.names)
            raise UnreadableFileError(
                self._path,
                f"its lines do not name their filter, and their means do not show which of {listed}"
                " each is of: they are not the scores of the results file in that order. Add "
                "the filter's name to each line, or import the results file alone.",
                field="filter",
            )
        return dict(zip(orders[0], unnamed, strict=True))

    def _orders(self, count: int) -> Iterator[Sequence[str]]:
        """Yield the orders that the filters' lines may have."""
        names = self._names.names
        if self._names.ordered and count == len(names):
            yield names
        elif len(names) <= _MOST_ORDERS:
            yield from permutations(names, count)


def _have_scores(
    samples: Sequence[Samples],
    order: Sequence[str],
    scores: Mapping[tuple[str, str], float | None],
) -> bool:
    """Return whether the means of samples are the scores of filters, at least one of each."""
    for each, name in zip(samples, order, strict=True):
        pairs = [(mean, scores.get((metric, name))) for metric, mean in each.means().items()]
        stated = [(mean, score) for mean, score in pairs if score is not None]
        if not stated or any(abs(mean - score) > _CLOSE for mean, score in stated):
            return False
    return True


def _differing(one: Mapping[str, float], other: Mapping[str, float]) -> list[str]:
    nan = float("nan")  # of what is missing; NaN equals itself here
    pairs = [(key, one.get(key, nan), other.get(key, nan)) for key in {**one, **other}]
    return [key for key, a, b in pairs if a != b and not (a != a and b != b)]  # noqa: PLR0124
