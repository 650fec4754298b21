"""Results of one run that two files tell differently: what differs, and what may not.

A score told alone and the outcomes that it follows from are one result, told in two files; so are
two that tell the same, one of them more of it. Anything else is a contradiction. Between the files
of one command it is refused, since none of them is the newer one; a later command's file is.
"""

from sqlalchemy import Connection, text

from registry.errors import RegistryError

DIFFERS = """
CASE WHEN t.with_outcomes = (i.right_bits IS NOT NULL) THEN
         (t.measure_id, t.score, t.complete, t.verified)
             IS DISTINCT FROM (i.measure_id, i.score, i.complete, i.verified)
         OR t.item_count <> i.item_count OR t.standard_error <> i.standard_error
         OR (t.with_outcomes
             AND (t.right_bits, t.present_bits, t.grades)
                 IS DISTINCT FROM (i.right_bits, i.present_bits, i.grades))
     -- Outcomes on some of the items have another mean.
     WHEN t.item_count <> i.item_count THEN false
     ELSE abs(coalesce(store.share(t.score, mt.lower, mt.upper, mt.higher_is_better), t.score)
            - coalesce(store.share(i.score, mi.lower, mi.upper, mi.higher_is_better), i.score))
          -- Of the score that is told alone, the last digit is rounded; outcomes are floats.
          > 1e-6 + least(0.005, CASE
                WHEN t.with_outcomes
                THEN 0.5 * power(10::float8, -scale(i.score::numeric))
                     / coalesce(mi.upper - mi.lower, 1)
                ELSE 0.5 * power(10::float8, -scale(t.score::numeric))
                     / coalesce(mt.upper - mt.lower, 1) END)
END"""
"""SQL: whether what was told of a run `t` (a row of runs and `with_outcomes`) is not what `i`, a
row of incoming_runs, tells of it; `mt` and `mi` are their measures."""

_TOLD = """
CREATE TEMPORARY TABLE IF NOT EXISTS told_runs (
    run_id bigint PRIMARY KEY, import_id integer, measure_id integer, score double precision,
    item_count integer, standard_error real, complete boolean, verified boolean,
    with_outcomes boolean, with_answers boolean)
"""


def begin_command(connection: Connection) -> None:
    """Have what files tell from here on compared with each other.

    Args:
        connection: the one that all the command's files go through; it lasts no longer.
    """
    connection.exec_driver_sql(_TOLD)


def refuse(connection: Connection, import_id: int) -> None:
    """Make sure that the runs on their way in are told so by the command's files before, if at all.

    Args:
        connection: in the file's transaction; its names are resolved.
        import_id: key of the file.

    Raises:
        RegistryError: naming the file, the first run that differs, and the other file.
    """
    found = connection.execute(
        text(f"""
        WITH t AS (
            SELECT o.*, r.model_id, r.right_bits, r.present_bits, r.grades
              FROM incoming_runs i
              JOIN store.evaluated_names n USING (name)
              JOIN told_runs o USING (run_id)
              JOIN store.runs r ON (r.model_id, r.run_id) = (n.model_id, o.run_id)
        )
        SELECT f.path, of.path AS other, i.name, b.name AS benchmark, mi.metric, i.score,
               t.score AS told, count(*) OVER () AS runs
          FROM t
          JOIN incoming_runs i USING (run_id)
          JOIN store.measures mi ON mi.measure_id = i.measure_id
          JOIN store.measures mt ON mt.measure_id = t.measure_id
          JOIN store.benchmarks b ON b.benchmark_id = i.benchmark_id
          JOIN store.imports f ON f.import_id = :import
          JOIN store.imports of ON of.import_id = t.import_id
          LEFT JOIN store.answers a ON (a.model_id, a.run_id) = (t.model_id, t.run_id)
         WHERE {DIFFERS}
            OR (i.right_bits IS NOT NULL AND t.with_answers
                AND ((a.codes, a.texts) <> (i.codes, i.texts) OR a.input_tokens <> i.input_tokens
                     OR a.output_tokens <> i.output_tokens OR a.latencies <> i.latencies))
         ORDER BY i.place LIMIT 1"""),  # noqa: S608
        {"import": import_id},
    ).one_or_none()
    if found is None:
        return
    differing = (
        f"the score {found.score:g} here and {found.told:g} there"
        if f"{found.score:g}" != f"{found.told:g}"
        else "the same score but else told differently"
    )
    others = f" ({found.runs - 1:,} more like it)" if found.runs > 1 else ""
    raise RegistryError(
        f"{found.path} contradicts {found.other}: {found.name} on {found.benchmark} "
        f"({found.metric}) has {differing}{others}. Nothing of {found.path} was imported: correct "
        "one of the two files, or import the right one by itself, and it replaces the other."
    )


def keep(connection: Connection, import_id: int) -> None:
    """Remember what a file told, for the command's files after it; outcomes tell the most."""
    connection.execute(
        text("""
        INSERT INTO told_runs AS t (
               run_id, import_id, measure_id, score, item_count, standard_error, complete, verified,
               with_outcomes, with_answers)
        SELECT run_id, :import, measure_id, score, item_count, standard_error, complete, verified,
               right_bits IS NOT NULL,
               num_nonnulls(codes, input_tokens, output_tokens, latencies) > 0
          FROM incoming_runs
            ON CONFLICT (run_id) DO UPDATE
           SET import_id = excluded.import_id, measure_id = excluded.measure_id,
               score = excluded.score, item_count = coalesce(excluded.item_count, t.item_count),
               standard_error = coalesce(excluded.standard_error, t.standard_error),
               complete = excluded.complete, verified = excluded.verified,
               with_outcomes = excluded.with_outcomes,
               with_answers = t.with_answers OR excluded.with_answers
         WHERE excluded.with_outcomes OR NOT t.with_outcomes"""),
        {"import": import_id},
    )
