"""Responses of generalised additive models with what explains them, where they can be fitted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registry.analysis.statistics.additive_results import (
    FittedResponse,
    GamVariable,
    PreparedResponse,
    fitted_rows,
)
from registry.analysis.statistics.score_frame import FrameOptions, ScoreFrame
from registry.enums import Grouping
from registry.errors import UsageError
from registry.learning.arrays import Places, Reals
from registry.learning.statistics.additive import (
    BASIS,
    LEAST_DISTINCT,
    Smooth,
    fit_additive_model,
)
from registry.learning.statistics.one_way import is_constant

SIZE, ABILITIES = "size", "abilities"

LEAST_MODELS = 20
"""Models with which a response is fitted."""

MOST_RESPONSES = 40
"""Responses that are fitted where none is named: those of the most scores."""

MOST_GROUPS = 750
"""Groups of all random effects of a model: 750 take 2 s a response, 1,250 half a minute."""

COLLINEAR = 1e-8
"""Singular value of standardised numbers, relative to the largest, below which one follows from
the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GamOptions:
    """Which models are fitted.

    Attributes:
        responses: names of benchmarks, or name@version, and size; None for each benchmark.
        on: what has a smooth: size, abilities, which are all other benchmarks, or names of them.
        random: random effects; models of unknown group are left out.
        log: whether scores are taken as logarithms.
        basis: coefficients of a smooth at most, 3 or more.
    """

    responses: Sequence[str] | None = None
    on: Sequence[str] = (SIZE,)
    random: Sequence[Grouping] = (Grouping.ARCHITECTURE,)
    log: bool = False
    basis: int = BASIS


def is_benchmark(name: str) -> bool:
    """Return whether a name is that of a benchmark, not size or all abilities."""
    return name not in {SIZE, ABILITIES}


class ResponseSamples:
    """Responses with what explains them, as far as they can be fitted.

    Args:
        frame: of scores.
        options: that it was read with.
        model: which models are fitted.
        named: canonical benchmarks, name and version, of each name in the model.
        notes: to which is added what is left out.
    """

    def __init__(
        self,
        frame: ScoreFrame,
        options: FrameOptions,
        model: GamOptions,
        named: Mapping[str, Sequence[tuple[str, str]]],
        notes: list[str],
    ) -> None:
        self.frame, self.options, self.model, self.notes = frame, options, model, notes
        self.named = named
        self.left: dict[str, list[str]] = {}
        sizes = frame.sizes
        self.sizes = np.log(np.where(sizes > 0, sizes, np.nan))

    def fits(self, level: float) -> Iterator[FittedResponse]:
        """Yield the fit of each response that can be fitted; note why others cannot.

        Raises:
            UsageError: none can.
        """
        count, reasons = 0, []
        for response in self._responses():
            try:
                yield self._fit(response, level)
            except ValueError as error:
                reasons.append(f"{response.title}: not fitted, as {error}.")
            else:
                count += 1
        # What is left out of several responses alike is said once.
        left = [f"{', '.join(of)}: {said}." for said, of in self.left.items()]
        self.notes.extend([*left, *reasons])
        if not count:
            said = [*reasons[:2], *left[:3]]
            raise UsageError(
                " ".join(["No response can be fitted.", *said,
                          "Name others, fewer abilities, or a wider slice."])
            )  # fmt: skip

    def _responses(self) -> list[GamVariable]:
        columns = self._columns(self.model.responses)
        if self.model.responses is None:
            explaining = {term.column for term in self._explaining(None)}
            if ABILITIES not in self.model.on:
                columns = [column for column in columns if column not in explaining]
            counts = np.isfinite(self.frame.values).sum(axis=0)
            if len(columns) > MOST_RESPONSES:
                self.notes.append(
                    f"{len(columns) - MOST_RESPONSES} of the benchmarks left out as responses, with"
                    " the fewest scores; name some to fit others."
                )
                columns = sorted(sorted(columns, key=lambda c: (-counts[c], c))[:MOST_RESPONSES])
        terms = [self._term(column) for column in columns]
        if SIZE in (self.model.responses or ()):
            terms.append(GamVariable(SIZE, "", None))
        return terms

    def _columns(self, names: Sequence[str] | None) -> list[int]:
        """Return the columns of benchmarks of these names; None are all."""
        benchmarks = self.frame.benchmarks
        if names is None:
            return list(range(len(benchmarks)))
        columns: set[int] = set()
        for name in names:
            if is_benchmark(name):
                of = {
                    place
                    for place, each in enumerate(benchmarks)
                    if (each.name, each.version) in self.named[name]
                }
                if not of:
                    raise UsageError(f"No model of these has a score on {name}.")
                columns |= of
        return sorted(columns)

    def _term(self, column: int) -> GamVariable:
        benchmark = self.frame.benchmarks[column]
        return GamVariable(benchmark.name, benchmark.version, column)

    def _explaining(self, response: GamVariable | None) -> list[GamVariable]:
        """Return what explains a response, abilities first."""
        names = None if ABILITIES in self.model.on else self.model.on
        terms = [self._term(column) for column in self._columns(names)]
        if SIZE in self.model.on:
            terms.append(GamVariable(SIZE, "", None))
        return [term for term in terms if term != response]

    def _values(self, term: GamVariable) -> Reals:
        if term.column is None:
            return self.sizes
        values = self.frame.values[:, term.column]
        if not self.model.log:
            return values
        return np.asarray(np.log(np.where(values > 0, values, np.nan)), np.float64)

    def _fit(self, response: GamVariable, level: float) -> FittedResponse:
        terms = self._explaining(response)
        if not terms:
            raise ValueError("nothing is left to explain it by")
        numbers = np.column_stack([self._values(term) for term in (response, *terms)])
        kept = self._complete(response, terms, numbers)
        labels = [self._labels(response, grouping) for grouping in self.model.random]
        for grouping, names in zip(self.model.random, labels, strict=True):
            lost = kept & np.array([name is None for name in names], bool)
            self._note(response, int(lost.sum()), f"of unknown {grouping}")
            kept &= ~lost
        codes = np.full(len(kept), -1)
        if self.options.grouping is not None:
            codes = self._groups(response, numbers[:, 1], kept)
            kept &= codes >= 0
        numbers, codes = numbers[kept], codes[kept]
        self._check(numbers, terms)
        random = {
            grouping: np.unique(names[kept].astype(str), return_inverse=True)[1]
            for grouping, names in zip(self.model.random, labels, strict=True)
        }
        prepared = self._prepared(response, terms, numbers, codes)
        prepared = prepared._replace(random=self._random(response, random))
        fit = fit_additive_model(
            prepared.values, prepared.smooths, list(prepared.random.values()),
            basis=self.model.basis, level=level,
        )  # fmt: skip
        for term in (response, *terms):
            if term.column is not None:
                self.frame.used[kept, term.column] = True
        if not fit.converged:
            self.notes.append(
                f"{response.title}: the search for the amounts of smoothing did not end; its"
                " numbers are rough."
            )
        return fitted_rows(prepared, fit, level=level, log=self.model.log)

    def _labels(self, response: GamVariable, grouping: Grouping) -> NDArray[np.object_]:
        labels = self.frame.factors[grouping]
        if response.column is not None:
            return labels[:, response.column]
        # Size has no run of its own, and precision is of runs: that of a model is what all state.
        stated = [{name for name in row if name is not None} for row in labels]
        return np.array([each.pop() if len(each) == 1 else None for each in stated], object)

    def _note(self, response: GamVariable, count: int, why: str) -> None:
        if count:
            models = "1 model" if count == 1 else f"{count:,} models"
            self.left.setdefault(f"{models} left out, {why}", []).append(response.title)

    def _complete(
        self, response: GamVariable, terms: Sequence[GamVariable], numbers: Reals
    ) -> NDArray[np.bool_]:
        """Return which models have all numbers; note why others that have the response do not."""
        columns = [term.column for term in (response, *terms) if term.column is not None]
        scores = self.frame.values[:, columns]
        known_response = numbers[:, 0] if response.column is None else scores[:, 0]
        kept: NDArray[np.bool_] = np.isfinite(known_response)
        lost = kept & np.isnan(scores).any(axis=1)
        self._note(response, int(lost.sum()), "without a score on each of what explains it")
        kept &= ~lost
        if SIZE in {term.name for term in terms}:
            lost = kept & np.isnan(self.sizes)
            why = "of unknown size (those of relatives do not count)"
            self._note(response, int(lost.sum()), why)
            kept &= ~lost
        if self.model.log:
            lost = kept & (scores <= 0).any(axis=1)
            why = "with a score of 0 or less, which has no logarithm"
            self._note(response, int(lost.sum()), why)
            kept &= ~lost
        return kept

    def _groups(self, response: GamVariable, values: Reals, kept: NDArray[np.bool_]) -> Places:
        """Return the group of each model, -1 for none: those with enough models and values."""
        # The response may be size, which has no run of its own: what all runs state counts.
        if response.column is None:
            largest = self.frame.codes.max(axis=1)
            known = self.frame.codes >= 0
            alike = ((self.frame.codes == largest[:, None]) | ~known).all(axis=1)
            codes = np.where(alike, largest, -1)
        else:
            codes = self.frame.codes[:, response.column]
        chosen = np.full(len(codes), -1)
        for place, name in enumerate(self.frame.groups):
            rows = kept & (codes == place)
            count = int(rows.sum())
            if count >= self.options.least and len(np.unique(values[rows])) >= LEAST_DISTINCT:
                chosen[rows] = place
            elif count:
                why = f"of {name}, with too few models or values of their own"
                self._note(response, count, why)
        return chosen

    def _check(self, numbers: Reals, terms: Sequence[GamVariable]) -> None:
        """Check that numbers can be fitted.

        Raises:
            ValueError: they cannot; a phrase.
        """
        if len(numbers) < LEAST_MODELS:
            raise ValueError(f"{len(numbers)} models have all that it takes, not {LEAST_MODELS}")
        if is_constant(numbers[:, 0]):
            raise ValueError("all its values are alike")
        for place, term in enumerate(terms, start=1):
            if len(np.unique(numbers[:, place])) < LEAST_DISTINCT or is_constant(numbers[:, place]):
                raise ValueError(f"{term.title} has too few distinct values")
        spread = numbers[:, 1:] - numbers[:, 1:].mean(axis=0)
        sizes = np.linalg.svd(spread / spread.std(axis=0), compute_uv=False)
        if sizes[-1] < COLLINEAR * sizes[0]:
            raise ValueError("one of what explains it follows from the others, linearly")

    def _prepared(
        self, response: GamVariable, terms: Sequence[GamVariable], numbers: Reals, codes: Places
    ) -> PreparedResponse:
        """Return a response with its smooths, one of each number or one for each group."""
        values = numbers[:, 0]
        if self.options.grouping is None:
            smooths = [Smooth(column) for column in numbers[:, 1:].T]
            return PreparedResponse(response, values, [(term, None) for term in terms], smooths, {})
        places = [int(place) for place in np.unique(codes)]
        return PreparedResponse(
            response, values, [(terms[0], self.frame.groups[place]) for place in places],
            [Smooth(numbers[:, 1], codes == place) for place in places], {},
        )  # fmt: skip

    def _random(
        self, response: GamVariable, random: Mapping[Grouping, Places]
    ) -> dict[Grouping, Places]:
        """Return the random effects of two groups or more.

        Raises:
            ValueError: there are too many groups; a phrase.
        """
        varied = {grouping: codes for grouping, codes in random.items() if codes.max() > 0}
        for grouping in set(random) - set(varied):
            why = f"no effect of {grouping}, as all models are of one"
            self.left.setdefault(why, []).append(response.title)
        groups = sum(int(codes.max()) + 1 for codes in varied.values())
        if groups > MOST_GROUPS:
            raise ValueError(
                f"its random effects have {groups:,} groups, more than {MOST_GROUPS:,}: `registry"
                " stats mixed` has no such bound"
            )
        return varied
