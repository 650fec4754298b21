"""What is asked for by name: the keys of models, benchmarks and sources."""

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from sqlalchemy import Connection, text

from registry.catalog.names import model_id
from registry.errors import UsageError

LIKENESS = 0.6
"""How alike a benchmark's name is to one that is not found, at least, to be suggested."""


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
            raise no_benchmark(connection, name)
        keys += found
    return keys


def no_benchmark(connection: Connection, name: str) -> UsageError:
    """Return the error that there is no benchmark of a name, which tells the nearest names."""
    names = connection.execute(text("SELECT name, version FROM store.benchmarks")).all()
    known = {row.name for row in names}
    if "@" in name:
        known = {f"{row.name}@{row.version}" for row in names}
    return UsageError(
        f"There is no benchmark {name!r};{did_you_mean(name, known)} `registry evals benchmarks` "
        "lists them."
    )


def did_you_mean(name: str, known: Iterable[str], limit: int = 3) -> str:
    """Return a question for the names most like one that is not found, with a space before it.

    Names that differ in case, hyphens and underscores only are alike. Empty if none is like it.
    """
    ratios = {
        each: SequenceMatcher(None, _plain(each), _plain(name)).ratio() for each in sorted(known)
    }
    likely = [each for each, ratio in ratios.items() if ratio >= LIKENESS]
    likely.sort(key=lambda each: -ratios[each])
    return f" did you mean {', '.join(likely[:limit])}?" if likely else ""


def _plain(name: str) -> str:
    return name.lower().translate({ord(sign): None for sign in "-_ "})


def _source_ids(connection: Connection, names: Sequence[str]) -> list[int]:
    rows = connection.execute(text("SELECT name, source_id FROM store.sources ORDER BY name")).all()
    keys: dict[str, int] = {row.name: row.source_id for row in rows}
    for name in names:
        if name not in keys:
            some = ", ".join(list(keys)[:20]) or "none"
            raise UsageError(f"No source is named {name!r}; there are: {some}.")
    return [keys[name] for name in names]
