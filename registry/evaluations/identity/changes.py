"""Changes of the aliases of benchmarks, with the benchmarks that are stored by them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from registry.db.jobs import Lock, locked
from registry.evaluations.identity.aliases import (
    BenchmarkAlias,
    add_alias,
    canonical_name,
    identify,
    remove_alias,
    ship,
)


@dataclass(frozen=True, slots=True)
class BenchmarkAliasChange:
    """Aliases of a benchmark after a change, and what is stored under its canonical name.

    `items` has the numbers of known items by the names that are stored, where there are any.
    """

    benchmark: str
    aliases: Sequence[BenchmarkAlias]
    names: Sequence[str]
    items: dict[str, int]


def change_benchmark_aliases(
    engine: Engine,
    benchmark: str,
    *,
    added: Sequence[str] = (),
    removed: Sequence[str] = (),
    variant: str | None = None,
) -> BenchmarkAliasChange:
    """Add and remove aliases of a benchmark, in one transaction.

    Args:
        engine: of a database at head.
        benchmark: any of its names.
        added: aliases that it gets.
        removed: aliases that it loses, before it gets others.
        variant: way of prompting that the added ones stand for; None is the plain one.

    Raises:
        LockHeldError: when another process changes evaluations.
        UsageError: when there is no such benchmark, or a name cannot be an alias.
        RegistryError: when a name is another benchmark's, or is no alias of this one.
    """
    doing = "change aliases of benchmarks"
    with locked(engine, Lock.EVALUATIONS, doing=doing), engine.begin() as connection:
        ship(connection)
        canonical = canonical_name(connection, benchmark)
        for alias in removed:
            remove_alias(connection, canonical, alias)
        for alias in added:
            add_alias(connection, canonical, alias, variant=variant)
        ship(connection)
        identify(connection)
        return _change(connection, canonical)


def _change(connection: Connection, canonical: str) -> BenchmarkAliasChange:
    stored = connection.execute(
        text("""
        SELECT name, max(item_count) AS items FROM store.benchmarks
         WHERE coalesce(canonical, name) = :canonical GROUP BY name ORDER BY name"""),
        {"canonical": canonical},
    ).all()
    aliases = [
        BenchmarkAlias(*row)
        for row in connection.execute(
            text("""
            SELECT benchmark, alias, variant, source, confidence FROM registry.benchmark_aliases
             WHERE benchmark = :canonical ORDER BY variant NULLS FIRST, alias"""),
            {"canonical": canonical},
        )
    ]
    return BenchmarkAliasChange(
        canonical,
        aliases,
        [row.name for row in stored],
        {row.name: row.items for row in stored if row.items},
    )
