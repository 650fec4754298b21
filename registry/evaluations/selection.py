"""Selection of runs by the names of models, benchmarks and sources, and its keys."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, text

from registry.catalog.names import model_id, most_similar
from registry.errors import UsageError

SIMILARITY = 0.6
"""Least similarity of a benchmark's name to an unknown one to be suggested."""


class RunKeys(NamedTuple):
    """Keys of a selection's models, benchmarks and sources; None is all."""

    models: list[int] | None
    benchmarks: list[int] | None
    sources: list[int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSelection:
    """Runs of these models on these benchmarks from these sources; of each kind, none is all.

    Attributes:
        models: any of their names.
        benchmarks: names, each with all its versions, or name@version: as stored, or else any name
            of the same benchmark.
        sources: who states the scores.
    """

    models: Sequence[str] = ()
    benchmarks: Sequence[str] = ()
    sources: Sequence[str] = ()

    def keys(self, connection: Connection) -> RunKeys:
        """Look up the keys of what is named.

        Raises:
            UsageError: naming a benchmark or a source that does not exist.
            ModelNotFoundError: naming a model that does not exist.
        """
        return RunKeys(
            [model_id(connection, name) for name in self.models] or None,
            self.benchmark_keys(connection) or None,
            _source_ids(connection, self.sources) or None,
        )

    def benchmark_keys(self, connection: Connection) -> list[int]:
        """Look up the keys of the benchmarks that are named.

        Raises:
            UsageError: naming a benchmark that does not exist.
        """
        keys: list[int] = []
        for name in self.benchmarks:
            named = list(benchmarks_by_key(connection, name))
            if not named:
                raise no_benchmark(connection, name)
            keys += named
        return keys


ALL_RUNS = RunSelection()


def benchmarks_by_key(connection: Connection, name: str) -> dict[int, str]:
    """Return the stored names of the benchmarks that a name or name@version selects, by key.

    A name that is stored selects what is stored by it alone; any other all that it stands for.
    """
    rows = connection.execute(
        text("""
        WITH stored AS (
            SELECT benchmark_id, name FROM store.benchmarks
             WHERE name = :name OR name || '@' || version = :name
        )
        SELECT benchmark_id, name FROM stored
        UNION ALL
        SELECT benchmark_id, name FROM store.benchmarks
         WHERE benchmark_id IN (SELECT store.benchmark_ids(:name))
           AND NOT EXISTS (SELECT FROM stored)
         ORDER BY name, benchmark_id"""),
        {"name": name},
    )
    return {row.benchmark_id: row.name for row in rows}


def no_benchmark(connection: Connection, name: str) -> UsageError:
    """Return the error that a benchmark does not exist, which suggests the most similar names."""
    rows = connection.execute(text("SELECT name, version FROM store.benchmarks")).all()
    names = {f"{row.name}@{row.version}" if "@" in name else row.name for row in rows}
    return UsageError(
        f"There is no benchmark {name!r};{did_you_mean(name, names)} `registry evals benchmarks` "
        "lists them."
    )


def did_you_mean(name: str, names: Iterable[str], limit: int = 3) -> str:
    """Return a question that suggests the names most similar to one, after a space.

    Case, hyphens and underscores do not count. Empty if none is similar enough.
    """
    similar = most_similar(name, sorted(names), limit=limit, least=SIMILARITY)
    return f" did you mean {', '.join(similar)}?" if similar else ""


def _source_ids(connection: Connection, names: Sequence[str]) -> list[int]:
    if not names:
        return []
    rows = connection.execute(text("SELECT name, source_id FROM store.sources ORDER BY name")).all()
    keys: dict[str, int] = {row.name: row.source_id for row in rows}
    for name in names:
        if name not in keys:
            listed = ", ".join(list(keys)[:20]) or "none"
            raise UsageError(f"No source is named {name!r}; there are: {listed}.")
    return [keys[name] for name in names]
