"""Bulk read of evaluations from the database, as the blocks that formats are written from.

The counterpart of `load`. Blocks are read one at a time, their runs from a cursor on the server:
however many outcomes there are, those of some dozen runs are in memory.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, text

from registry.catalog.resolution import StatedName
from registry.evaluations.packing import unpack, unpack_answers
from registry.evaluations.records import Benchmark, Block, Item, Measure, Run, Setup, Source
from registry.evaluations.selection import ALL_RUNS, RunKeys, RunSelection

RUNS_AT_ONCE = 64
"""Runs that are fetched at once, at most."""

_MEASURE = tuple(each.name for each in fields(Measure) if each.compare)

_SELECTED = """
      (CAST(:benchmarks AS integer[]) IS NULL OR r.benchmark_id = ANY (:benchmarks))
  AND (CAST(:models AS bigint[]) IS NULL OR r.model_id = ANY (:models))
  AND (CAST(:sources AS integer[]) IS NULL OR r.source_id = ANY (:sources))"""

_BENCHMARKS = f"""
SELECT b.benchmark_id, b.name, b.version, b.domain, b.description, b.url, b.item_count,
       b.measure_id
  FROM store.benchmarks b
 WHERE (CAST(:benchmarks AS integer[]) IS NULL OR b.benchmark_id = ANY (:benchmarks))
   AND (EXISTS (SELECT FROM store.runs r WHERE r.benchmark_id = b.benchmark_id AND {_SELECTED})
        OR b.item_count > 0 AND CAST(:models AS bigint[]) IS NULL
           AND CAST(:sources AS integer[]) IS NULL)
 ORDER BY b.name COLLATE "C", b.version COLLATE "C"
"""  # noqa: S608 - fixed text

# Rows are joined and sorted before their outcomes are decompressed: a join may change their order.
# Runs by the measure that leaderboards show come first, so that leaderboards show it wherever they
# are imported.
_COLUMNS = """
SELECT s.spelling, s.model, s.score, s.evaluated_at, s.measure_id, s.setup_id, s.source_id,
       s.item_count, s.standard_error, s.complete, s.verified, s.revision,
       varbit_send(s.right_bits) AS right_bits, varbit_send(s.present_bits) AS present_bits,
       array_send(s.grades) AS grades, s.codes, s.texts, s.input_tokens, s.output_tokens,
       s.latencies, s.measure, s.setup, s.source, s.url
"""
_DETAILS = """
       n.name AS spelling, a.codes, a.texts, a.input_tokens, a.output_tokens, a.latencies,
       to_jsonb(k) AS measure, to_jsonb(t) AS setup, o.name AS source, o.url
"""
_JOINS = """
  JOIN store.evaluated_names n ON n.name_id = r.name_id
  JOIN store.measures k ON k.measure_id = r.measure_id
  JOIN store.setups t ON t.setup_id = r.setup_id
  JOIN store.sources o ON o.source_id = r.source_id
  LEFT JOIN store.answers a ON (a.model_id, a.run_id) = (r.model_id, r.run_id)
"""

_ALL_RUNS = f"""{_COLUMNS}
  FROM (SELECT r.*, m.name AS model, {_DETAILS}
          FROM store.runs r
          JOIN store.models m ON m.model_id = r.model_id {_JOINS}
         WHERE r.benchmark_id = :benchmark AND {_SELECTED}
         ORDER BY r.measure_id = :shown DESC, n.name COLLATE "C", r.run_id
        OFFSET 0) s
"""  # noqa: S608 - fixed text

_RANKED_RUNS = f"""{_COLUMNS}
  FROM (SELECT r.*, {_DETAILS}
          FROM store.ranked_runs r {_JOINS}
         WHERE r.benchmark_id = :benchmark AND r.has_outcomes AND {_SELECTED}
         ORDER BY r.model COLLATE "C", r.outcome_tier, r.rank
        OFFSET 0) s
"""  # noqa: S608 - fixed text


def stored_blocks(
    connection: Connection, selection: RunSelection = ALL_RUNS
) -> Generator[Block, None, None]:
    """Yield the stored evaluations: a block for each version of a benchmark, by name.

    Runs have their models as their sources spell them, so that importing them again gives the
    same runs. All have scores; those of runs with outcomes follow from these, and an import
    computes them again. A benchmark with items and no runs has a block where neither models nor
    sources are selected.

    Args:
        connection: in a transaction, best a repeatable-read one; a block is read before the next.
        selection: which runs.

    Raises:
        ModelNotFoundError: naming a model that does not exist.
        UsageError: naming a benchmark or a source that does not exist.
    """
    yield from _blocks(connection, selection.keys(connection), _ALL_RUNS)


def ranked_blocks(
    connection: Connection, selection: RunSelection = ALL_RUNS
) -> Generator[Block, None, None]:
    """Yield the runs with outcomes, those of a model together, its preferred run first.

    Otherwise as `stored_blocks`.
    """
    yield from _blocks(connection, selection.keys(connection), _RANKED_RUNS)


def stored_names(connection: Connection, selection: RunSelection = ALL_RUNS) -> list[StatedName]:
    """Return the spellings in the runs that are not their models' names, by spelling."""
    rows = connection.execute(
        text(f"""
        SELECT n.name, m.name AS model, n.confidence
          FROM store.evaluated_names n JOIN store.models m USING (model_id)
         WHERE n.name <> m.name AND EXISTS (
                   SELECT FROM store.runs r
                    WHERE r.name_id = n.name_id AND {_SELECTED})
         ORDER BY n.name COLLATE "C" """),  # noqa: S608 - fixed text
        selection.keys(connection)._asdict(),
    )
    return [StatedName(*row) for row in rows]


def count_runs(connection: Connection, selection: RunSelection = ALL_RUNS) -> int:
    """Return the number of runs that `stored_blocks` yields."""
    number = connection.scalar(
        text(f"SELECT count(*) FROM store.runs r WHERE {_SELECTED}"),  # noqa: S608 - fixed text
        selection.keys(connection)._asdict(),
    )
    return int(number or 0)


def _blocks(connection: Connection, keys: RunKeys, query: str) -> Iterator[Block]:
    setups: dict[int, Setup] = {}
    for row in connection.execute(text(_BENCHMARKS), keys._asdict()).all():
        items = _items(connection, row.benchmark_id)
        values = {**keys._asdict(), "benchmark": row.benchmark_id, "shown": row.measure_id}
        benchmark = Benchmark(
            name=row.name,
            version=row.version,
            domain=row.domain,
            description=row.description,
            url=row.url,
        )
        runs = _runs(connection, query, values, items=len(items), setups=setups)
        # A caller that stops early leaves no cursor behind.
        with closing(runs):
            yield Block(benchmark=benchmark, items=items, runs=runs)


def _items(connection: Connection, benchmark: int) -> list[Item]:
    rows = connection.execute(
        text("""
        SELECT item, prompt, choices, answer, domain FROM store.items
         WHERE benchmark_id = :benchmark ORDER BY ordinal"""),
        {"benchmark": benchmark},
    )
    return [Item(row.item, row.prompt, tuple(row.choices), row.answer, row.domain) for row in rows]


def _runs(
    connection: Connection,
    query: str,
    values: dict[str, Any],
    *,
    items: int,
    setups: dict[int, Setup],
) -> Generator[Run, None, None]:
    streamed = {"stream_results": True, "max_row_buffer": RUNS_AT_ONCE}
    with connection.execute(text(query), values, execution_options=streamed) as rows:
        for row in rows:
            if row.setup_id not in setups:
                setups[row.setup_id] = Setup(
                    **{each.name: row.setup[each.name] for each in fields(Setup)}
                )
            yield _run(row, setups[row.setup_id], items)


def _run(row: Row[Any], setup: Setup, items: int) -> Run:
    outcomes = None
    if row.right_bits is not None:
        outcomes = np.full(items, np.nan, np.float32)
        unpack(row.right_bits, row.present_bits, row.grades, outcomes)
    return Run(
        model=row.spelling,
        measure=Measure(**{name: row.measure[name] for name in _MEASURE}),
        source=Source(name=row.source, url=row.url),
        setup=setup,
        revision=row.revision,
        evaluated_at=row.evaluated_at,
        score=row.score,
        standard_error=row.standard_error,
        items=row.item_count,
        complete=row.complete,
        verified=row.verified,
        outcomes=outcomes,
        answers=None if row.codes is None else _answers(row, items),
        input_tokens=_tokens(row.input_tokens, items),
        output_tokens=_tokens(row.output_tokens, items),
        latencies=_latencies(row.latencies, items),
    )


def _answers(row: Row[Any], items: int) -> list[str | None]:
    length = int.from_bytes(row.right_bits[:4])
    return unpack_answers(row.codes, row.texts, length) + [None] * (items - length)


def _tokens(numbers: list[int | None] | None, items: int) -> NDArray[np.int32] | None:
    if numbers is None:
        return None
    tokens = np.full(items, -1, np.int32)
    tokens[: len(numbers)] = [-1 if number is None else number for number in numbers]
    return tokens


def _latencies(numbers: list[float | None] | None, items: int) -> NDArray[np.float32] | None:
    if numbers is None:
        return None
    latencies = np.full(items, np.nan, np.float32)
    latencies[: len(numbers)] = [np.nan if number is None else number for number in numbers]
    return latencies
