"""Runs that an earlier version read from the cards of models, and that this one does not."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, text


def earlier_card_readings(
    connection: Connection, models: Sequence[int], present: Sequence[Row[Any]]
) -> list[tuple[int, int, str]]:
    """Return the runs of cards that are not read from them any more.

    Args:
        connection: in a transaction.
        models: keys of the models. Their scores in files `.eval_results`, which name no metric, are
            not of the cards.
        present: what is read from the cards now, as `staging.staged` returns it.

    Returns:
        Keys of the model and the run, and what the score is now of.
    """
    former = connection.execute(
        text("""
        SELECT r.model_id, r.run_id, r.source_id, r.score, r.setup_id, r.benchmark_id, m.metric,
               o.name
          FROM store.runs r
          JOIN store.measures m USING (measure_id)
          JOIN store.setups t USING (setup_id)
          JOIN store.models o USING (model_id)
         WHERE r.model_id = ANY (:models) AND r.import_id IS NULL
           AND NOT (m.metric = 'score' AND m.lower IS NULL AND m.upper IS NULL
                    AND t.details - '{notes,split}'::text[] = '{}' AND t.shots IS NULL)
         ORDER BY r.model_id, r.run_id"""),
        {"models": list(models)},
    ).all()
    kept = {row.run_id for row in present}
    by_score: dict[tuple[object, ...], list[Row[Any]]] = {}
    for row in present:
        by_score.setdefault((row.name, row.source_id, row.score), []).append(row)
    return [
        (row.model_id, row.run_id, _reason(row, by_score.get((row.name, *row[2:4]), [])))
        for row in former
        if row.run_id not in kept
    ]


def _reason(former: Row[Any], same: list[Row[Any]]) -> str:
    """Say what a score is read as now: of several results with it, of the most similar one."""
    if not same:
        return "not read from its card any more"
    now = min(
        same,
        key=lambda each: (
            each.benchmark_id != former.benchmark_id,
            each.metric != former.metric,
            each.setup_id != former.setup_id,
        ),
    )
    return f"read as {now.benchmark} by {now.metric}"
