"""Scores in the cards of models, read again after an upgrade.

A sync reads records that changed, so that nothing else would read the others by this version.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from registry.evaluations import hub_scores, staging
from registry.evaluations.identity.readings import earlier_card_readings
from registry.evaluations.removal import remove_readings
from registry.evaluations.scales import rescored


def read_again(connection: Connection, now: datetime) -> int:
    """Read the scores in stored cards, in place of those that an earlier version read.

    Scores in files `.eval_results`, which are not in the cards, stay. Each score that is read
    otherwise is listed.

    Args:
        connection: in a transaction, at head.
        now: when.

    Returns:
        How many runs were added, changed and removed.
    """
    models = connection.scalars(
        text("""
        SELECT r.model_id FROM store.runs r JOIN store.documents d USING (model_id)
         WHERE r.import_id IS NULL AND d.card -> 'model-index' IS NOT NULL
           -- Those that wait for the next sync are read by it.
           AND NOT EXISTS (SELECT FROM store.pending_evaluations p
                            WHERE p.model_id = r.model_id)
         GROUP BY r.model_id ORDER BY r.model_id""")
    ).all()
    changes = 0
    for start in range(0, len(models), hub_scores.MODELS_AT_ONCE):
        changes += _read(connection, models[start : start + hub_scores.MODELS_AT_ONCE], now)
    return changes


def _read(connection: Connection, models: Sequence[int], now: datetime) -> int:
    rescored.note_scores(connection, models=models)
    cards = connection.execute(
        text("""
        SELECT d.model_id, m.name, NULL AS eval_results, d.card -> 'model-index' AS model_index
          FROM store.documents d JOIN store.models m USING (model_id)
         WHERE d.model_id = ANY (:models) ORDER BY m.name COLLATE "C" """),
        {"models": list(models)},
    ).all()
    written = hub_scores.store_scores(connection, cards, as_of=now)
    rescored.list_changes(connection, now)
    former = earlier_card_readings(connection, models, staging.staged(connection))
    removed = remove_readings(connection, former, now)
    return written.added + written.changed + removed
