"""Scores that the Hub shows with models, deferred by the sync and then stored as runs.

Reading them takes longer than the rest of a record, so that they do not hold up the pages: a page
notes in its transaction which of its models have scores, and these are stored after the pages.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from registry.catalog.rows import COLUMNS, Entry, evaluation_lines
from registry.db.copy import copy_lines
from registry.evaluations import staging
from registry.evaluations.formats.hub.records import read_eval_results, read_model_index
from registry.evaluations.load import LoadCounts, write_blocks
from registry.evaluations.records import Benchmark, Block, Notes, Run, run_id
from registry.evaluations.scales.measured import measured

MODELS_AT_ONCE = 1_000


def defer_scores(
    connection: Connection, new: Mapping[int, Entry], changed: Mapping[int, Entry]
) -> None:
    """Note which models of a page have scores, or had some when they were last seen.

    Args:
        connection: in the page's transaction.
        new: new models by key.
        changed: models whose records changed.
    """
    if changed:
        connection.execute(
            text("DELETE FROM store.pending_evaluations WHERE model_id = ANY (:models)"),
            {"models": list(changed)},
        )
        # Scores that are no longer in a record are to be removed.
        connection.execute(
            text("""
            INSERT INTO store.pending_evaluations (model_id)
            SELECT DISTINCT r.model_id FROM store.runs r
             WHERE r.model_id = ANY (:models) AND r.import_id IS NULL"""),
            {"models": [key for key, entry in changed.items() if entry.evaluations is None]},
        )
    for table, lines in evaluation_lines([*new.items(), *changed.items()]).items():
        copy_lines(connection, table, COLUMNS[table], lines)


def store_deferred(connection: Connection, *, as_of: datetime) -> LoadCounts | None:
    """Store the scores of some of the deferred models as runs, in place of those from before.

    Args:
        connection: in a transaction.
        as_of: when their records were seen.

    Returns:
        The counts; None where no model is left.
    """
    models = connection.execute(
        text("""
        WITH taken AS (
            DELETE FROM store.pending_evaluations
             WHERE model_id IN (SELECT model_id FROM store.pending_evaluations
                                 ORDER BY model_id LIMIT :limit)
            RETURNING model_id, eval_results
        )
        SELECT t.model_id, m.name, t.eval_results, d.card -> 'model-index' AS model_index
          FROM taken t
          JOIN store.models m USING (model_id)
          LEFT JOIN store.documents d USING (model_id)
         ORDER BY m.name COLLATE "C" """),
        {"limit": MODELS_AT_ONCE},
    ).all()
    if not models:
        return None
    counts = store_scores(connection, models, as_of=as_of)
    staging.delete_unstaged(connection, [model.model_id for model in models])
    return counts


def store_scores(
    connection: Connection, models: Sequence[Row[Any]], *, as_of: datetime
) -> LoadCounts:
    """Store scores of models as runs, which are still staged then.

    Args:
        connection: in a transaction.
        models: with their names, `.eval_results` and `model-index`, in the order of their names.
        as_of: when their records were seen.
    """
    notes = Notes()
    blocks: list[Block] = []
    for model in models:
        blocks += read_eval_results(model.name, model.eval_results, notes)
        blocks += read_model_index(model.name, model.model_index, notes)
    return write_blocks(connection, measured(_by_benchmark(blocks), notes), as_of=as_of)


def _by_benchmark(blocks: list[Block]) -> list[Block]:
    """Join the blocks of each benchmark, which is looked up once a block.

    A card may state a result twice, and differently: the first counts.
    """
    seen: set[int] = set()
    joined: dict[tuple[str, str], tuple[Benchmark, list[Run]]] = {}
    for block in blocks:
        key = (block.benchmark.name, block.benchmark.version)
        _, runs = joined.setdefault(key, (block.benchmark, []))
        for run in block.runs:
            identity = run_id(block.benchmark, run, run.setup.fingerprint())
            if identity not in seen:
                seen.add(identity)
                runs.append(run)
    return [Block(benchmark=benchmark, runs=runs) for benchmark, runs in joined.values()]
