"""Outcomes of models on the same items of a benchmark, by one measure: what ratings are of."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from sqlalchemy import Connection, text

from registry.analysis.listing import listed
from registry.analysis.statistics.stored_analyses import check_level, check_seed
from registry.catalog.names import model_id
from registry.errors import UsageError
from registry.evaluations.outcomes import (
    Column,
    ItemMeasure,
    OutcomeMatrix,
    OutcomeSelection,
    models_by_measure,
    models_with_outcomes,
    read_selection,
    select,
)
from registry.learning.arrays import Places
from registry.learning.factorization.problem import Matrix

MOST_MODELS = 200
"""Models that are rated at once."""

LEAST_REPLICATES, MOST_REPLICATES = 20, 10_000

MOST_NAMED = 3
"""Models that a note names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceOptions:
    """Which models are rated, and how.

    Attributes:
        benchmark: any of its names, or name@version.
        models: any names; None is all with outcomes.
        metric: of the outcomes; None is that of the most models.
        filter: likewise, or the judge.
        most: models at most, those with the most outcomes, then the highest means; 2 to 200.
        replicates: resamples of the items, 20 to 10,000.
        level: share of intervals that hold the rating, in (0, 1).
        seed: of the resampling.
    """

    benchmark: str
    models: Sequence[str] | None = None
    metric: str | None = None
    filter: str | None = None
    most: int = 50
    replicates: int = 200
    level: float = 0.95
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SharedOutcomes:
    """Outcomes by one measure, which ratings are computed from.

    Attributes:
        benchmark: its name as stored, with the version where one was asked for.
        models: names of the M models, of the most outcomes first.
        items: names of the N items, with those of their benchmarks and versions.
        values: float32, M x N, in [0, 1], higher is better; NaN where not observed.
        measure: of all of them.
        notes: what was left out, and why.
    """

    benchmark: str
    models: Sequence[str]
    items: Sequence[Column]
    values: Matrix
    measure: ItemMeasure
    notes: Sequence[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of outcomes."""
        return int(np.count_nonzero(~np.isnan(self.values)))

    @property
    def tested(self) -> tuple[int, int]:
        """Numbers of models and of outcomes that ratings are of: all."""
        return len(self.models), self.count

    def fingerprint(self) -> str:
        """Return a digest of all that ratings and notes are computed from."""
        digest = hashlib.sha256()
        for part in (
            self.models,
            [name for item in self.items for name in item],
            self.measure,
            self.notes,
        ):
            digest.update(f"{len(part)}\0".encode())
            digest.update("\0".join(part).encode(errors="surrogatepass") + b"\0")
        digest.update(repr(self.values.shape).encode())
        digest.update(np.ascontiguousarray(self.values).tobytes())
        return digest.hexdigest()


def check_options(options: PreferenceOptions) -> None:
    """Check numbers among the options.

    Raises:
        UsageError: for one that is out of range, with the range.
    """
    check_level(options.level)
    check_seed(options.seed)
    if not 2 <= options.most <= MOST_MODELS:  # noqa: PLR2004 - a comparison is of two
        raise UsageError(f"From 2 to {MOST_MODELS} models are rated at once, not {options.most}.")
    if not LEAST_REPLICATES <= options.replicates <= MOST_REPLICATES:
        raise UsageError(
            f"Items are resampled {LEAST_REPLICATES} to {MOST_REPLICATES:,} times, not"
            f" {options.replicates:,}."
        )


def read_shared(connection: Connection, options: PreferenceOptions) -> SharedOutcomes:
    """Read outcomes by one measure: of several, such as judges, by that of the most models.

    Raises:
        ModelNotFoundError: for an unknown model, with the nearest names there are.
        UsageError: for an unknown benchmark, metric or filter, fewer than two models with outcomes,
            or models without a shared item.
    """
    for each in options.models or ():
        model_id(connection, each)  # names the nearest ones of a model that is not there
    selection = select(connection, models=options.models, benchmarks=[options.benchmark])
    measure, notes = _measure(connection, options, selection)
    matrix = read_selection(connection, replace(selection, measure=measure))
    order = _chosen(matrix, options, notes)
    models = [matrix.models[place] for place in order]
    notes += _made_otherwise(connection, selection, measure, models)
    named = {
        f"{each.benchmark}@{each.version}" if "@" in options.benchmark and each.version
        else each.benchmark
        for each in matrix.columns
    }  # fmt: skip
    return SharedOutcomes(
        benchmark=", ".join(sorted(named)),
        models=models,
        items=matrix.columns,
        values=matrix.values[order],
        measure=measure,
        notes=notes,
    )


def _measure(
    connection: Connection, options: PreferenceOptions, selection: OutcomeSelection
) -> tuple[ItemMeasure, list[str]]:
    """Return the measure of the most models, and what it leaves out."""
    there = models_by_measure(connection, selection)
    fitting = [
        each
        for each in there
        if options.metric in {None, each.metric} and options.filter in {None, each.filter}
    ]
    if not fitting:
        raise UsageError(
            f"There are no such outcomes on {options.benchmark};"
            f" they are by {', '.join(map(str, there)) or 'systems around models, or of others'}."
        )
    measure, notes = fitting[0], []
    measured = set().union(*there.values())
    others = measured - there[measure]
    if others:
        those = [str(each) for each in there if each != measure]
        notes.append(
            f"Outcomes are by {measure}; {count_models(len(others))} left out, with outcomes only"
            f" by {', '.join(those)}."
        )
    any_outcomes = models_with_outcomes(connection, selection)
    for keys, what in (
        (any_outcomes - measured, "with outcomes only of systems around them, such as best-of-16"),
        (set(selection.models or ()) - any_outcomes, "without outcomes"),
    ):
        if keys:
            names = _names(connection, keys)
            notes.append(
                f"{count_models(len(names))} left out, {what}: {listed(names, MOST_NAMED)}."
            )
    return measure, notes


def _names(connection: Connection, keys: set[int]) -> Sequence[str]:
    return connection.scalars(
        text("SELECT name FROM store.models WHERE model_id = ANY (:keys) ORDER BY name"),
        {"keys": sorted(keys)},
    ).all()


def _made_otherwise(
    connection: Connection,
    selection: OutcomeSelection,
    measure: ItemMeasure,
    models: Sequence[str],
) -> list[str]:
    """Return in what the runs of models were made otherwise, as `store.run_difference` does."""
    row = connection.execute(
        text("""
        WITH preferred AS (
            SELECT DISTINCT ON (r.model_id, r.benchmark_id)
                   t.shots, t.prompt_template, t.harness
              FROM store.ranked_runs r
              JOIN store.setups t USING (setup_id)
             WHERE r.has_outcomes AND r.benchmark_id = ANY (:benchmarks) AND r.model = ANY (:models)
               AND (r.metric, r.filter) = (:metric, :filter) AND r.variant IS NULL
             ORDER BY r.model_id, r.benchmark_id, r.outcome_tier, r.rank
        )
        SELECT array_agg(DISTINCT shots) FILTER (WHERE shots IS NOT NULL) AS shots,
               count(DISTINCT prompt_template) AS templates,
               array_agg(DISTINCT harness) FILTER (WHERE harness IS NOT NULL) AS harnesses
          FROM preferred"""),
        {
            "benchmarks": [span.key for span in selection.spans], "models": list(models),
            "metric": measure.metric, "filter": measure.filter,
        },
    ).one()  # fmt: skip
    ways = []
    if len(row.shots or ()) > 1:
        ways.append(f"with {', '.join(map(str, row.shots))} examples in the prompt")
    if row.templates > 1:
        ways.append(f"with {row.templates} prompt templates")
    if len(row.harnesses or ()) > 1:
        ways.append(f"by {', '.join(row.harnesses)}")
    return [f"Runs of the models were made otherwise: {'; '.join(ways)}."] if ways else []


def _chosen(matrix: OutcomeMatrix, options: PreferenceOptions, notes: list[str]) -> Places:
    """Return the places of the models that are rated, those with the most outcomes first."""
    counts = matrix.mask.sum(axis=1)
    means = np.nansum(matrix.values, axis=1, dtype=np.float64) / np.maximum(counts, 1)
    order: Places = np.lexsort((-means, -counts))
    order = order[counts[order] > 0]
    if len(order) > options.most:
        notes.append(
            f"{count_models(len(order) - options.most)} left out beyond {options.most}, with the"
            " fewest outcomes or the lowest means."
        )
        order = order[: options.most]
    if len(order) < 2:  # noqa: PLR2004
        raise UsageError(
            f"{len(order)} of these models has outcomes by item on {options.benchmark}; comparing"
            " takes two."
        )
    if (matrix.mask[order].sum(axis=0) < 2).all():  # noqa: PLR2004
        raise UsageError(
            f"No two of these {len(order)} models have an outcome on the same item of"
            f" {options.benchmark}; choose others by --model."
        )
    return order


def count_models(number: int) -> str:
    """Write a number of models."""
    return f"{number:,} model{'' if number == 1 else 's'}"
