"""Scores that the Hub shows with models: set aside by the sync, then taken up as runs.

Reading them takes longer than all the rest of a record, so they do not hold up the pages: a page
notes which of its models have some, in its own transaction, and they are taken up afterwards.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, text

from registry.catalog.rows import COLUMNS, Entry, evaluation_lines
from registry.db.copy import copy_lines
from registry.evaluations.formats.hub.records import read_eval_results, read_model_index
from registry.evaluations.load import Written, write_blocks
from registry.evaluations.records import Benchmark, Block, Notes, Run, run_id

MODELS_AT_ONCE = 1_000


def set_aside(
    connection: Connection, fresh: Mapping[int, Entry], known: Mapping[int, Entry]
) -> None:
    """Note which models of a page have scores, or had some when they were last seen.

    Args:
        connection: in the page's transaction.
        fresh: new models by key.
        known: those whose records changed.
    """
    if known:
        connection.execute(
            text("""
            DELETE FROM store.pending_evaluations WHERE model_id = ANY (:known)"""),
            {"known": list(known)},
        )
        # What they do not have any more is to be taken back.
        connection.execute(
            text("""
            INSERT INTO store.pending_evaluations (model_id)
            SELECT DISTINCT r.model_id FROM store.runs r
             WHERE r.model_id = ANY (:silent) AND r.import_id IS NULL"""),
            {"silent": [key for key, entry in known.items() if entry.evaluations is None]},
        )
    for table, lines in evaluation_lines([*fresh.items(), *known.items()]).items():
        copy_lines(connection, table, COLUMNS[table], lines)


def take_up(connection: Connection, *, as_of: datetime) -> Written | None:
    """Turn what some of the models set aside show into runs; what they showed before goes.

    Args:
        connection: in a transaction.
        as_of: when their records were seen.

    Returns:
        What that changed; None where no model is left.
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
    notes = Notes()
    blocks: list[Block] = []
    for model in models:
        blocks += read_eval_results(model.name, model.eval_results, notes)
        blocks += read_model_index(model.name, model.model_index, notes)
    written = write_blocks(connection, _by_benchmark(blocks), as_of=as_of)
    connection.execute(
        text("""
        DELETE FROM store.runs r
         WHERE r.model_id = ANY (:models) AND r.import_id IS NULL
           AND NOT EXISTS (SELECT FROM incoming_runs i WHERE i.run_id = r.run_id)"""),
        {"models": [model.model_id for model in models]},
    )
    return written


def _by_benchmark(blocks: list[Block]) -> list[Block]:
    """Put the runs of each benchmark together, since each is looked for once.

    A card may tell a result twice, and differently: the first counts.
    """
    told: set[int] = set()
    together: dict[tuple[str, str], tuple[Benchmark, list[Run]]] = {}
    for block in blocks:
        key = (block.benchmark.name, block.benchmark.version)
        _, runs = together.setdefault(key, (block.benchmark, []))
        for run in block.runs:
            identity = run_id(block.benchmark, run, run.setup.fingerprint())
            if identity not in told:
                told.add(identity)
                runs.append(run)
    return [Block(benchmark=benchmark, runs=runs) for benchmark, runs in together.values()]
