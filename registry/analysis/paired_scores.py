"""Paired scores: which of several models is better, on the items that both answered."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, text

from registry.catalog.names import model_id
from registry.errors import UsageError
from registry.evaluations.packing import unpack
from registry.evaluations.selection import RunSelection
from registry.learning.arrays import Places, Reals
from registry.learning.factorization.problem import Matrix
from registry.learning.statistics import paired
from registry.learning.statistics.corrections import corrected

LEAST_CLUSTERS = 5
"""Domains of a benchmark's items from which on they are clusters; with fewer, an error from them is
nearly a guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedScore:
    """Difference of two models on a benchmark, on the items that both have outcomes on.

    Numbers are None where they cannot be known: without common items, or with one alone.

    Attributes:
        model: present name.
        other: likewise.
        benchmark: name of the benchmark, as stored.
        version: of it; empty where no source states one.
        items: common items.
        clusters: clusters of them, in which outcomes are not independent.
        clustered_by: domain, or item where each is independent.
        score: mean outcome of the model on the common items, in [0, 1].
        other_score: of the other.
        difference: the first minus the second.
        standard_error: of the difference.
        lower: end of its interval.
        upper: likewise.
        p_value: of no difference.
        holm: p corrected for the number of comparisons, so that any false finding is rare.
        benjamini_hochberg: p corrected so that few of the findings are false.
        only_model: items that the model alone answered rightly; None where outcomes are graded.
        only_other: items that the other alone did; likewise.
        mcnemar: p of the exact test of these two numbers; likewise.
        detectable: least difference that one test at the level would find with a probability of
            0.8; verdicts, which are corrected for the number of comparisons, find fewer.
        verdict: better, worse or tie, by `holm`; unknown where there is no test.
        caution: in what the two runs were made otherwise; None where nothing is known to differ.
    """

    model: str
    other: str
    benchmark: str
    version: str
    items: int
    clusters: int
    clustered_by: str
    score: float | None
    other_score: float | None
    difference: float | None
    standard_error: float | None
    lower: float | None
    upper: float | None
    p_value: float | None
    holm: float | None = None
    benjamini_hochberg: float | None = None
    only_model: int | None
    only_other: int | None
    mcnemar: float | None
    detectable: float | None
    verdict: str = "unknown"
    caution: str | None = None


def compare_pairs(
    connection: Connection,
    models: Sequence[str],
    *,
    benchmarks: Sequence[str] | None = None,
    level: float = paired.LEVEL,
) -> list[PairedScore]:
    """Compare each pair of several models on each benchmark with outcomes of both.

    Args:
        connection: to read from.
        models: two or more, any of their names.
        benchmarks: any of their names, or name@version; None for all.
        level: share of intervals that hold the difference, in (0, 1); differences are found where
            the corrected p is below 1 minus it.

    Raises:
        ModelNotFoundError: for an unknown model, with the nearest names there are.
        UsageError: for fewer than two models, an unknown benchmark, or another level.
    """
    keys = _keys(connection, models)
    _check_level(level)
    if len(keys) < 2:  # noqa: PLR2004
        raise UsageError("Comparing takes two models or more; --all compares one with all others.")
    found: list[Fields] = []
    names = _names(connection, keys)
    for runs in _benchmarks(connection, keys, benchmarks, only=True):
        rows = {name: row for row, name in enumerate(runs.models)}
        present = [rows[name] for name in names if name in rows]
        for place, first in enumerate(present[:-1]):
            found += _scores(connection, runs, first, present[place + 1 :], level)
    return _judged(found, level)


def compare_with_all(
    connection: Connection,
    model: str,
    *,
    benchmarks: Sequence[str] | None = None,
    level: float = paired.LEVEL,
) -> list[PairedScore]:
    """Compare a model with all others, on each benchmark with outcomes of both.

    Arguments and errors are as in `compare_pairs`.
    """
    _check_level(level)
    (key,) = _keys(connection, [model])
    (name,) = _names(connection, [key])
    found: list[Fields] = []
    for runs in _benchmarks(connection, [key], benchmarks, only=False):
        rows = {each: row for row, each in enumerate(runs.models)}
        own = rows.pop(name)
        found += _scores(connection, runs, own, list(rows.values()), level)
    return _judged(found, level)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise UsageError(f"The level of intervals is between 0 and 1, not {level:g}.")


def _keys(connection: Connection, models: Sequence[str]) -> list[int]:
    keys = [model_id(connection, name) for name in models]
    for one, other in combinations(range(len(keys)), 2):
        if keys[one] == keys[other]:
            raise UsageError(
                f"{models[one]!r} and {models[other]!r} are names of one model; give different"
                " ones."
            )
    return keys


def _names(connection: Connection, keys: Sequence[int]) -> list[str]:
    """Return the present names of models, in their order."""
    rows = connection.execute(
        text("SELECT model_id, name FROM store.models WHERE model_id = ANY (:keys)"),
        {"keys": list(keys)},
    )
    names: dict[int, str] = {row.model_id: row.name for row in rows}
    return [names[key] for key in keys]


class _Runs(NamedTuple):
    """Preferred runs on one benchmark: of M models, sorted by name, on N items.

    Attributes:
        benchmark: name, as stored.
        version: of it.
        models: M names.
        runs: M keys.
        values: float32, M x N: outcomes; nan where not observed.
        clusters: intp, N; None where each item is one.
    """

    benchmark: str
    version: str
    models: Sequence[str]
    runs: Sequence[int]
    values: Matrix
    clusters: Places | None


def _benchmarks(
    connection: Connection, keys: Sequence[int], benchmarks: Sequence[str] | None, *, only: bool
) -> Iterator[_Runs]:
    """Yield the runs on each benchmark that one of the models has outcomes on.

    Args:
        connection: to read from.
        keys: of the models.
        benchmarks: names; None for all.
        only: whether runs of these models alone are read, or of all.
    """
    named = RunSelection(benchmarks=benchmarks or ()).benchmark_keys(connection)
    found = connection.execute(
        text("""
        SELECT b.benchmark_id, b.name, b.version, b.item_count
          FROM store.benchmarks b
         WHERE (NOT :named OR b.benchmark_id = ANY (:benchmarks))
           AND EXISTS (SELECT FROM store.runs r
                        WHERE r.benchmark_id = b.benchmark_id AND r.model_id = ANY (:keys)
                          AND r.right_bits IS NOT NULL)
         ORDER BY b.name COLLATE "C", b.version COLLATE "C", b.benchmark_id"""),
        {"named": bool(benchmarks), "benchmarks": named, "keys": list(keys)},
    ).all()
    for row in found:
        runs = connection.execute(
            text("""
            SELECT model, run_id, varbit_send(right_bits) AS right_bits,
                   varbit_send(present_bits) AS present_bits, array_send(grades) AS grades
              FROM store.preferred_runs(:benchmark)
             WHERE NOT :only OR model_id = ANY (:keys)
             ORDER BY model COLLATE "C" """),
            {"benchmark": row.benchmark_id, "only": only, "keys": list(keys)},
        ).all()
        values = np.full((len(runs), row.item_count), np.nan, np.float32)
        for place, run in enumerate(runs):
            unpack(run.right_bits, run.present_bits, run.grades, values[place])
        yield _Runs(
            row.name,
            row.version,
            [run.model for run in runs],
            [run.run_id for run in runs],
            values,
            _clusters(connection, row.benchmark_id),
        )


def _clusters(connection: Connection, benchmark: int) -> Places | None:
    """Return the domain of each item of a benchmark as a number; None where they are too few."""
    domains = connection.scalars(
        text("SELECT domain FROM store.items WHERE benchmark_id = :key ORDER BY ordinal"),
        {"key": benchmark},
    ).all()
    if None in domains or len(set(domains)) < LEAST_CLUSTERS:
        return None
    return np.unique(np.array(domains), return_inverse=True)[1].astype(np.intp)


Fields = dict[str, Any]
"""Of a paired score, but for p corrected and the verdict: a dataclass is made once, of all."""


def _scores(
    connection: Connection, runs: _Runs, first: int, others: Sequence[int], level: float
) -> Iterator[Fields]:
    found = paired.compare(
        runs.values[first], runs.values[list(others)], runs.clusters, level=level
    )
    cautions = connection.scalars(
        text("""
        -- Runs of one measure and setup differ from the first in one way.
        WITH other AS MATERIALIZED (
            SELECT u.place, r.run_id, r.measure_id, r.setup_id
              FROM unnest(CAST(:others AS bigint[])) WITH ORDINALITY AS u (run, place)
              JOIN store.runs r ON r.run_id = u.run),
        manner AS MATERIALIZED (
            SELECT measure_id, setup_id, store.run_difference(:first, min(run_id)) AS caution
              FROM other GROUP BY measure_id, setup_id)
        SELECT manner.caution FROM other JOIN manner USING (measure_id, setup_id)
         ORDER BY other.place"""),
        {"first": runs.runs[first], "others": [runs.runs[other] for other in others]},
    ).all()
    graded = found.only_first < 0
    columns = {
        "other": [runs.models[other] for other in others],
        "items": found.items.tolist(),
        "clusters": found.clusters.tolist(),
        "score": _known(found.score),
        "other_score": _known(found.other),
        "difference": _known(found.difference),
        "standard_error": _known(found.error),
        "lower": _known(found.lower),
        "upper": _known(found.upper),
        "p_value": _known(found.p),
        "only_model": _known(np.where(graded, np.nan, found.only_first), int),
        "only_other": _known(np.where(graded, np.nan, found.only_second), int),
        "mcnemar": _known(found.mcnemar),
        "detectable": _known(found.detectable),
        "caution": cautions,
    }
    common = {
        "model": runs.models[first],
        "benchmark": runs.benchmark,
        "version": runs.version,
        "clustered_by": "item" if runs.clusters is None else "domain",
    }
    for values in zip(*columns.values(), strict=True):
        fields = dict(zip(columns, values, strict=True))
        if fields["items"]:
            yield common | fields


def _known(values: Reals, kind: Callable[[float], float] = float) -> list[float | None]:
    """Return numbers as they are printed: None where they are not defined."""
    return [None if value != value else kind(value) for value in values.tolist()]  # noqa: PLR0124


def _judged(scores: Sequence[Fields], level: float) -> list[PairedScore]:
    """Return the scores with p-values corrected for their number, and verdicts."""
    if not scores:
        return []
    p = np.array([np.nan if each["p_value"] is None else each["p_value"] for each in scores])
    holm = corrected(p, "holm")
    rows = zip(scores, _known(holm), _known(corrected(p, "fdr_bh")), strict=True)
    return [
        PairedScore(
            **fields,
            holm=of_family,
            benjamini_hochberg=of_findings,
            verdict=_verdict(fields["difference"], of_family, level),
        )
        for fields, of_family, of_findings in rows
    ]


def _verdict(difference: float | None, p: float | None, level: float) -> str:
    if p is None or difference is None:
        return "unknown"
    if p >= 1 - level:
        return "tie"
    return "better" if difference > 0 else "worse"
