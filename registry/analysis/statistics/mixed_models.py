"""Analyses of scores by mixed models: effects where models of one family are not independent.

On each benchmark: differences of groups, change over time, or models less their parents, with
random effects of groupings, beside what follows where all models count as independent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from registry.analysis.statistics.parent_differences import read_differences
from registry.analysis.statistics.score_frame import (
    FrameBenchmark,
    FrameOptions,
    ScoreFrame,
    read_frame,
)
from registry.analysis.statistics.stored_analyses import (
    AnalysisRequest,
    ResultRows,
    StoredAnalysis,
    analysed_once,
    check_level,
    known,
    read_results,
)
from registry.db.connection import reading
from registry.db.schema import mixed_effects
from registry.enums import AnalysisKind, Grouping, MixedSubject
from registry.errors import UsageError
from registry.learning.arrays import Places, Reals
from registry.learning.statistics.corrections import corrected
from registry.learning.statistics.mixed import FixedEffect, MixedFit, fit_mixed_model
from registry.learning.statistics.one_way import is_constant

LEAST_MODELS = 20
"""Models with which a benchmark is fitted."""

LEAST_PAIRS = 5
"""Models beside their parents with which a benchmark is."""

MOST_BENCHMARKS = 40
"""Benchmarks that are fitted where none is named: those of the most scores."""

ORDERED = {Grouping.SIZE, Grouping.YEAR}
"""Groupings whose first group is what others are compared with; of others it is the largest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedEffect:
    """Effect in a mixed model of a benchmark; see view `registry.mixed_effects`."""

    benchmark: str
    version: str
    position: int
    kind: str
    term: str
    group_name: str | None = None
    reference: str | None = None
    n: int
    groups: int | None = None
    estimate: float | None = None
    error: float | None = None
    lower: float | None = None
    upper: float | None = None
    share: float | None = None
    statistic: float | None = None
    df: float | None = None
    p: float | None = None
    holm: float | None = None
    plain_estimate: float | None = None
    plain_error: float | None = None
    plain_p: float | None = None


class MixedAnalysis(NamedTuple):
    """A stored analysis: effects by benchmark."""

    stored: StoredAnalysis
    effects: Sequence[MixedEffect]


def run_mixed(
    engine: Engine,
    options: FrameOptions,
    subject: MixedSubject,
    random: Sequence[Grouping] = (Grouping.FAMILY,),
    *,
    level: float = 0.95,
) -> MixedAnalysis:
    """Fit a mixed model of each benchmark, and store the analysis.

    One that is stored of the same request and data is read instead.

    Args:
        engine: of a database at head.
        options: which scores; with a grouping where the subject is groups.
        subject: the fixed effect; none for variances of random effects alone.
        random: random effects, one or more; crossed, or nested where groups are.
        level: share of intervals that hold the effect, in (0, 1).

    Raises:
        UsageError: as `read_frame` and `read_differences` do; for a level or a model that is none;
            and where no benchmark can be fitted.
    """
    _check(options, subject, random, level)
    options = replace(
        options, factors=tuple(dict.fromkeys(random)), dates=subject == MixedSubject.TIME
    )
    read = read_differences if subject == MixedSubject.PARENTS else read_frame
    frame = read(engine, options)
    request = AnalysisRequest.of(
        AnalysisKind.MIXED, options, level=level, subject=str(subject),
        random=sorted(map(str, options.factors)),
    )  # fmt: skip

    def compute(notes: list[str]) -> ResultRows:
        found = _Benchmarks(frame, options, subject, notes).effects(level)
        return {mixed_effects: _corrected(list(found))}

    stored = analysed_once(engine, request, frame, compute)
    with reading(engine) as connection:
        found = read_results(connection, mixed_effects, MixedEffect, stored.analysis_id)
    return MixedAnalysis(stored, found)


def _check(
    options: FrameOptions, subject: MixedSubject, random: Sequence[Grouping], level: float
) -> None:
    check_level(level)
    if not random:
        raise UsageError("A mixed model has a random effect; `registry stats anova` has none.")
    if (options.grouping is not None) != (subject == MixedSubject.GROUPS):
        raise UsageError("Name what to group models by, or another fixed effect; one of them.")
    if options.least < 2 or options.most < 2:  # noqa: PLR2004
        raise UsageError("Groups have two scores or more, and there are two groups or more.")
    if Grouping.SIZE in random:
        raise UsageError("A random effect is of another grouping than size.")
    if options.grouping in random:
        raise UsageError(f"{options.grouping} is compared: name another random effect.")


class _Sample(NamedTuple):
    """Scores on a benchmark, with the numbers and groups that explain them."""

    benchmark: FrameBenchmark
    values: Reals
    numbers: Reals
    names: Sequence[str]
    counts: Sequence[int]
    reference: str | None
    random: dict[str, Places]
    rows: NDArray[np.bool_]


class _Benchmarks:
    """Benchmarks of a frame, as far as they can be fitted."""

    def __init__(
        self, frame: ScoreFrame, options: FrameOptions, subject: MixedSubject, notes: list[str]
    ) -> None:
        self.frame, self.options, self.subject, self.notes = frame, options, subject, notes
        self.left: dict[str, list[str]] = {}

    def effects(self, level: float) -> Iterator[MixedEffect]:
        """Yield the effects on each benchmark that can be fitted; note why others cannot.

        Raises:
            UsageError: none can.
        """
        count, reasons = 0, []
        for column in self._columns():
            benchmark = self.frame.benchmarks[column]
            try:
                sample = self._sample(column)
                fit = fit_mixed_model(
                    sample.values, sample.numbers, sample.random, level=level,
                    intercept=self.subject != MixedSubject.PARENTS,
                )  # fmt: skip
            except ValueError as error:
                reasons.append(f"{benchmark.title}: not fitted, as {error}.")
                continue
            count += 1
            self.frame.used[:, column] = sample.rows
            if not fit.converged:
                reasons.append(f"{benchmark.title}: the search did not end; numbers are rough.")
            yield from _rows(sample, fit, self.subject, self.options)
        left = [f"{', '.join(of)}: {said}." for said, of in self.left.items()]
        self.notes.extend([*left, *reasons])
        if not count:
            raise UsageError(
                " ".join(["No benchmark can be fitted.", *reasons[:2], *left[:3],
                          "Name others, other random effects (--random author), or a wider slice."])
            )  # fmt: skip

    def _columns(self) -> list[int]:
        counts = np.isfinite(self.frame.values).sum(axis=0)
        columns = list(range(len(counts)))
        if self.options.benchmarks is None and len(columns) > MOST_BENCHMARKS:
            self.notes.append(
                f"{len(columns) - MOST_BENCHMARKS} of the benchmarks left out, with the fewest"
                " scores; name some to fit others."
            )
            columns = sorted(sorted(columns, key=lambda c: (-counts[c], c))[:MOST_BENCHMARKS])
        return columns

    def _note(self, column: int, count: int, why: str) -> None:
        if count:
            models = "1 model" if count == 1 else f"{count:,} models"
            said = f"{models} left out, {why}"
            self.left.setdefault(said, []).append(self.frame.benchmarks[column].title)

    def _sample(self, column: int) -> _Sample:
        """Return a benchmark's scores with what explains them.

        Raises:
            ValueError: they cannot be fitted; a phrase.
        """
        frame, values = self.frame, self.frame.values[:, column]
        kept: NDArray[np.bool_] = np.isfinite(values)
        labels = {}
        for grouping in self.options.factors:
            labels[grouping] = frame.factors[grouping][:, column]
            lost = kept & np.array([name is None for name in labels[grouping]], bool)
            self._note(column, int(lost.sum()), f"of unknown {grouping}")
            kept &= ~lost
        groups: list[int] = []
        if self.subject in {MixedSubject.GROUPS, MixedSubject.PARENTS}:
            groups = self._groups(column, kept)
            kept &= np.isin(frame.codes[:, column], groups)
        if self.subject == MixedSubject.TIME:
            assert frame.dates is not None
            lost = kept & np.isnan(frame.dates)
            self._note(column, int(lost.sum()), "of unknown date")
            kept &= ~lost
        least = LEAST_PAIRS if self.subject == MixedSubject.PARENTS else LEAST_MODELS
        if kept.sum() < least:
            raise ValueError(f"{int(kept.sum())} models have all that it takes, not {least}")
        if is_constant(values[kept]):
            raise ValueError("all scores are alike")
        numbers, names, counts, reference = self._numbers(column, kept, groups)
        random = {}
        for grouping, of in labels.items():
            codes = np.unique(of[kept].astype(str), return_inverse=True)[1]
            if codes.max() == 0:
                raise ValueError(f"all models are of one {grouping}")
            random[str(grouping)] = codes
        return _Sample(
            frame.benchmarks[column],
            values[kept],
            numbers,
            names,
            counts,
            reference,
            random,
            kept,
        )

    def _groups(self, column: int, kept: NDArray[np.bool_]) -> list[int]:
        """Return the places of groups with enough scores."""
        codes = self.frame.codes[:, column]
        groups = []
        for place, name in enumerate(self.frame.groups):
            count = int((kept & (codes == place)).sum())
            if count >= self.options.least:
                groups.append(place)
            else:
                self._note(column, count, f"of {name}, with fewer than {self.options.least} scores")
        if len(groups) < 2 and self.subject == MixedSubject.GROUPS:  # noqa: PLR2004
            have = "one group alone has" if groups else "no group has"
            raise ValueError(f"{have} {self.options.least} scores")
        return groups

    def _numbers(
        self, column: int, kept: NDArray[np.bool_], groups: Sequence[int]
    ) -> tuple[Reals, list[str], list[int], str | None]:
        """Return numbers, the names of their groups and counts, and the group of comparison."""
        frame = self.frame
        if self.subject == MixedSubject.NONE:
            return np.empty((int(kept.sum()), 0)), [], [], None
        if self.subject == MixedSubject.TIME:
            assert frame.dates is not None
            years = frame.dates[kept]
            if is_constant(years - years.mean()):
                raise ValueError("all models are of one date")
            return (years - years.mean())[:, None], [], [], None
        codes = frame.codes[kept, column]
        sizes = [int((codes == place).sum()) for place in groups]
        if self.subject == MixedSubject.PARENTS:
            names = [frame.groups[place] for place in groups]
            return np.equal.outer(codes, groups).astype(float), names, sizes, None
        ordered = self.options.grouping in ORDERED
        first = groups[0] if ordered else groups[int(np.argmax(sizes))]
        others = [place for place in groups if place != first]
        names = [frame.groups[place] for place in others]
        counts = [size for place, size in zip(groups, sizes, strict=True) if place != first]
        return np.equal.outer(codes, others).astype(float), names, counts, frame.groups[first]


def _rows(
    sample: _Sample, fit: MixedFit, subject: MixedSubject, options: FrameOptions
) -> Iterator[MixedEffect]:
    """Yield a fit as rows of the table of results: fixed effects, their test, random effects."""
    term = {
        MixedSubject.GROUPS: str(options.grouping), MixedSubject.TIME: "time",
        MixedSubject.PARENTS: "parent", MixedSubject.NONE: "mean",
    }[subject]  # fmt: skip
    of = {"benchmark": sample.benchmark.name, "version": sample.benchmark.version}
    position = 0
    for place, (effect, plain) in enumerate(zip(fit.effects, fit.plain, strict=True)):
        named = place < len(sample.names)
        yield MixedEffect(
            benchmark=of["benchmark"], version=of["version"], position=position, kind="fixed",
            term=term, group_name=sample.names[place] if named else None,
            reference=sample.reference, n=sample.counts[place] if named else fit.n,
            estimate=known(effect.estimate), error=known(effect.error), lower=known(effect.lower),
            upper=known(effect.upper), statistic=_ratio(effect), df=known(effect.df),
            # That a mean score is not 0 says nothing.
            p=None if subject == MixedSubject.NONE else known(effect.p),
            plain_estimate=known(plain.estimate), plain_error=known(plain.error),
            plain_p=None if subject == MixedSubject.NONE else known(plain.p),
        )  # fmt: skip
        position += 1
    if fit.joint is not None and fit.plain_joint is not None and subject == MixedSubject.GROUPS:
        yield MixedEffect(
            benchmark=of["benchmark"], version=of["version"], position=position, kind="test",
            term=term, n=fit.n, groups=fit.joint.df + 1, statistic=known(fit.joint.f),
            df=known(fit.joint.df_within), p=known(fit.joint.p), plain_p=known(fit.plain_joint.p),
        )  # fmt: skip
        position += 1
    for name, component in fit.components.items():
        yield MixedEffect(
            benchmark=of["benchmark"], version=of["version"], position=position, kind="random",
            term=name, n=fit.n, groups=component.groups, estimate=component.deviation,
            share=component.share, p=known(component.p),
        )  # fmt: skip
        position += 1
    left = 1 - sum(each.share for each in fit.components.values())
    yield MixedEffect(
        benchmark=of["benchmark"], version=of["version"], position=position, kind="random",
        term="residual", n=fit.n, estimate=fit.residual, share=left,
    )  # fmt: skip


def _ratio(effect: FixedEffect) -> float | None:
    return known(effect.estimate / effect.error) if effect.error > 0 else None


def _corrected(effects: Sequence[MixedEffect]) -> list[MixedEffect]:
    """Return effects with p-values corrected for the number of their kind (Holm)."""
    p = np.array([np.nan if each.p is None else each.p for each in effects])
    kinds = np.array([each.kind for each in effects])
    holm = np.full(len(p), np.nan)
    for kind in set(kinds):
        holm[kinds == kind] = corrected(p[kinds == kind], "holm")
    return [replace(each, holm=known(holm[place])) for place, each in enumerate(effects)]
