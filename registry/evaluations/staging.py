"""Staging tables of an import: its runs, compared with other files and merged into the store.

No other module names these tables. A score stated alone and the outcomes that it follows from are
one result in two files; so are two equal results, one of them with more details. Outcomes on fewer
items than those of the score are a part of its result: the score stays as stated. Anything else is
a conflict. Between files of one command it is an error, since neither file is the newer one; a
later command's file replaces the earlier result.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from registry.db.copy import copy_rows
from registry.errors import RegistryError
from registry.evaluations.identity.results import (
    DIFFERS,
    KEEPS_OUTCOMES,
    KEEPS_SCORE,
    contradiction,
)
from registry.evaluations.identity.statements import hand_over, hand_over_where

COLUMNS = (
    "place", "benchmark_id", "name", "run_id", "measure_id", "setup_id", "source_id", "score",
    "evaluated_at", "item_count", "standard_error", "complete", "verified", "outcome_count",
    "right_bits", "present_bits", "grades", "revision", "codes", "texts", "input_tokens",
    "output_tokens", "latencies",
)  # fmt: skip
"""Columns of a staged run, as `copy` takes them."""

_INCOMING = """
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_runs (
    place integer, benchmark_id integer, name text, run_id bigint, measure_id integer,
    setup_id integer, source_id integer, score double precision, evaluated_at timestamptz,
    item_count integer, standard_error real, complete boolean, verified boolean,
    outcome_count integer, right_bits varbit, present_bits varbit, grades real[], revision text,
    codes bytea, texts text[], input_tokens integer[], output_tokens integer[], latencies real[]
) ON COMMIT DELETE ROWS
"""

# The best known result of each run in the files of a command.
_COMMAND = """
CREATE TEMPORARY TABLE IF NOT EXISTS command_runs (
    run_id bigint PRIMARY KEY, import_id integer, measure_id integer, score double precision,
    item_count integer, standard_error real, complete boolean, verified boolean,
    outcome_count integer, with_answers boolean)
"""

_MERGED = ("measure_id", "score", "item_count", "standard_error", "complete", "verified",
           "outcome_count", "right_bits", "present_bits", "grades")  # fmt: skip
_NEW, _OLD = (", ".join(f"{row}.{name}" for name in _MERGED) for row in ("excluded", "r"))

# The same score without its standard error or number of items leaves those.
_MERGE = f"""
WITH incoming AS (
    SELECT n.model_id, n.name_id, i.run_id, i.evaluated_at, i.benchmark_id, i.setup_id, i.source_id,
           i.revision, k.keeps_score, o.keeps_outcomes,
           CASE WHEN k.keeps_score THEN t.score ELSE i.score END AS score,
           CASE WHEN k.keeps_score THEN t.measure_id ELSE i.measure_id END AS measure_id,
           CASE WHEN k.keeps_score THEN t.complete ELSE i.complete END AS complete,
           CASE WHEN k.keeps_score THEN t.verified ELSE i.verified END AS verified,
           CASE WHEN k.keeps_score THEN t.item_count
                ELSE coalesce(i.item_count, CASE WHEN t.score = i.score THEN t.item_count END)
           END AS item_count,
           CASE WHEN k.keeps_score THEN t.standard_error
                ELSE coalesce(i.standard_error,
                              CASE WHEN t.score = i.score THEN t.standard_error END)
           END AS standard_error,
           CASE WHEN o.keeps_outcomes THEN t.outcome_count ELSE i.outcome_count
           END AS outcome_count,
           CASE WHEN o.keeps_outcomes THEN t.right_bits ELSE i.right_bits END AS right_bits,
           CASE WHEN o.keeps_outcomes THEN t.present_bits ELSE i.present_bits END AS present_bits,
           CASE WHEN o.keeps_outcomes THEN t.grades ELSE i.grades END AS grades
      FROM incoming_runs i
      JOIN store.evaluated_names n USING (name)
      JOIN store.measures mi ON mi.measure_id = i.measure_id
      LEFT JOIN store.runs t ON (t.model_id, t.run_id) = (n.model_id, i.run_id)
      LEFT JOIN store.measures mt ON mt.measure_id = t.measure_id
      CROSS JOIN LATERAL (SELECT {KEEPS_SCORE} AS keeps_score) k
      CROSS JOIN LATERAL (SELECT {KEEPS_OUTCOMES} AS keeps_outcomes) o
), written AS (
    INSERT INTO store.runs AS r (
           model_id, run_id, score, evaluated_at, benchmark_id, measure_id, setup_id, source_id,
           name_id, import_id, item_count, standard_error, complete, verified, outcome_count,
           right_bits, present_bits, grades, revision)
    SELECT model_id, run_id, score, evaluated_at, benchmark_id, measure_id, setup_id, source_id,
           name_id, :import, item_count, standard_error, complete, verified, outcome_count,
           right_bits, present_bits, grades, revision
      FROM incoming ORDER BY model_id, run_id
        ON CONFLICT (model_id, run_id) DO UPDATE
       SET import_id = excluded.import_id,
           {", ".join(f"{name} = excluded.{name}" for name in _MERGED)}
     WHERE ({_OLD}) IS DISTINCT FROM ({_NEW})
    RETURNING r.model_id, r.run_id, (xmax = 0) AS added
), outdated AS (
    -- Answers that belong to other outcomes.
    DELETE FROM store.answers a USING written w, incoming i
     WHERE NOT w.added AND (a.model_id, a.run_id) = (w.model_id, w.run_id)
       AND (i.model_id, i.run_id) = (w.model_id, w.run_id) AND NOT i.keeps_outcomes
), former AS (
    -- Runs as they were before: the statement does not see what it writes.
    SELECT t.run_id, t.import_id, t.outcome_count IS NOT NULL AS with_outcomes,
           NOT k.keeps_score AND ({DIFFERS}) AS differs
      FROM written w
      JOIN incoming k ON (k.model_id, k.run_id) = (w.model_id, w.run_id)
      JOIN incoming_runs i ON i.run_id = w.run_id
      JOIN store.evaluated_names n ON n.name = i.name AND n.model_id = w.model_id
      JOIN store.runs t ON (t.model_id, t.run_id) = (w.model_id, w.run_id)
      JOIN store.measures mt ON mt.measure_id = t.measure_id
      JOIN store.measures mi ON mi.measure_id = i.measure_id
     WHERE NOT w.added
), replaced AS (
    SELECT import_id, count(*) AS runs FROM former WHERE differs GROUP BY import_id
), contradicted AS (
    DELETE FROM store.restated_runs s USING former f WHERE s.run_id = f.run_id AND f.differs
), completed AS (
    INSERT INTO store.restated_runs (run_id, import_id, with_outcomes)
    SELECT run_id, import_id, with_outcomes FROM former
     WHERE NOT differs AND import_id <> :import
        ON CONFLICT (run_id, import_id) DO UPDATE SET with_outcomes = excluded.with_outcomes
)
SELECT count(*) FILTER (WHERE added) AS added, count(*) FILTER (WHERE NOT added) AS changed,
       (SELECT coalesce(json_agg(json_build_array(import_id, runs) ORDER BY import_id), '[]')
          FROM replaced) AS replaced
  FROM written
"""  # noqa: S608 - fixed text

_MERGE_ANSWERS = """
INSERT INTO store.answers AS a (
       model_id, run_id, benchmark_id, codes, texts, input_tokens, output_tokens, latencies)
SELECT n.model_id, i.run_id, i.benchmark_id, i.codes, i.texts, i.input_tokens, i.output_tokens,
       i.latencies
  FROM incoming_runs i
  JOIN store.evaluated_names n USING (name)
  -- Where outcomes on more items stayed, so do their answers.
  JOIN store.runs r ON (r.model_id, r.run_id) = (n.model_id, i.run_id)
                   AND r.outcome_count = i.outcome_count
 WHERE num_nonnulls(i.codes, i.input_tokens, i.output_tokens, i.latencies) > 0
    ON CONFLICT (model_id, run_id) DO UPDATE
   SET codes = coalesce(excluded.codes, a.codes), texts = coalesce(excluded.texts, a.texts),
       input_tokens = coalesce(excluded.input_tokens, a.input_tokens),
       output_tokens = coalesce(excluded.output_tokens, a.output_tokens),
       latencies = coalesce(excluded.latencies, a.latencies)
 WHERE (a.codes, a.texts, a.input_tokens, a.output_tokens, a.latencies)
       IS DISTINCT FROM (
           coalesce(excluded.codes, a.codes), coalesce(excluded.texts, a.texts),
           coalesce(excluded.input_tokens, a.input_tokens),
           coalesce(excluded.output_tokens, a.output_tokens),
           coalesce(excluded.latencies, a.latencies))
"""


def prepare(connection: Connection) -> None:
    """Create the staging table of runs, or empty it; it lasts as long as the connection."""
    connection.exec_driver_sql(_INCOMING)
    connection.exec_driver_sql("DELETE FROM incoming_runs")


def begin_command(connection: Connection) -> None:
    """Start to compare the files of a command, which all use this connection."""
    connection.exec_driver_sql(_COMMAND)


def copy(connection: Connection, rows: Iterable[Sequence[object]]) -> None:
    """Copy rows of `COLUMNS` to the staging table."""
    copy_rows(connection, "incoming_runs", COLUMNS, rows)


def analyze(connection: Connection) -> None:
    """Gather the planner's statistics of the staged runs."""
    connection.exec_driver_sql("ANALYZE incoming_runs")


def drop_duplicates(connection: Connection) -> None:
    """Keep one of runs that were staged twice with the same result.

    Raises:
        RegistryError: when one was staged twice with different results.
    """
    twice = connection.execute(
        text("""
        SELECT a.name, k.name AS benchmark, a.score AS one, b.score AS other
          FROM incoming_runs a
          JOIN incoming_runs b ON b.run_id = a.run_id AND b.place > a.place
          JOIN store.benchmarks k ON k.benchmark_id = a.benchmark_id
         WHERE (a.score, a.item_count, a.right_bits, a.present_bits, a.grades)
               IS DISTINCT FROM (b.score, b.item_count, b.right_bits, b.present_bits, b.grades)
         ORDER BY a.place LIMIT 1""")
    ).one_or_none()
    if twice is not None:
        raise RegistryError(
            f"There are two results of {twice.name} on {twice.benchmark} that nothing "
            f"distinguishes, {twice.one:g} and {twice.other:g}: map what differs between the runs "
            "(revision, precision, shots, date or details), or remove one."
        )
    connection.exec_driver_sql("""
        DELETE FROM incoming_runs b USING incoming_runs a
         WHERE b.run_id = a.run_id AND b.place > a.place""")


def names(connection: Connection) -> Sequence[str]:
    """Return the spellings of models in the staged runs."""
    return connection.scalars(text("SELECT DISTINCT name FROM incoming_runs")).all()


def staged(connection: Connection) -> Sequence[Row[Any]]:
    """Return the staged runs: keys, names, metrics and scores, in their order."""
    return connection.execute(
        text("""
        SELECT i.run_id, i.name, i.source_id, i.score, i.setup_id, i.benchmark_id,
               b.name AS benchmark, m.metric
          FROM incoming_runs i
          JOIN store.benchmarks b ON b.benchmark_id = i.benchmark_id
          JOIN store.measures m ON m.measure_id = i.measure_id
         ORDER BY i.place""")
    ).all()


def benchmarks_with_outcomes(connection: Connection) -> Sequence[int]:
    """Return the keys of the benchmarks that staged runs have outcomes on."""
    return connection.scalars(
        text("SELECT DISTINCT benchmark_id FROM incoming_runs WHERE right_bits IS NOT NULL")
    ).all()


def refuse_conflicts(connection: Connection, import_id: int) -> None:
    """Check that the staged runs do not conflict with those of the command's earlier files.

    Args:
        connection: in the file's transaction; its names are resolved.
        import_id: key of the file.

    Raises:
        RegistryError: naming the file, the first run that differs, and the other file.
    """
    # In two steps: planning a join of all the tables takes longer than a small file's import.
    conflict = connection.execute(
        text(f"""
        WITH t AS MATERIALIZED (
            SELECT o.*, i.place, r.right_bits, r.present_bits, r.grades, a.codes, a.texts,
                   a.input_tokens, a.output_tokens, a.latencies
              FROM incoming_runs i
              JOIN command_runs o USING (run_id)
              JOIN store.evaluated_names n USING (name)
              JOIN store.runs r ON (r.model_id, r.run_id) = (n.model_id, i.run_id)
              LEFT JOIN store.answers a ON (a.model_id, a.run_id) = (n.model_id, i.run_id)
        )
        SELECT i.place, i.name, i.benchmark_id, i.measure_id, i.score, t.score AS other_score,
               t.import_id, count(*) OVER () AS runs
          FROM t
          JOIN incoming_runs i USING (place)
          JOIN store.measures mi ON mi.measure_id = i.measure_id
          JOIN store.measures mt ON mt.measure_id = t.measure_id
         WHERE {DIFFERS}
            OR (i.right_bits IS NOT NULL AND t.with_answers
                AND t.outcome_count IS NOT DISTINCT FROM i.outcome_count
                AND ((t.codes, t.texts) <> (i.codes, i.texts) OR t.input_tokens <> i.input_tokens
                     OR t.output_tokens <> i.output_tokens OR t.latencies <> i.latencies))
         ORDER BY i.place LIMIT 1""")  # noqa: S608 - fixed text
    ).one_or_none()
    if conflict is not None:
        raise contradiction(connection, import_id, conflict)


def remember(connection: Connection, import_id: int) -> None:
    """Note the staged results of a file, for the command's later files; outcomes before scores."""
    connection.execute(
        text(f"""
        INSERT INTO command_runs AS t (
               run_id, import_id, measure_id, score, item_count, standard_error, complete, verified,
               outcome_count, with_answers)
        SELECT i.run_id,
               CASE WHEN t.outcome_count IS NOT NULL AND ({KEEPS_OUTCOMES})
                    THEN t.import_id ELSE :import END,
               CASE WHEN k.keeps_score THEN t.measure_id ELSE i.measure_id END,
               CASE WHEN k.keeps_score THEN t.score ELSE i.score END,
               CASE WHEN k.keeps_score THEN t.item_count
                    ELSE coalesce(i.item_count, t.item_count) END,
               CASE WHEN k.keeps_score THEN t.standard_error
                    ELSE coalesce(i.standard_error, t.standard_error) END,
               CASE WHEN k.keeps_score THEN t.complete ELSE i.complete END,
               CASE WHEN k.keeps_score THEN t.verified ELSE i.verified END,
               CASE WHEN {KEEPS_OUTCOMES} THEN t.outcome_count ELSE i.outcome_count END,
               coalesce(t.with_answers, false)
               OR num_nonnulls(i.codes, i.input_tokens, i.output_tokens, i.latencies) > 0
          FROM incoming_runs i
          JOIN store.measures mi ON mi.measure_id = i.measure_id
          LEFT JOIN command_runs t ON t.run_id = i.run_id
          LEFT JOIN store.measures mt ON mt.measure_id = t.measure_id
          CROSS JOIN LATERAL (SELECT {KEEPS_SCORE} AS keeps_score) k
            ON CONFLICT (run_id) DO UPDATE
           SET import_id = excluded.import_id, measure_id = excluded.measure_id,
               score = excluded.score, item_count = excluded.item_count,
               standard_error = excluded.standard_error, complete = excluded.complete,
               verified = excluded.verified, outcome_count = excluded.outcome_count,
               with_answers = excluded.with_answers"""),  # noqa: S608 - fixed text
        {"import": import_id},
    )


def merge(connection: Connection, import_id: int | None) -> Row[Any]:
    """Merge the staged runs into the store; their names are resolved.

    Returns:
        `added` and `changed`, numbers of runs, and `replaced`: pairs of the import that a changed
        run had another result from, and how many.
    """
    return connection.execute(text(_MERGE), {"import": import_id}).one()


def merge_answers(connection: Connection) -> int:
    """Merge the answers of the staged runs into the store; return how many runs' changed."""
    return connection.execute(text(_MERGE_ANSWERS)).rowcount


def claim(connection: Connection, import_id: int, former: Sequence[int]) -> None:
    """Assign the staged runs to an import, where the store has them from former imports."""
    connection.execute(
        text("""
        UPDATE store.runs r SET import_id = :import
          FROM incoming_runs i JOIN store.evaluated_names n USING (name)
         WHERE (r.model_id, r.run_id) = (n.model_id, i.run_id)
           AND r.import_id = ANY (:former)"""),
        {"import": import_id, "former": list(former)},
    )


def earlier_readings(
    connection: Connection, import_id: int, *, same_options: bool
) -> list[tuple[int, int, str]]:
    """Return the runs of an import that the same file is not read as any more.

    Runs that another file states become its.

    Args:
        connection: in the file's transaction; its runs are staged.
        import_id: of the file.
        same_options: whether the file was always read with the present options. Otherwise it may
            have been read for something else: each run needs a staged one with its score on its
            benchmark, by its metric, source and date, or else all stay.

    Returns:
        Keys of the model and the run, and what the score is now of.
    """
    hand_over_unstaged(connection, import_id)
    rows = connection.execute(
        text("""
        WITH staged AS MATERIALIZED (
            SELECT n.model_id, i.run_id, i.benchmark_id, i.source_id, i.evaluated_at, i.score,
                   i.setup_id, m.metric
              FROM incoming_runs i
              JOIN store.evaluated_names n USING (name)
              JOIN store.measures m USING (measure_id)
        ), former AS MATERIALIZED (
            SELECT r.model_id, r.run_id, r.benchmark_id, r.source_id, r.evaluated_at, r.score,
                   m.metric
              FROM store.runs r JOIN store.measures m USING (measure_id)
             WHERE r.import_id = :import
               AND NOT EXISTS (SELECT FROM staged s
                                WHERE (s.model_id, s.run_id) = (r.model_id, r.run_id))
        ), paired AS (
            SELECT DISTINCT ON (f.model_id, f.run_id)
                   f.model_id, f.run_id, s.model_id AS now_of, s.setup_id
              FROM former f
              LEFT JOIN staged s
                ON (s.benchmark_id, s.source_id, s.metric, s.score)
                   = (f.benchmark_id, f.source_id, f.metric, f.score)
               AND coalesce(s.evaluated_at, 'epoch') = coalesce(f.evaluated_at, 'epoch')
             ORDER BY f.model_id, f.run_id, s.model_id <> f.model_id, s.run_id
        )
        SELECT p.model_id, p.run_id,
               CASE WHEN p.now_of IS NULL THEN 'not read from its file any more'
                    ELSE 'read as ' || concat_ws(', ', m.name, t.variant,
                        CASE WHEN p.now_of = p.model_id AND t.variant IS NULL
                             THEN 'with another setup' END)
               END AS reason
          FROM paired p
          LEFT JOIN store.models m ON m.model_id = p.now_of
          LEFT JOIN store.setups t ON t.setup_id = p.setup_id
         WHERE :same_options OR (SELECT bool_and(now_of IS NOT NULL) FROM paired)"""),
        {"import": import_id, "same_options": same_options},
    )
    return [(row.model_id, row.run_id, row.reason) for row in rows]


def restate(connection: Connection, import_id: int, former: Sequence[int]) -> None:
    """Note which of the staged runs are of other files, and hand over what those state still.

    Args:
        connection: in the file's transaction; the staged runs are merged and claimed.
        import_id: of the file.
        former: imports of its earlier versions. Their runs that another file states become its.
    """
    connection.execute(
        text("DELETE FROM store.restated_runs WHERE import_id = ANY (:keys)"),
        {"keys": [import_id, *former]},
    )
    connection.execute(
        text("""
        INSERT INTO store.restated_runs (run_id, import_id, with_outcomes)
        SELECT r.run_id, :import, i.outcome_count IS NOT NULL
          FROM incoming_runs i
          JOIN store.evaluated_names n USING (name)
          JOIN store.runs r ON (r.model_id, r.run_id) = (n.model_id, i.run_id)
         WHERE r.import_id IS DISTINCT FROM :import"""),
        {"import": import_id},
    )
    if former:
        hand_over(connection, former, with_scores=True)


def hand_over_unstaged(connection: Connection, import_id: int) -> None:
    """Assign the runs of an import that are not staged to other files that state them."""
    hand_over_where(
        connection,
        """r.import_id = :import AND s.import_id <> :import
           AND NOT EXISTS (SELECT FROM incoming_runs i WHERE i.run_id = r.run_id)""",
        **{"import": import_id},
    )


def delete_unstaged(connection: Connection, models: Sequence[int]) -> None:
    """Delete the runs of models that came from the Hub and are not staged.

    Those that a file states become its.
    """
    hand_over_where(
        connection,
        """r.model_id = ANY (:models) AND r.import_id IS NULL
           AND NOT EXISTS (SELECT FROM incoming_runs i WHERE i.run_id = r.run_id)""",
        models=list(models),
    )
    connection.execute(
        text("""
        DELETE FROM store.runs r
         WHERE r.model_id = ANY (:models) AND r.import_id IS NULL
           AND NOT EXISTS (SELECT FROM incoming_runs i WHERE i.run_id = r.run_id)"""),
        {"models": list(models)},
    )
