"""Item statistics that are out of date: those of benchmarks whose outcomes changed."""

from collections.abc import Iterable

from sqlalchemy import Connection, text


def mark_stale(connection: Connection, benchmarks: Iterable[int]) -> None:
    """Delete the item statistics of benchmarks, to be computed again at the end of the job.

    Call it wherever outcomes are written, removed or moved to other models.

    Args:
        connection: in a transaction.
        benchmarks: keys of benchmarks' versions.
    """
    connection.execute(
        text("DELETE FROM store.item_statistics WHERE benchmark_id = ANY (:benchmarks)"),
        {"benchmarks": list(benchmarks)},
    )
