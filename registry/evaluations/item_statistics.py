"""Item statistics: for each item the number of models observed, and their mean outcome.

Stored as arrays, one row a benchmark, since unpacking all outcomes of a benchmark takes seconds in
SQL. Changes of outcomes mark them stale, by `catalog.item_statistics`; the job refreshes them at
its end.
"""

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.evaluations.outcomes import MODELS_AT_ONCE, of_benchmark, stream_outcomes

CELLS_AT_ONCE = 1 << 22
"""Most outcomes unpacked at a time, unless one model has more: a bound on memory."""


def refresh(connection: Connection) -> int:
    """Compute the statistics of all benchmarks that have outcomes and no statistics.

    Args:
        connection: in a transaction.

    Returns:
        The number of those benchmarks.
    """
    stale = connection.execute(
        text("""
        SELECT b.benchmark_id, b.item_count FROM store.benchmarks b
         WHERE NOT EXISTS (SELECT FROM store.item_statistics s
                            WHERE s.benchmark_id = b.benchmark_id)
           AND EXISTS (SELECT FROM store.runs r
                        WHERE r.benchmark_id = b.benchmark_id AND r.right_bits IS NOT NULL)
         ORDER BY b.benchmark_id""")
    ).all()
    for row in stale:
        selection, width = of_benchmark(row.benchmark_id, row.item_count), row.item_count
        models, sums = np.zeros(width, np.int64), np.zeros(width, np.float64)
        at_once = max(1, min(MODELS_AT_ONCE, CELLS_AT_ONCE // max(width, 1)))
        for batch in stream_outcomes(connection, selection, models_at_once=at_once):
            models += np.count_nonzero(batch.mask, axis=0)
            sums += np.nansum(batch.values, axis=0, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            means = sums / models
        connection.execute(
            text("""
            INSERT INTO store.item_statistics (benchmark_id, models, means)
            VALUES (:benchmark, CAST(:models AS integer[]), CAST(:means AS real[]))"""),
            {
                "benchmark": row.benchmark_id,
                "models": _array(models.astype(np.int32)),
                "means": _array(means.astype(np.float32)).replace("null", "NaN"),
            },
        )
    return len(stale)


def _array(numbers: NDArray[np.int32] | NDArray[np.float32]) -> str:
    # As text: the driver takes longer to adapt a list than the database for the rest.
    return "{" + orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY).decode()[1:-1] + "}"
