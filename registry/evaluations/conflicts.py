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
    # In two steps, since a plan of all the tables takes longer to make than a small file to import.
    found = connection.execute(
        text(f"""
        WITH t AS MATERIALIZED (
            SELECT o.*, i.place, r.right_bits, r.present_bits, r.grades, a.codes, a.texts,
                   a.input_tokens, a.output_tokens, a.latencies
              FROM incoming_runs i
              JOIN told_runs o USING (run_id)
              JOIN store.evaluated_names n USING (name)
              JOIN store.runs r ON (r.model_id, r.run_id) = (n.model_id, i.run_id)
              LEFT JOIN store.answers a ON (a.model_id, a.run_id) = (n.model_id, i.run_id)
        )
        SELECT i.place, i.name, i.benchmark_id, i.measure_id, i.score, t.score AS told,
               t.import_id, count(*) OVER () AS runs
          FROM t
          JOIN incoming_runs i USING (place)
          JOIN store.measures mi ON mi.measure_id = i.measure_id
          JOIN store.measures mt ON mt.measure_id = t.measure_id
         WHERE {DIFFERS}
            OR (i.right_bits IS NOT NULL AND t.with_answers
                AND ((t.codes, t.texts) <> (i.codes, i.texts) OR t.input_tokens <> i.input_tokens
                     OR t.output_tokens <> i.output_tokens OR t.latencies <> i.latencies))
         ORDER BY i.place LIMIT 1""")  # noqa: S608
    ).one_or_none()
    if found is None:
        return
    named = connection.execute(
        text("""
        SELECT f.path, o.path AS other, b.name AS benchmark, m.metric
          FROM store.imports f, store.imports o, store.benchmarks b, store.measures m
         WHERE f.import_id = :import AND o.import_id = :other AND b.benchmark_id = :benchmark
           AND m.measure_id = :measure"""),
        {
            "import": import_id,
            "other": found.import_id,
            "benchmark": found.benchmark_id,
            "measure": found.measure_id,
        },
    ).one()
    differing = (
        f"the score {found.score:g} here and {found.told:g} there"
        if f"{found.score:g}" != f"{found.told:g}"
        else "the same score but else told differently"
    )
    others = f" ({found.runs - 1:,} more like it)" if found.runs > 1 else ""
    raise RegistryError(
        f"{named.path} contradicts {named.other}: {found.name} on {named.benchmark} "
        f"({named.metric}) has {differing}{others}. Nothing of {named.path} was imported: correct "
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
