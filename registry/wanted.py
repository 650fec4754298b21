"""What is asked for by name: the keys of models, benchmarks and sources."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from registry.errors import UsageError
from registry.identity import model_id


class Wanted(NamedTuple):
    """Keys of what is asked for; None is all."""

    models: list[int] | None
    benchmarks: list[int] | None
    sources: list[int] | None


def wanted_keys(
    connection: Connection,
    models: Sequence[str] | None,
    benchmarks: Sequence[str] | None,
    sources: Sequence[str] | None,
) -> Wanted:
    """Return the keys of what is asked for.

    Args:
        connection: to read from.
        models: any of their names; None is all.
        benchmarks: names, each with all its versions, or name@version; None is all.
        sources: names; None is all.

    Raises:
        UsageError: naming a benchmark or a source that there is none of.
        ModelNotFoundError: naming a model that there is none of.
    """
    return Wanted(
        None if models is None else [model_id(connection, name) for name in models],
        None if benchmarks is None else _benchmark_ids(connection, benchmarks),
        None if sources is None else _source_ids(connection, sources),
    )


def _benchmark_ids(connection: Connection, names: Sequence[str]) -> list[int]:
    keys: list[int] = []
    for name in names:
        found = connection.scalars(
            text("SELECT k FROM store.benchmark_ids(:name) AS k"), {"name": name}
        ).all()
        if not found:
            raise UsageError(
                f"There is no benchmark {name!r}; `registry evals benchmarks` lists them."
            )
        keys += found
    return keys


def _source_ids(connection: Connection, names: Sequence[str]) -> list[int]:
    rows = connection.execute(text("SELECT name, source_id FROM store.sources ORDER BY name")).all()
    keys: dict[str, int] = {row.name: row.source_id for row in rows}
    for name in names:
        if name not in keys:
            some = ", ".join(list(keys)[:20]) or "none"
            raise UsageError(f"No source is named {name!r}; there are: {some}.")
    return [keys[name] for name in names]
