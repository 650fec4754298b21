"""Scores of models less those of their parents, on the same benchmark and in the same setup."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Row, text

from registry.analysis.statistics.frame_scores import canonical_benchmarks, source_key
from registry.analysis.statistics.score_frame import FrameBenchmark, FrameOptions, ScoreFrame
from registry.db.connection import reading
from registry.db.query.condition import evaluated_models
from registry.enums import Grouping, Relation
from registry.errors import UsageError

# Of each model the parents of its first relation, as groupings take it. Setups are alike but for
# the precision of weights, which quantizing changes. Of several pairs of runs with a parent it
# is that of the scores that leaderboards show.
_PAIRS = text("""
    WITH first AS MATERIALIZED (
        SELECT DISTINCT ON (e.child_id) e.child_id, e.relation
          FROM store.edges e
         WHERE e.parent_id <> e.child_id
         ORDER BY e.child_id, e.confidence DESC, e.position, e.source DESC, e.relation),
    links AS MATERIALIZED (
        SELECT DISTINCT f.child_id, e.parent_id, f.relation
          FROM first f
          JOIN store.edges e ON e.child_id = f.child_id AND e.relation = f.relation
         WHERE e.parent_id <> e.child_id),
    parents AS (SELECT child_id, count(*) AS stated FROM links GROUP BY child_id),
    paired AS (
        SELECT DISTINCT ON (l.child_id, l.parent_id, benchmark, b.version)
               l.child_id, l.parent_id, l.relation, coalesce(b.canonical, b.name) AS benchmark,
               b.version, k.unit,
               store.share(c.score, k.lower, k.upper, k.higher_is_better) AS share,
               store.share(p.score, k.lower, k.upper, k.higher_is_better) AS parent_share,
               c.score AS raw, p.score AS parent_raw, k.upper > k.lower AS bounded
          FROM links l
          JOIN store.runs c ON c.model_id = l.child_id AND c.complete
          JOIN store.runs p ON p.model_id = l.parent_id AND p.complete
                           AND p.benchmark_id = c.benchmark_id AND p.measure_id = c.measure_id
          JOIN store.benchmarks b ON b.benchmark_id = c.benchmark_id AND b.comparable
          JOIN store.measures k ON k.measure_id = c.measure_id
          JOIN store.setups s ON s.setup_id = c.setup_id
          JOIN store.setups t ON t.setup_id = p.setup_id
          LEFT JOIN store.shown_runs cs ON cs.run_id = c.run_id
          LEFT JOIN store.shown_runs ps ON ps.run_id = p.run_id
         WHERE (s.harness, s.harness_version, s.task_version, s.shots, s.prompt_template,
                s.chat_template, s.details, s.variant)
               IS NOT DISTINCT FROM
               (t.harness, t.harness_version, t.task_version, t.shots, t.prompt_template,
                t.chat_template, t.details, t.variant)
           AND (CAST(:source AS integer) IS NULL
                OR c.source_id = :source AND p.source_id = :source)
           AND (NOT :named OR (coalesce(b.canonical, b.name), b.version) IN (
                SELECT * FROM unnest(CAST(:names AS text[]), CAST(:versions AS text[]))))
         ORDER BY l.child_id, l.parent_id, benchmark, b.version, cs.run_id IS NULL,
                  ps.run_id IS NULL, c.run_id, p.run_id)
    SELECT v.name, d.relation, d.benchmark, d.version,
           CASE WHEN d.bounded THEN 'share' ELSE coalesce(d.unit, 'raw') END AS unit,
           avg(CASE WHEN d.bounded THEN d.share - d.parent_share ELSE d.raw - d.parent_raw END)
               AS difference,
           count(*) < min(n.stated) AS partly,
           bool_and(d.raw IS NOT NULL AND d.parent_raw IS NOT NULL) AS scored,
           min(v.family_root) AS family, min(v.author) AS author,
           min(v.architecture) AS architecture
      FROM paired d
      JOIN parents n USING (child_id)
      JOIN store.models m ON m.model_id = d.child_id
      JOIN registry.models v ON v.name = m.name
     GROUP BY v.name, d.relation, d.benchmark, d.version, d.bounded, d.unit
     ORDER BY d.benchmark, d.version, v.name""")

FACTORS = (Grouping.FAMILY, Grouping.AUTHOR, Grouping.ARCHITECTURE)
"""Groupings of children that random effects are of."""


def read_differences(engine: Engine, options: FrameOptions) -> ScoreFrame:
    """Return the frame of models less their parents; groups are relations.

    Of several parents, as merges have, it is less the mean of those with a score beside its own.
    The condition is on the children. What is left out is noted.

    Args:
        engine: of a database at head.
        options: which children, benchmarks and factors; any of `FACTORS`.

    Raises:
        UsageError: for a condition that is none, an unknown benchmark, a factor that is none of
            these, or where no model has a score beside its parent's.
    """
    for grouping in options.factors:
        if grouping not in FACTORS:
            said = ", ".join(map(str, FACTORS))
            raise UsageError(f"Random effects of models less their parents are of {said}.")
    chosen = None
    if options.condition is not None:
        chosen = set(evaluated_models(engine, options.condition))
    with reading(engine, snapshot=True) as connection:
        pairs = _pairs(connection, options)
    of_slice = [row for row in pairs if chosen is None or row.name in chosen]
    kept = [row for row in of_slice if row.difference is not None and np.isfinite(row.difference)]
    if not kept:
        raise UsageError(
            "No model has a score beside its parent's, on the same benchmark and in the same setup:"
            " sync the Hub for parents, or import scores of them."
        )
    notes = []
    if wrong := sum(row.scored for row in of_slice) - sum(row.scored for row in kept):
        notes.append(f"{wrong:,} difference{_s(wrong)} left out, of scores that are not finite.")
    frame = _frame(kept, options, notes)
    if options.complete:
        rows: NDArray[np.bool_] = np.asarray(np.isfinite(frame.values).all(axis=1))
        if not rows.any():
            raise UsageError("No model has a score on each of the benchmarks; name fewer of them.")
        frame = replace(
            frame, models=[name for name, row in zip(frame.models, rows, strict=True) if row],
            values=frame.values[rows], sizes=frame.sizes[rows], codes=frame.codes[rows],
            factors={of: names[rows] for of, names in frame.factors.items()},
        )  # fmt: skip
        if left := int((~rows).sum()):
            notes.append(f"{left:,} model{_s(left)} left out, without a score on each benchmark.")
    return frame


def _pairs(connection: Connection, options: FrameOptions) -> list[Row[Any]]:
    found = canonical_benchmarks(connection, options.benchmarks or ())
    given: Mapping[str, Any] = {
        "named": bool(options.benchmarks),
        "names": [name for name, _ in found],
        "versions": [version for _, version in found],
        "source": None if options.source is None else source_key(connection, options.source),
    }
    return list(connection.execute(_PAIRS, given))


def _frame(pairs: list[Row[Any]], options: FrameOptions, notes: list[str]) -> ScoreFrame:
    names = sorted({row.name for row in pairs})
    units: dict[tuple[str, str], dict[str, int]] = {}
    for row in pairs:
        counts = units.setdefault((row.benchmark, row.version), {})
        counts[row.unit] = counts.get(row.unit, 0) + 1
    benchmarks = [
        FrameBenchmark(name, version, max(sorted(counts), key=lambda unit: counts[unit]))
        for (name, version), counts in sorted(units.items())
    ]
    groups = [str(each) for each in Relation if str(each) in {row.relation for row in pairs}]
    rows = {name: place for place, name in enumerate(names)}
    columns = {each: place for place, each in enumerate(benchmarks)}
    values = np.full((len(names), len(benchmarks)), np.nan)
    codes = np.full(values.shape, -1, np.intp)
    factors: dict[Grouping, NDArray[np.object_]] = {
        grouping: np.full(values.shape, None, dtype=object) for grouping in options.factors
    }
    for each in benchmarks:
        counts = units[each.name, each.version]
        if others := sum(counts.values()) - counts[each.unit]:
            notes.append(f"{each.title}: {others:,} difference{_s(others)} left out, not in"
                         f" {each.unit}.")  # fmt: skip
    partly = {row.name for row in pairs if row.partly}
    if partly:
        notes.append(
            f"{len(partly):,} model{_s(len(partly))} of several parents: less those alone that have"
            " a score beside the model's."
        )
    for row in pairs:
        column = columns.get(FrameBenchmark(row.benchmark, row.version, row.unit))
        if column is None:
            continue
        at = rows[row.name], column
        values[at] = float(row.difference)
        codes[at] = groups.index(row.relation)
        for grouping, labels in factors.items():
            labels[at] = getattr(row, str(grouping))
    return ScoreFrame(
        models=names, benchmarks=benchmarks, values=values, sizes=np.full(len(names), np.nan),
        groups=groups, codes=codes, factors=factors, notes=notes,
    )  # fmt: skip


def _s(number: int) -> str:
    return "" if number == 1 else "s"
