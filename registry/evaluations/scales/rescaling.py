"""Stored scores whose scale this version reads otherwise, brought up to date and listed."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from registry.evaluations import benchmarks
from registry.evaluations.records import Measure
from registry.evaluations.scales import LM_EVAL, known_measure
from registry.evaluations.scales.metrics import UNKNOWN, scale_of

# Measures by the format that their runs were imported from; null is the Hub, by a sync.
_STORED = """
SELECT k.*, b.name AS task, i.format, bool_or(t.harness_version IS NOT NULL) AS has_version
  FROM store.measures k
  JOIN store.benchmarks b ON b.benchmark_id = k.benchmark_id
  JOIN store.runs r ON r.measure_id = k.measure_id
  JOIN store.setups t ON t.setup_id = r.setup_id
  LEFT JOIN store.imports i ON i.import_id = r.import_id
 GROUP BY k.measure_id, b.name, i.format
 ORDER BY k.measure_id, i.format
"""

# A score that follows from outcomes is on the measure's scale; one that is stated stays.
_MOVE = """
WITH moved AS (
    SELECT r.model_id, r.run_id, r.score AS old_raw,
           coalesce(store.share(r.score, old.lower, old.upper, old.higher_is_better), r.score)
               AS old_score,
           CASE WHEN r.right_bits IS NULL THEN r.score
                ELSE new.lower + (new.upper - new.lower) * CASE
                     WHEN old.upper > old.lower THEN (r.score - old.lower) / (old.upper - old.lower)
                     ELSE r.score END
           END AS raw
      FROM store.runs r
      JOIN store.measures old ON old.measure_id = r.measure_id
      JOIN store.measures new ON new.measure_id = :new
      LEFT JOIN store.imports i ON i.import_id = r.import_id
     WHERE r.measure_id = :old AND i.format IS NOT DISTINCT FROM CAST(:format AS text)
), written AS (
    UPDATE store.runs r SET measure_id = :new, score = coalesce(m.raw, r.score)
      FROM moved m WHERE (r.model_id, r.run_id) = (m.model_id, m.run_id)
    RETURNING r.model_id, r.run_id, r.score, r.benchmark_id, r.import_id
)
INSERT INTO store.score_changes (
       model_id, run_id, changed_at, old_score, new_score, name, benchmark_id, measure_id,
       import_id, reason)
SELECT w.model_id, w.run_id, :now, m.old_score, n.new_score, o.name, w.benchmark_id, :new,
       w.import_id,
       format('%s is read %s, not %s.', new.metric,
              store.scale_text(new.lower, new.upper, new.higher_is_better),
              store.scale_text(old.lower, old.upper, old.higher_is_better))
  FROM written w
  JOIN moved m USING (model_id, run_id)
  JOIN store.models o USING (model_id)
  JOIN store.measures new ON new.measure_id = :new
  JOIN store.measures old ON old.measure_id = :old
 CROSS JOIN LATERAL (
       SELECT CASE WHEN new.upper > new.lower
                   THEN store.share(w.score, new.lower, new.upper, new.higher_is_better)
                   ELSE w.score END AS new_score) n
 WHERE m.old_score IS DISTINCT FROM n.new_score
    ON CONFLICT DO NOTHING
"""

# What was outside its bounds counted as the best or the worst.
_UNMEASURED = """
INSERT INTO store.score_changes (
       model_id, run_id, changed_at, old_score, name, benchmark_id, measure_id, import_id, reason)
SELECT r.model_id, r.run_id, :now,
       CASE WHEN (r.score > k.upper) = k.higher_is_better THEN 1 ELSE 0 END,
       o.name, r.benchmark_id, r.measure_id, r.import_id,
       format('%s by %s is not %s: nothing was measured.', r.score, k.metric,
              store.scale_text(k.lower, k.upper, k.higher_is_better))
  FROM store.runs r
  JOIN store.models o USING (model_id)
  JOIN store.measures k ON k.measure_id = r.measure_id
 WHERE k.upper > k.lower AND k.higher_is_better IS NOT NULL
   AND store.share(r.score, k.lower, k.upper, k.higher_is_better) IS NULL AND r.score IS NOT NULL
   AND NOT EXISTS (SELECT FROM store.score_changes c
                    WHERE (c.model_id, c.run_id) = (r.model_id, r.run_id)
                      AND c.new_score IS NULL)
    ON CONFLICT DO NOTHING
"""


def rescale_stored(connection: Connection, now: datetime) -> int:
    """Bring stored scores to the scales of this version; return how many changed.

    What a file states stays; the scales that earlier versions took from the names of metrics do
    not. Each score that changes is listed in view `score_changes`.

    Args:
        connection: in a transaction.
        now: when.
    """
    changed = 0
    touched: set[int] = set()
    for row in connection.execute(text(_STORED)).all():
        stored = _measure(row)
        measure = _read_anew(stored, row)
        if measure == stored:
            continue
        key = benchmarks.measure_id(connection, row.benchmark_id, measure)
        if key == row.measure_id:
            continue
        values = {"old": row.measure_id, "new": key, "format": row.format, "now": now}
        changed += connection.execute(text(_MOVE), values).rowcount
        touched.add(row.benchmark_id)
    benchmarks.choose_measures(connection, sorted(touched))
    return changed + connection.execute(text(_UNMEASURED), {"now": now}).rowcount


def _measure(row: Row[Any]) -> Measure:
    return Measure(
        metric=row.metric,
        filter=row.filter,
        lower=row.lower,
        upper=row.upper,
        higher_is_better=row.higher_is_better,
        random_baseline=row.random_baseline,
        unit=row.unit,
    )


def _read_anew(stored: Measure, row: Row[Any]) -> Measure:
    """Return the measure as this version reads it, where an earlier one took it from its name."""
    harness = LM_EVAL if row.format == LM_EVAL else None
    if row.format not in (LM_EVAL, None) or (stored.metric == "score" and harness is None):
        return stored
    if stored.unit is not None or (stored.lower, stored.upper) not in ((0.0, 1.0), (None, None)):
        return stored
    known = known_measure(stored.metric, stored.filter, task=row.task, harness=harness)
    if known.lower is None and known.upper is None and known.higher_is_better is None:
        return stored
    if harness is None and known.upper != 2.0:  # noqa: PLR2004 - Brier's; cards have percentages too
        return stored
    # Where the table says that lower is better, a harness that states it says so too.
    higher = False if known.higher_is_better is False else stored.higher_is_better
    return replace(known, higher_is_better=higher, random_baseline=stored.random_baseline)


def forget_directions(connection: Connection) -> None:
    """Forget that higher is better where earlier versions took it so for want of a statement."""
    stated: dict[int, bool] = {}
    for row in connection.execute(text(_STORED)).all():
        is_stated = (
            not (row.lower is None and row.upper is None and row.higher_is_better)
            or scale_of(row.metric) != UNKNOWN
            or row.format not in (LM_EVAL, "table", None)
            or (row.format == LM_EVAL and row.has_version)
            or (row.format is None and row.metric == "score")
        )
        stated[row.measure_id] = stated.get(row.measure_id, False) or is_stated
    connection.execute(
        text("""
        UPDATE store.measures SET higher_is_better = NULL WHERE measure_id = ANY (:unknown)"""),
        {"unknown": [key for key, is_stated in stated.items() if not is_stated]},
    )
