"""Results that are the same, or of which one is a part of the other, as conditions in SQL."""

from typing import Any

from sqlalchemy import Connection, Row, text

from registry.errors import RegistryError

# Of `t` (a stored run, or one of an earlier file of the command) and the staged run `i`, whether
# the score is the mean of the outcomes; otherwise there are none, or they are a part of it.
T_IS_MEASURED = "coalesce(t.outcome_count = t.item_count, false)"
I_IS_MEASURED = "coalesce(i.outcome_count = i.item_count, false)"

# Whether the scores of `t` and `i` are the same but for rounding; `mt` and `mi` are their measures.
AGREES = f"""
abs(coalesce(store.share(t.score, mt.lower, mt.upper, mt.higher_is_better), t.score)
  - coalesce(store.share(i.score, mi.lower, mi.upper, mi.higher_is_better), i.score))
-- Of a stated score the last digit is rounded; outcomes are floats.
<= 1e-6 + least(0.005, CASE
      WHEN {T_IS_MEASURED}
      THEN 0.5 * power(10::float8, -scale(i.score::numeric)) / coalesce(mi.upper - mi.lower, 1)
      ELSE 0.5 * power(10::float8, -scale(t.score::numeric)) / coalesce(mt.upper - mt.lower, 1) END)
"""

# Whether `t` and `i` are different results.
DIFFERS = f"""
CASE WHEN {T_IS_MEASURED} = {I_IS_MEASURED} THEN
         (t.measure_id, t.score, t.complete, t.verified)
             IS DISTINCT FROM (i.measure_id, i.score, i.complete, i.verified)
         OR t.item_count <> i.item_count OR t.standard_error <> i.standard_error
         OR (t.outcome_count IS NOT NULL AND i.outcome_count IS NOT NULL
             AND (t.right_bits, t.present_bits, t.grades)
                 IS DISTINCT FROM (i.right_bits, i.present_bits, i.grades))
     -- Outcomes on some of the items have another mean.
     WHEN t.item_count <> i.item_count THEN false
     ELSE NOT ({AGREES})
END"""

# Whether the score of `t` stays: one of more items than the outcomes of `i`, or outcomes that the
# score of `i` follows from. Where the number of items is not known, another mean shows a part.
KEEPS_SCORE = f"""
CASE WHEN t.run_id IS NULL OR {T_IS_MEASURED} = {I_IS_MEASURED} THEN false
     WHEN {I_IS_MEASURED}
     THEN CASE WHEN t.item_count IS NULL THEN NOT ({AGREES})
               ELSE t.item_count > i.outcome_count END
     ELSE CASE WHEN i.item_count IS NULL THEN {AGREES}
               ELSE i.item_count <= t.outcome_count END
END"""

# Whether the outcomes of `t` stay: of more items than those of `i`, if it has any.
KEEPS_OUTCOMES = f"""
i.outcome_count IS NULL
OR coalesce(k.keeps_score AND {T_IS_MEASURED} AND NOT {I_IS_MEASURED}, false)"""


def contradiction(connection: Connection, import_id: int, conflict: Row[Any]) -> RegistryError:
    """Return the error of a file whose staged run conflicts with an earlier file's.

    Args:
        connection: in the file's transaction.
        import_id: key of the file.
        conflict: the run's name, keys and score, the other file's key and score, and how many
            runs conflict.
    """
    named = connection.execute(
        text("""
        SELECT f.path, o.path AS other, b.name AS benchmark, m.metric
          FROM store.imports f, store.imports o, store.benchmarks b, store.measures m
         WHERE f.import_id = :import AND o.import_id = :other AND b.benchmark_id = :benchmark
           AND m.measure_id = :measure"""),
        {
            "import": import_id,
            "other": conflict.import_id,
            "benchmark": conflict.benchmark_id,
            "measure": conflict.measure_id,
        },
    ).one()
    score, other_score = f"{conflict.score:g}", f"{conflict.other_score:g}"
    differing = f"the score {score} here and {other_score} there"
    if score == other_score:
        differing = "the same score in both, but other details"
    others = f" ({conflict.runs - 1:,} more like it)" if conflict.runs > 1 else ""
    return RegistryError(
        f"{named.path} contradicts {named.other}: {conflict.name} on {named.benchmark} "
        f"({named.metric}) has {differing}{others}. Nothing of {named.path} was imported: correct "
        "one of the two files, or import the right one by itself, and it replaces the other."
    )
