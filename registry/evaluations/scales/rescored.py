"""Scores of a file that is imported again, as they were read before and as they are now."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

_FORMER = """
CREATE TEMPORARY TABLE IF NOT EXISTS former_scores (
    model_id bigint, run_id bigint, measure_id integer, score double precision, item_count integer
) ON COMMIT DELETE ROWS
"""


def note_scores(
    connection: Connection, import_id: int | None = None, *, models: Sequence[int] = ()
) -> None:
    """Note the stored scores of a file's runs, before those that it states now are merged.

    Args:
        connection: in the file's transaction.
        import_id: of the file; None for scores that the Hub shows with `models`.
        models: keys of models.
    """
    connection.exec_driver_sql(_FORMER)
    connection.exec_driver_sql("DELETE FROM former_scores")
    connection.execute(
        text("""
        INSERT INTO former_scores (model_id, run_id, measure_id, score, item_count)
        SELECT r.model_id, r.run_id, r.measure_id, r.score, r.item_count
          FROM store.runs r
         WHERE r.import_id = :import
            OR (r.import_id IS NULL AND r.model_id = ANY (CAST(:models AS bigint[])))"""),
        {"import": import_id, "models": list(models)},
    )


def list_changes(connection: Connection, as_of: datetime) -> int:
    """List the scores that an unchanged file states, and that are read otherwise than before.

    Returns:
        How many there are.
    """
    return connection.execute(
        text("""
        INSERT INTO store.score_changes (
               model_id, run_id, changed_at, old_score, new_score, name, benchmark_id, measure_id,
               import_id, reason)
        SELECT model_id, run_id, :now, v.old_score, v.new_score, m.name, r.benchmark_id,
               r.measure_id, r.import_id,
               CASE WHEN f.measure_id <> r.measure_id
                    THEN format('%s is read %s, not %s.', new.metric,
                                store.scale_text(new.lower, new.upper, new.higher_is_better),
                                store.scale_text(old.lower, old.upper, old.higher_is_better))
                    WHEN f.item_count <> r.item_count
                    THEN format('The score is of %s items, not of %s.', r.item_count, f.item_count)
                    ELSE format('The file says %s, which was read as %s.', r.score, f.score) END
          FROM former_scores f
          JOIN store.runs r USING (model_id, run_id)
          JOIN store.models m USING (model_id)
          JOIN store.measures old ON old.measure_id = f.measure_id
          JOIN store.measures new ON new.measure_id = r.measure_id
         CROSS JOIN LATERAL (
               SELECT CASE WHEN old.upper > old.lower
                           THEN store.share(f.score, old.lower, old.upper, old.higher_is_better)
                           ELSE f.score END AS old_score,
                      CASE WHEN new.upper > new.lower
                           THEN store.share(r.score, new.lower, new.upper, new.higher_is_better)
                           ELSE r.score END AS new_score) v
         WHERE v.old_score IS DISTINCT FROM v.new_score
           AND (abs(v.old_score - v.new_score) > 1e-9) IS NOT FALSE
            ON CONFLICT DO NOTHING"""),
        {"now": as_of},
    ).rowcount
