"""Scores that leaderboards show before and after an upgrade: those that differ are listed."""

from datetime import datetime

from sqlalchemy import Connection, text

_COLUMNS = ("model", "benchmark", "version", "score", "raw_score", "run", "metric", "filter")


def note(connection: Connection) -> bool:
    """Note what leaderboards show, by the views of the version before.

    Returns:
        Whether there are any that can be compared.
    """
    known = connection.scalars(
        text("""
        SELECT column_name FROM information_schema.columns
         WHERE (table_schema, table_name) = ('registry', 'leaderboard')""")
    ).all()
    if not set(_COLUMNS) <= set(known):
        return False
    connection.exec_driver_sql("""
        CREATE TEMPORARY TABLE shown_before ON COMMIT DROP AS
        SELECT m.model_id, b.benchmark_id, l.run AS run_id, l.metric, l.filter,
               coalesce(l.score, l.raw_score) AS score
          FROM registry.leaderboard l
          JOIN store.models m ON m.name = l.model
          JOIN store.benchmarks b ON (b.name, b.version) = (l.benchmark, l.version)""")
    connection.exec_driver_sql("ANALYZE shown_before")
    # The upgrade goes on as the owner of the tables.
    connection.exec_driver_sql("GRANT SELECT ON shown_before TO PUBLIC")
    return True


def list_changes(connection: Connection, now: datetime) -> int:
    """List the scores that leaderboards no longer show, or that they show another one instead of.

    Args:
        connection: in the transaction of `note`, after everything else.
        now: when. Runs that are listed already are not listed again.

    Returns:
        How many there are.
    """
    return connection.execute(
        text("""
        INSERT INTO store.score_changes (
               model_id, run_id, changed_at, old_score, new_score, reason, name, benchmark_id,
               measure_id, import_id)
        SELECT o.model_id, o.run_id, :now, o.score, n.score,
               CASE WHEN r.model_id <> o.model_id THEN format('It is a score of %s.', now_of.name)
                    WHEN (o.metric, o.filter) <> (shown.metric, shown.filter)
                    THEN format('Leaderboards show %s, not %s.',
                                concat_ws(', ', shown.metric, nullif(shown.filter, '')),
                                concat_ws(', ', o.metric, nullif(o.filter, '')))
                    WHEN n.run_id IS NULL THEN 'Leaderboards do not show it any more.'
                    WHEN n.run_id = o.run_id THEN 'It is read otherwise.'
                    WHEN NOT r.complete THEN format(
                         'It is of %s items, not of all; leaderboards show a score of more.',
                         r.item_count)
                    ELSE 'Leaderboards show another run of the model.' END,
               m.name, o.benchmark_id, r.measure_id, r.import_id
          FROM shown_before o
          JOIN store.models m ON m.model_id = o.model_id
          JOIN store.runs r ON r.run_id = o.run_id
          JOIN store.models now_of ON now_of.model_id = r.model_id
          JOIN store.benchmarks b ON b.benchmark_id = o.benchmark_id
          LEFT JOIN store.measures shown ON shown.measure_id = b.measure_id
          LEFT JOIN (
               SELECT s.model_id, s.benchmark_id, s.run_id,
                      coalesce(store.share(w.score, k.lower, k.upper, k.higher_is_better), w.score)
                          AS score
                 FROM store.shown_runs s
                 JOIN store.runs w ON w.run_id = s.run_id
                 JOIN store.measures k ON k.measure_id = w.measure_id) n
            ON (n.model_id, n.benchmark_id) = (o.model_id, o.benchmark_id)
         WHERE o.score IS DISTINCT FROM n.score
           AND (abs(o.score - n.score) > 1e-9) IS NOT FALSE
            ON CONFLICT DO NOTHING"""),
        {"now": now},
    ).rowcount
