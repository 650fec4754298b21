"""Aliases of benchmarks: the shipped ones, and those that a person adds and removes."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from registry.errors import RegistryError, UsageError
from registry.evaluations.identity.shipped import item_counts, name_key, shipped_aliases
from registry.evaluations.selection import no_benchmark

LONGEST = 255
"""Characters of an alias, at most."""


class BenchmarkAlias(NamedTuple):
    """A name of a benchmark besides its canonical one, as in view `benchmark_aliases`."""

    benchmark: str
    alias: str
    variant: str | None
    source: str
    confidence: float


def ship(connection: Connection) -> int:
    """Bring the shipped aliases in the database up to date; a person's stay.

    Stored benchmarks get their canonical names where an alias changed.

    Returns:
        How many aliases changed.
    """
    aliases = shipped_aliases()
    changed = connection.execute(
        text("""
        WITH shipped AS (
            SELECT * FROM unnest(CAST(:aliases AS text[]), CAST(:benchmarks AS text[]),
                                 CAST(:variants AS text[]), CAST(:confidences AS real[]))
                     AS s (alias, benchmark, variant, confidence)
        ), gone AS (
            DELETE FROM store.benchmark_aliases a
             WHERE a.source = 'registry'
               AND NOT EXISTS (SELECT FROM shipped s WHERE s.alias = a.alias)
            RETURNING 1
        ), written AS (
            INSERT INTO store.benchmark_aliases AS a (alias, benchmark, variant, source, confidence)
            SELECT alias, benchmark, variant, 'registry', confidence FROM shipped
                ON CONFLICT (alias) DO UPDATE
               SET benchmark = excluded.benchmark, variant = excluded.variant,
                   confidence = excluded.confidence
             WHERE a.source = 'registry'
               AND (a.benchmark, a.variant, a.confidence)
                   IS DISTINCT FROM (excluded.benchmark, excluded.variant, excluded.confidence)
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM written)"""),
        {
            "aliases": [each.alias for each in aliases],
            "benchmarks": [each.benchmark for each in aliases],
            "variants": [each.variant for each in aliases],
            "confidences": [each.confidence for each in aliases],
        },
    ).scalar_one()
    if changed:
        identify(connection)
    return int(changed)


def identify(connection: Connection) -> int:
    """Give every stored benchmark the canonical name that the aliases state.

    Returns:
        How many benchmarks changed.
    """
    changed = connection.scalars(
        text("""
        UPDATE store.benchmarks b
           SET canonical = nullif(i.benchmark, b.name), variant = i.variant
          FROM store.benchmarks o LEFT JOIN LATERAL store.benchmark_identity(o.name) i ON true
         WHERE o.benchmark_id = b.benchmark_id
           AND (b.canonical, b.variant) IS DISTINCT FROM (nullif(i.benchmark, b.name), i.variant)
        RETURNING b.benchmark_id""")
    ).all()
    if changed:
        limit_parts(connection)
        compare_measures(connection)
    return len(changed)


def limit_parts(connection: Connection) -> None:
    """Mark runs on fewer items than the whole benchmark has as not complete."""
    connection.execute(
        text("""
        UPDATE store.runs r SET complete = false
          FROM unnest(CAST(:names AS text[]), CAST(:counts AS integer[])) AS w (name, items)
          JOIN store.benchmarks b ON coalesce(b.canonical, b.name) = w.name
         WHERE r.benchmark_id = b.benchmark_id AND r.complete AND r.item_count < w.items"""),
        {"names": list(item_counts()), "counts": list(item_counts().values())},
    )


def compare_measures(connection: Connection, benchmarks: Sequence[int] | None = None) -> None:
    """Note which benchmarks of one canonical name show the measure that most of its models have.

    Scores of others are not compared with theirs.

    Args:
        connection: in a transaction.
        benchmarks: keys of benchmarks whose names are looked at; None for all.
    """
    connection.execute(
        text("""
        WITH touched AS (
            SELECT DISTINCT coalesce(canonical, name) AS canonical FROM store.benchmarks
             WHERE CAST(:benchmarks AS integer[]) IS NULL OR benchmark_id = ANY (:benchmarks)
        ), shown AS (
            SELECT b.benchmark_id, coalesce(b.canonical, b.name) AS canonical, b.variant,
                   store.measure_class(k.metric, k.filter, k.unit, k.upper > k.lower, b.name)
                       AS class,
                   count(*) OVER (PARTITION BY coalesce(b.canonical, b.name)) AS names
              FROM store.benchmarks b
              JOIN store.measures k ON k.measure_id = b.measure_id
              JOIN touched t ON t.canonical = coalesce(b.canonical, b.name)
        ), counted AS (
            SELECT s.canonical, s.class, bool_or(s.variant IS NULL) AS has_plain,
                   sum((SELECT count(DISTINCT r.model_id) FROM store.runs r
                         WHERE r.benchmark_id = s.benchmark_id)) AS models
              FROM shown s WHERE s.names > 1
             GROUP BY s.canonical, s.class
        ), usual AS (
            SELECT DISTINCT ON (canonical) canonical, class FROM counted
             ORDER BY canonical, has_plain DESC, models DESC, class
        ), judged AS (
            SELECT s.benchmark_id, coalesce(s.class = u.class, true) AS comparable
              FROM shown s LEFT JOIN usual u USING (canonical)
        )
        UPDATE store.benchmarks b SET comparable = j.comparable
          FROM judged j
         WHERE b.benchmark_id = j.benchmark_id AND b.comparable <> j.comparable"""),
        {"benchmarks": None if benchmarks is None else list(benchmarks)},
    )


def list_aliases(connection: Connection, benchmark: str | None = None) -> list[BenchmarkAlias]:
    """Return the aliases of a benchmark, or of all, by canonical name.

    Args:
        connection: to read from.
        benchmark: any name of it; None for all benchmarks.

    Raises:
        UsageError: when there is no such benchmark, with the nearest names.
    """
    canonical = None if benchmark is None else canonical_name(connection, benchmark)
    rows = connection.execute(
        text("""
        SELECT benchmark, alias, variant, source, confidence FROM registry.benchmark_aliases
         WHERE CAST(:canonical AS text) IS NULL OR benchmark = :canonical
         ORDER BY benchmark, variant NULLS FIRST, alias"""),
        {"canonical": canonical},
    )
    return [BenchmarkAlias(*row) for row in rows]


def canonical_name(connection: Connection, name: str) -> str:
    """Return the canonical name of a benchmark: by an alias, or by its stored name.

    Raises:
        UsageError: when there is no such benchmark, with the nearest names.
    """
    canonical = connection.scalar(
        text("""
        SELECT coalesce((SELECT i.benchmark FROM store.benchmark_identity(:name) i),
                        (SELECT coalesce(b.canonical, b.name) FROM store.benchmarks b
                          WHERE b.benchmark_id IN (SELECT store.benchmark_ids(:name)) LIMIT 1))"""),
        {"name": name.strip()},
    )
    if canonical is None:
        raise no_benchmark(connection, name)
    return str(canonical)


def add_alias(
    connection: Connection, benchmark: str, alias: str, *, variant: str | None = None
) -> None:
    """Add an alias to a benchmark, in place of a shipped one; its own aliases move along.

    Args:
        connection: in a transaction.
        benchmark: canonical name.
        alias: the name; no benchmark need be stored by it yet.
        variant: way of prompting that it stands for.

    Raises:
        UsageError: when the alias is empty or too long.
        RegistryError: when a person gave it to another benchmark.
    """
    alias = _valid(alias)
    holder = connection.scalar(
        text("""
        SELECT benchmark FROM store.benchmark_aliases
         WHERE store.benchmark_key(alias) = store.benchmark_key(:alias) AND source = 'user'
           AND benchmark <> :benchmark
           AND store.benchmark_key(benchmark) <> store.benchmark_key(:alias)
         ORDER BY alias LIMIT 1"""),
        {"alias": alias, "benchmark": benchmark},
    )
    if holder is not None:
        raise RegistryError(
            f"{alias} is an alias of {holder}; remove it there first: "
            f"registry evals benchmarks alias remove {holder!r} {alias!r}"
        )
    # Of a person's aliases, one spelling stands for all.
    connection.execute(
        text("""
        DELETE FROM store.benchmark_aliases
         WHERE store.benchmark_key(alias) = store.benchmark_key(:alias) AND alias <> :alias
           AND source = 'user'"""),
        {"alias": alias},
    )
    connection.execute(
        text("""
        INSERT INTO store.benchmark_aliases (alias, benchmark, variant, source, confidence)
        SELECT a.alias, :benchmark, a.variant, 'user', 1
          FROM (SELECT CAST(:alias AS text) AS alias, CAST(:variant AS text) AS variant
                UNION ALL
                SELECT alias, variant FROM store.benchmark_aliases
                 WHERE store.benchmark_key(benchmark) = store.benchmark_key(:alias)
                   AND store.benchmark_key(alias) <> store.benchmark_key(:alias)
                   AND benchmark <> :benchmark) a
            ON CONFLICT (alias) DO UPDATE
           SET benchmark = excluded.benchmark, variant = excluded.variant, source = 'user',
               confidence = 1
         WHERE (store.benchmark_aliases.benchmark, store.benchmark_aliases.variant)
               IS DISTINCT FROM (excluded.benchmark, excluded.variant)"""),
        {"alias": alias, "benchmark": benchmark, "variant": variant},
    )


def own_aliases(connection: Connection, benchmark: str, aliases: Sequence[str]) -> dict[str, int]:
    """Return which of some aliases are canonical names with aliases of their own, and how many.

    They move along when the name becomes an alias of another benchmark.
    """
    rows = connection.execute(
        text("""
        SELECT benchmark, count(*) AS aliases FROM store.benchmark_aliases
         WHERE store.benchmark_key(benchmark) = ANY (:keys) AND benchmark <> :benchmark
           AND store.benchmark_key(alias) <> store.benchmark_key(benchmark)
         GROUP BY benchmark ORDER BY benchmark"""),
        {"keys": [name_key(alias.strip()) for alias in aliases], "benchmark": benchmark},
    )
    return {row.benchmark: row.aliases for row in rows}


def remove_alias(connection: Connection, benchmark: str, alias: str) -> None:
    """Remove an alias of a benchmark; a shipped one does not come back by itself.

    Args:
        connection: in a transaction.
        benchmark: canonical name.
        alias: the name, which becomes that of a benchmark of its own.

    Raises:
        RegistryError: when the benchmark has no such alias.
    """
    alias = alias.strip()
    removed = connection.execute(
        text("""
        DELETE FROM store.benchmark_aliases
         WHERE benchmark = :benchmark AND store.benchmark_key(alias) = store.benchmark_key(:alias)
        RETURNING alias, source"""),
        {"benchmark": benchmark, "alias": alias},
    ).all()
    if not removed:
        raise RegistryError(f"{alias} is not an alias of {benchmark}.")
    for row in removed:
        if row.source == "registry":
            # A benchmark of its own by a person's decision, which `ship` leaves as it is.
            add_alias(connection, row.alias, row.alias)


def _valid(alias: str) -> str:
    alias = alias.strip()
    if not alias or len(alias) > LONGEST or not alias.isprintable():
        raise UsageError(f"An alias is 1 to {LONGEST} printable characters; {alias[:60]!r} is not.")
    return alias
