"""Files that state the same run: which of them it belongs to."""

from collections.abc import Sequence

from sqlalchemy import Connection, text


def hand_over(connection: Connection, imports: Sequence[int], *, with_scores: bool = False) -> None:
    """Assign the runs of imports to other files that state them.

    Args:
        connection: in a transaction.
        imports: keys of imports.
        with_scores: also runs with outcomes that the other file states the score of alone.
    """
    hand_over_where(
        connection,
        """r.import_id = ANY (:imports) AND s.import_id <> ALL (:imports)
           AND (:with_scores OR s.with_outcomes OR r.outcome_count IS NULL)""",
        imports=list(imports),
        with_scores=with_scores,
    )


def hand_over_where(connection: Connection, condition: str, **values: object) -> None:
    """Assign runs to other files that state them, by a condition.

    Args:
        connection: in a transaction.
        condition: in SQL, on `r`, a row of store.runs, and `s`, one of store.restated_runs.
        values: of the condition's parameters.
    """
    connection.execute(
        text(f"""
        WITH others AS (
            SELECT DISTINCT ON (r.model_id, r.run_id) r.model_id, r.run_id, s.import_id
              FROM store.runs r JOIN store.restated_runs s USING (run_id)
             WHERE {condition}
             ORDER BY r.model_id, r.run_id, s.with_outcomes DESC, s.import_id DESC
        ), given AS (
            UPDATE store.runs r SET import_id = o.import_id
              FROM others o WHERE (r.model_id, r.run_id) = (o.model_id, o.run_id)
        )
        DELETE FROM store.restated_runs s USING others o
         WHERE (s.run_id, s.import_id) = (o.run_id, o.import_id)"""),  # noqa: S608 - fixed text
        values,
    )
