"""The frame of an analysis: scores of a slice of models on benchmarks, with groups and sizes."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, Row

from registry.analysis.statistics import groupings
from registry.analysis.statistics.frame_scores import (
    Column,
    FrameScore,
    count_settings,
    read_scores,
    setting_notes,
)
from registry.db.connection import reading
from registry.db.query.condition import evaluated_models
from registry.enums import Grouping
from registry.errors import UsageError
from registry.learning.arrays import Places, Reals
from registry.learning.statistics.complete_blocks import largest_block

LEAST_SCORES = 10
"""Scores with which a benchmark counts that is not named."""

LEAST_OF_GROUP = 5
"""Scores with which a group counts on a benchmark, by default; with fewer its variance is a guess.
"""

MOST_GROUPS = 12
"""Groups that are compared, by default the largest."""


class FrameBenchmark(NamedTuple):
    """A canonical benchmark in one version.

    Attributes:
        name: canonical.
        version: empty where no source states one.
        unit: of its scores: share, or as the measure states.
    """

    name: str
    version: str
    unit: str

    @property
    def title(self) -> str:
        """Name with the version, if it has one."""
        return f"{self.name}@{self.version}" if self.version else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameOptions:
    """Which scores an analysis is of.

    Attributes:
        condition: SQL on columns of `registry.models`; None is all evaluated models.
        benchmarks: any of their names, or name@version; None is all with enough scores.
        complete: whether only models count that have a score on each of the benchmarks; where none
            is named, of those for which their number times that of such models is largest.
        source: only scores that this source states; None is of all, the one that view
            `registry.canonical_leaderboard` has.
        grouping: None for no groups.
        cuts: bounds of ranges of size, in billions of weights.
        least: scores with which a group counts on a benchmark, two or more.
        most: groups at most, those of the most models.
        factors: what models are grouped by besides, all groups of each; any but by size.
        dates: whether the dates of models count.
        ungrouped: what a note says of models in none of the groups.
    """

    condition: str | None = None
    benchmarks: Sequence[str] | None = None
    complete: bool = False
    source: str | None = None
    grouping: Grouping | None = None
    cuts: Sequence[float] = groupings.CUTS
    least: int = LEAST_OF_GROUP
    most: int = MOST_GROUPS
    factors: Sequence[Grouping] = ()
    dates: bool = False
    ungrouped: str = "left out"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreFrame:
    """Scores of M models on B benchmarks, some of them in G groups.

    Attributes:
        models: M names, sorted.
        benchmarks: B, sorted.
        values: M x B, shares in [0, 1] where the measure has bounds; nan where there is no score.
        sizes: M, numbers of weights; nan where unknown.
        groups: G names, in order of size or of name.
        codes: M x B, place of each score's group; -1 where it is in none.
        factors: M x B, the group of each score in other groupings; None where it is not known.
        dates: M, years of creation or upload to the Hub, with fractions; nan where unknown. None
            where they do not count.
        runs: M x B, keys of the scores' runs; 0 where there is no score. None where scores are of
            several runs.
        stated: B, the names of a benchmark in the sources of its scores, that of most first, with
            its version if it has one.
        settings: B, how many scores are of which source, shots and way of prompting.
        used: M x B, of which scores results are; analyses mark them.
        notes: what was left out, and why, and which scores differ in what they are of.
    """

    models: Sequence[str]
    benchmarks: Sequence[FrameBenchmark]
    values: Reals
    sizes: Reals
    groups: Sequence[str]
    codes: Places
    factors: Mapping[Grouping, NDArray[np.object_]] = field(default_factory=dict)
    dates: Reals | None = None
    runs: Places | None = None
    stated: Sequence[Sequence[str]] = ()
    settings: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)
    used: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        """Mark no score as used."""
        object.__setattr__(self, "used", np.zeros(self.values.shape, np.bool_))

    def use_all(self) -> None:
        """Mark all scores as used."""
        self.used[:] = np.isfinite(self.values)

    @property
    def tested(self) -> tuple[int, int]:
        """Numbers of models and of scores that results are of."""
        return int(self.used.any(axis=1).sum()), int(self.used.sum())

    @property
    def count(self) -> int:
        """Number of scores."""
        return int(np.isfinite(self.values).sum())

    def fingerprint(self) -> str:
        """Return a digest of all that results and notes are computed from."""
        digest = hashlib.sha256()
        for name in (*self.models, *self.groups, *self.settings, *self.notes):
            digest.update(name.encode(errors="surrogatepass") + b"\0")
        for benchmark in self.benchmarks:
            digest.update("\0".join(benchmark).encode(errors="surrogatepass") + b"\0")
        for part in (
            self.values,
            self.sizes,
            self.codes,
            *([] if self.dates is None else [self.dates]),
        ):
            digest.update(repr(part.shape).encode() + np.ascontiguousarray(part).tobytes())
        for grouping, names in sorted(self.factors.items()):
            of = "\0".join("\0" if name is None else str(name) for name in names.ravel().tolist())
            digest.update(f"\0{grouping}\0{of}".encode(errors="surrogatepass"))
        return digest.hexdigest()


def read_frame(engine: Engine, options: FrameOptions) -> ScoreFrame:
    """Read the frame of an analysis.

    The condition is run by a login that may only read, within a time limit. Benchmarks that are
    constant, groups beyond the largest and models in none are noted.

    Args:
        engine: of a database at head.
        options: which scores.

    Raises:
        UsageError: for a condition that is none, an unknown benchmark, cuts that are none, or if
            no score is left; says what to change.
    """
    cuts = groupings.check_cuts(options.cuts)
    chosen = None
    if options.condition is not None:
        chosen = set(evaluated_models(engine, options.condition))
        if not chosen:
            raise UsageError("No evaluated model fulfils the condition; give a wider one.")
    with reading(engine, snapshot=True) as connection:
        scores = read_scores(connection, options.benchmarks, options.source)
        rows = groupings.model_rows(connection, sorted({score.model_id for score in scores}))
    if chosen is not None:
        scores = [score for score in scores if rows[score.model_id].name in chosen]
    notes: list[str] = []
    kept = _columns(scores, notes, named=options.benchmarks is not None)
    if options.complete:
        kept = _complete(kept, notes, named=options.benchmarks is not None)
    if not kept:
        raise UsageError(_nothing(options))
    return _frame(kept, rows, options, cuts, notes)


def _columns(
    scores: Iterable[Row[Any]], notes: list[str], *, named: bool
) -> dict[FrameBenchmark, Column]:
    """Return the finite scores of each benchmark with enough of them, on the scale of most."""
    of_scales: dict[tuple[str, str], dict[str, dict[int, FrameScore]]] = {}
    infinite = 0
    for score in scores:
        unit = "share" if score.share is not None else score.unit or "raw"
        found = FrameScore.of(score)
        if not np.isfinite(found.value):
            infinite += 1
            continue
        scale = of_scales.setdefault((score.benchmark, score.version), {}).setdefault(unit, {})
        scale[score.model_id] = found
    if infinite:
        notes.append(f"{_count(infinite, 'score')} left out that {_is(infinite)} not finite.")
    kept: dict[FrameBenchmark, Column] = {}
    few = 0
    for (name, version), scales in sorted(of_scales.items()):
        unit = max(sorted(scales), key=lambda each: len(scales[each]))
        benchmark = FrameBenchmark(name, version, unit)
        if (others := sum(map(len, scales.values())) - len(scales[unit])) > 0:
            notes.append(f"{benchmark.title}: {_count(others, 'score')} left out, not in {unit}.")
        if len(scales[unit]) < LEAST_SCORES and not named:
            few += 1
            continue
        kept[benchmark] = scales[unit]
    if few:
        notes.append(
            f"{_count(few, 'benchmark')} left out, with fewer than {LEAST_SCORES} scores of these"
            " models; name them to count them."
        )
    return kept


def _complete(
    columns: Mapping[FrameBenchmark, Column], notes: list[str], *, named: bool
) -> dict[FrameBenchmark, Column]:
    """Return the scores of models with all of them; where none is named, on the largest block."""
    if not columns:
        return {}
    everyone = sorted(set().union(*columns.values()))
    kept = dict(columns)
    if not named:
        known = np.array([[key in column for column in columns.values()] for key in everyone])
        chosen = set(largest_block(known)[1])
        kept = {each: columns[each] for place, each in enumerate(columns) if place in chosen}
    common = set.intersection(*(set(column) for column in kept.values()))
    if not common:
        raise UsageError("No model has a score on each of the benchmarks; name fewer of them.")
    models = len(everyone) - len(common)
    if left := len(columns) - len(kept):
        notes.append(
            f"{_count(left, 'benchmark')} left out and {_count(models, 'model')}, for the"
            f" {len(kept)} benchmarks of the most scores by the same models; name benchmarks for"
            " others."
        )
    elif models:
        notes.append(f"{_count(models, 'model')} left out, without a score on each benchmark.")
    return {benchmark: {key: column[key] for key in common} for benchmark, column in kept.items()}


def _nothing(options: FrameOptions) -> str:
    which = "these models" if options.condition is not None else "any model"
    if options.source is not None:
        which += f" that {options.source} states"
    if options.benchmarks is None:
        return f"No benchmark has {LEAST_SCORES} scores of {which}; name some, or import more."
    return f"The benchmarks have no scores of {which}; `registry evals benchmarks` lists others."


def _frame(
    columns: Mapping[FrameBenchmark, Column],
    rows: Mapping[int, Row[Any]],
    options: FrameOptions,
    cuts: Sequence[float],
    notes: list[str],
) -> ScoreFrame:
    keys = sorted(set().union(*columns.values()), key=lambda key: str(rows[key].name))
    places = {key: place for place, key in enumerate(keys)}
    values = np.full((len(keys), len(columns)), np.nan)
    precisions = np.full(values.shape, None, dtype=object)
    runs = np.zeros(values.shape, np.intp)
    for place, column in enumerate(columns.values()):
        for key, score in column.items():
            values[places[key], place] = score.value
            runs[places[key], place] = score.run
            precisions[places[key], place] = groupings.precision(score.precision)
    settings = {each.title: count_settings(column.values()) for each, column in columns.items()}
    notes += setting_notes(settings)
    factors = {
        grouping: _names(grouping, keys, rows, precisions, cuts) for grouping in options.factors
    }
    names = np.full(values.shape, None, dtype=object)
    if options.grouping is not None:
        scored = ~np.isnan(values)
        names[scored] = _names(options.grouping, keys, rows, precisions, cuts)[scored]
    groups = _groups(names, options, cuts, notes)
    codes = {name: place for place, name in enumerate(groups)}
    sizes = [rows[key].parameters for key in keys]
    return ScoreFrame(
        models=[rows[key].name for key in keys],
        benchmarks=list(columns),
        values=values,
        sizes=np.array([np.nan if not size else float(size) for size in sizes]),
        groups=groups,
        codes=np.array([[codes.get(name, -1) for name in row] for row in names], np.intp),
        factors=factors,
        dates=groupings.dates([rows[key] for key in keys]) if options.dates else None,
        runs=runs,
        stated=[_stated(each, column.values()) for each, column in columns.items()],
        settings=[repr([(*each, count) for each, count in counts]) for counts in settings.values()],
        notes=notes,
    )


def _stated(benchmark: FrameBenchmark, scores: Iterable[FrameScore]) -> list[str]:
    counts = Counter(score.stated_as for score in scores)
    names = sorted(counts, key=lambda name: (-counts[name], name))
    return [benchmark._replace(name=name).title for name in names]


def _names(
    grouping: Grouping,
    keys: Sequence[int],
    rows: Mapping[int, Row[Any]],
    precisions: NDArray[np.object_],
    cuts: Sequence[float],
) -> NDArray[np.object_]:
    """Return the group of each score, M x B; of models it is one for all their scores."""
    if grouping == Grouping.PRECISION:
        return precisions
    of = groupings.labels({key: rows[key] for key in keys}, grouping, cuts=cuts)
    names = np.full(precisions.shape, None, dtype=object)
    for place, key in enumerate(keys):
        names[place] = of.get(key)
    return names


def _groups(
    names: NDArray[np.object_], options: FrameOptions, cuts: Sequence[float], notes: list[str]
) -> list[str]:
    """Return the names of the largest groups, in order."""
    if options.grouping is None:
        return []
    counts = Counter(name for row in names for name in {each for each in row if each is not None})
    unknown = sum(all(each is None for each in row) for row in names)
    if unknown:
        notes.append(
            f"{_count(unknown, 'model')} {options.ungrouped}, of unknown {_said(options.grouping)}."
        )
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    if len(ranked) > options.most:
        smaller = ranked[options.most :]
        models = sum(counts[name] for name in smaller)
        notes.append(
            f"{_count(len(smaller), 'group')} of {_count(models, 'model')} {options.ungrouped}, the"
            f" smaller ones beyond {options.most}."
        )
    order = groupings.size_names(cuts) if options.grouping == Grouping.SIZE else sorted(counts)
    largest = set(ranked[: options.most])
    return [name for name in order if name in largest]


def _said(grouping: Grouping) -> str:
    return {
        Grouping.SIZE: "size (those of relatives do not count)",
        Grouping.TYPE: "training type",
        Grouping.RELATION: "relation to a parent",
        Grouping.MERGED: "origin",
        Grouping.YEAR: "year",
        Grouping.LICENSE_CLASS: "licence",
        Grouping.LICENSE: "licence",
    }.get(grouping, str(grouping))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _is(number: int) -> str:
    return "is" if number == 1 else "are"
