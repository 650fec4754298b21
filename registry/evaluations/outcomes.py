"""Outcomes as arrays of models by items: in memory, streamed or on disk.

Of several runs of a model on a benchmark, one is preferred, as in leaderboards: see view
`store.ranked_runs`. Items that it has no outcome on are filled from the next run of the same
metric, filter and variant; outcomes of two metrics, or of the plain model and a system around it,
are never mixed in one model's row of a benchmark.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.errors import UsageError
from registry.evaluations.packing import unpack
from registry.evaluations.selection import benchmarks_by_key, did_you_mean

MODELS_AT_ONCE = 256

# The preferred run comes last: it is unpacked over the others of the same measure and variant.
_RUNS = """
WITH ranked AS (
    SELECT r.run_id, r.model_id, r.benchmark_id, r.model, r.metric, r.filter, r.rank,
           r.outcome_tier, r.variant,
           first_value(r.measure_id) OVER by_rank AS preferred,
           first_value(r.variant) OVER by_rank AS preferred_variant
      FROM store.ranked_runs r
     WHERE r.has_outcomes AND r.benchmark_id = ANY (:benchmarks)
       AND (CAST(:models AS bigint[]) IS NULL OR r.model_id = ANY (:models))
       AND (CAST(:metric AS text) IS NULL
            OR (r.metric, r.filter) = (:metric, :filter) AND r.variant IS NULL)
    WINDOW by_rank AS (PARTITION BY r.model_id, r.benchmark_id ORDER BY r.outcome_tier, r.rank)
)
SELECT s.model AS name, r.benchmark_id, varbit_send(r.right_bits) AS right_bits,
       varbit_send(r.present_bits) AS present_bits, array_send(r.grades) AS grades
  FROM ranked s
  JOIN store.measures p ON p.measure_id = s.preferred
   AND (p.metric, p.filter) = (s.metric, s.filter)
   AND s.variant IS NOT DISTINCT FROM s.preferred_variant
  JOIN store.runs r ON (r.model_id, r.run_id) = (s.model_id, s.run_id)
 ORDER BY s.model COLLATE "C", s.benchmark_id, s.outcome_tier DESC, s.rank DESC
"""


class Column(NamedTuple):
    """An item as a column of outcomes."""

    benchmark: str
    version: str
    item: str


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeMatrix:
    """Outcomes of models on items.

    Attributes:
        models: names of the M models, sorted by byte.
        columns: the N items: benchmarks by name and version, items in their order there.
        values: float32, M x N, outcomes in [0, 1]; NaN where not observed.
    """

    models: Sequence[str]
    columns: Sequence[Column]
    values: NDArray[np.float32]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which outcomes were observed: bool, M x N."""
        return ~np.isnan(self.values)


class ItemMeasure(NamedTuple):
    """What outcomes are measured by: metrics, or judges of the same metric, are not mixed.

    Attributes:
        metric: such as acc.
        filter: of the answers, or the judge; empty where there is none.
    """

    metric: str
    filter: str

    def __str__(self) -> str:
        return f"{self.metric} ({self.filter})" if self.filter else self.metric


class _Span(NamedTuple):
    """The columns of a benchmark's items, from start to before stop."""

    key: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class OutcomeSelection:
    """Benchmarks, as spans of columns, and models; None is all models.

    With a measure, outcomes are by it alone, of plain models; without one, those of each model are
    by that of its preferred run.
    """

    columns: Sequence[Column]
    spans: Sequence[_Span]
    models: Sequence[int] | None
    measure: ItemMeasure | None = None

    @property
    def width(self) -> int:
        """Number of items."""
        return self.spans[-1].stop if self.spans else 0


def select(
    connection: Connection,
    *,
    models: Sequence[str] | None = None,
    benchmarks: Sequence[str] | None = None,
) -> OutcomeSelection:
    """Return the columns of outcomes on benchmarks.

    Args:
        connection: to read from.
        models: any names of models; None is all that have outcomes.
        benchmarks: names, each with all its versions, or name@version: as stored, or else any name
            of the same benchmark; None is all.

    Raises:
        UsageError: naming a benchmark or model that does not exist.
    """
    keys = {name: benchmarks_by_key(connection, name) for name in benchmarks or ()}
    selected = None if benchmarks is None else [key for each in keys.values() for key in each]
    columns, spans = _columns(connection, selected)
    existing = {span.key for span in spans}
    for name, named in keys.items():
        if existing.isdisjoint(named):
            suggestion = did_you_mean(name, _with_outcomes(connection))
            raise UsageError(
                f"There are no outcomes on a benchmark named {name!r};{suggestion} "
                "`registry evals benchmarks` lists them."
            )
    return OutcomeSelection(columns, spans, _keys(connection, models))


def select_keys(
    connection: Connection, benchmarks: Sequence[int], models: Sequence[int] | None = None
) -> OutcomeSelection:
    """Return the columns of outcomes on benchmarks by their keys; those without outcomes have none.

    Args:
        connection: to read from.
        benchmarks: keys.
        models: keys; None is all that have outcomes.
    """
    columns, spans = _columns(connection, benchmarks)
    return OutcomeSelection(columns, spans, models)


def models_by_measure(
    connection: Connection, selection: OutcomeSelection
) -> dict[ItemMeasure, set[int]]:
    """Return the keys of the models with outcomes by each measure, of most models first.

    Of as many models the measure comes first that leaderboards show, or else one of its filter.
    Systems around a model are not
    the model.
    """
    rows = connection.execute(
        text("""
        SELECT k.metric, k.filter, array_agg(DISTINCT r.model_id) AS models
          FROM store.runs r
          JOIN store.setups t USING (setup_id)
          JOIN store.measures k USING (measure_id)
          JOIN store.benchmarks b ON b.benchmark_id = r.benchmark_id
          LEFT JOIN store.measures shown ON shown.measure_id = b.measure_id
         WHERE r.right_bits IS NOT NULL AND r.benchmark_id = ANY (:benchmarks)
           AND t.variant IS NULL
           AND (CAST(:models AS bigint[]) IS NULL OR r.model_id = ANY (:models))
         GROUP BY k.metric, k.filter
         ORDER BY count(DISTINCT r.model_id) DESC,
                  bool_or((k.metric, k.filter) = (shown.metric, shown.filter)) DESC NULLS LAST,
                  bool_or(k.filter = shown.filter) DESC NULLS LAST,
                  k.metric, k.filter"""),
        {"benchmarks": [span.key for span in selection.spans], "models": selection.models},
    )
    return {ItemMeasure(row.metric, row.filter): set(row.models) for row in rows}


def models_with_outcomes(connection: Connection, selection: OutcomeSelection) -> set[int]:
    """Return the keys of the models with outcomes, of them or of systems around them."""
    return set(
        connection.scalars(
            text("""
            SELECT DISTINCT model_id FROM store.runs
             WHERE right_bits IS NOT NULL AND benchmark_id = ANY (:benchmarks)
               AND (CAST(:models AS bigint[]) IS NULL OR model_id = ANY (:models))"""),
            {"benchmarks": [span.key for span in selection.spans], "models": selection.models},
        )
    )


def of_benchmark(key: int, items: int) -> OutcomeSelection:
    """Return the selection of all outcomes on one version of a benchmark, without columns."""
    return OutcomeSelection((), [_Span(key, 0, items)], None)


def _columns(
    connection: Connection, benchmarks: Sequence[int] | None
) -> tuple[list[Column], list[_Span]]:
    """Return the items of benchmarks, by key, as columns, and each benchmark's span of them."""
    rows = connection.execute(
        text("""
        SELECT b.benchmark_id, b.name, b.version,
               ARRAY(SELECT i.item FROM store.items i WHERE i.benchmark_id = b.benchmark_id
                      ORDER BY i.ordinal) AS items
          FROM store.benchmarks b
         WHERE (CAST(:keys AS integer[]) IS NULL OR b.benchmark_id = ANY (:keys))
           AND EXISTS (SELECT FROM store.runs r
                        WHERE r.benchmark_id = b.benchmark_id AND r.right_bits IS NOT NULL)
         ORDER BY b.name COLLATE "C", b.version COLLATE "C", b.benchmark_id"""),
        {"keys": benchmarks},
    ).all()
    columns: list[Column] = []
    spans: list[_Span] = []
    for row in rows:
        spans.append(_Span(row.benchmark_id, len(columns), len(columns) + len(row.items)))
        columns += [Column(row.name, row.version, item) for item in row.items]
    return columns, spans


def _with_outcomes(connection: Connection) -> Sequence[str]:
    """Return the names of benchmarks that have outcomes."""
    return connection.scalars(
        text("""
        SELECT DISTINCT b.name FROM store.benchmarks b
         WHERE EXISTS (SELECT FROM store.runs r
                        WHERE r.benchmark_id = b.benchmark_id AND r.right_bits IS NOT NULL)""")
    ).all()


def any_outcomes(connection: Connection) -> bool:
    """Return whether any run has outcomes by item."""
    return bool(
        connection.scalar(
            text("SELECT EXISTS (SELECT FROM store.runs WHERE right_bits IS NOT NULL)")
        )
    )


def _keys(connection: Connection, models: Sequence[str] | None) -> list[int] | None:
    if models is None:
        return None
    rows = connection.execute(
        text("""
        SELECT w.name, registry.model_id(w.name) AS model_id
          FROM unnest(CAST(:names AS text[])) AS w (name)"""),
        {"names": list(models)},
    ).all()
    for row in rows:
        if row.model_id is None:
            raise UsageError(f"No model named {row.name!r} is in the registry.")
    return [row.model_id for row in rows]


def stream_outcomes(
    connection: Connection, selection: OutcomeSelection, *, models_at_once: int = MODELS_AT_ONCE
) -> Iterator[OutcomeMatrix]:
    """Yield the outcomes of a batch of models after another, each on all columns.

    Args:
        connection: in a transaction, for this alone meanwhile.
        selection: by `select`.
        models_at_once: rows of each matrix but the last.
    """
    spans = {span.key: span for span in selection.spans}
    metric, of_filter = selection.measure or (None, None)
    rows = connection.execute(
        text(_RUNS),
        {
            "benchmarks": list(spans),
            "models": selection.models,
            "metric": metric,
            "filter": of_filter,
        },
        execution_options={"stream_results": True, "max_row_buffer": 64},
    )
    width = selection.width
    names: list[str] = []
    values = np.full((models_at_once, width), np.nan, np.float32)
    for row in rows:
        if not names or names[-1] != row.name:
            if len(names) == models_at_once:
                yield OutcomeMatrix(names, selection.columns, values)
                names, values = [], np.full((models_at_once, width), np.nan, np.float32)
            names.append(row.name)
        span = spans[row.benchmark_id]
        into = values[len(names) - 1, span.start : span.stop]
        unpack(row.right_bits, row.present_bits, row.grades, into)
    if names:
        yield OutcomeMatrix(names, selection.columns, values[: len(names)])


def read_outcomes(
    connection: Connection,
    *,
    models: Sequence[str] | None = None,
    benchmarks: Sequence[str] | None = None,
    path: Path | None = None,
) -> OutcomeMatrix:
    """Read the outcomes of models on benchmarks into one array.

    Args:
        connection: to read from.
        models: any names of models; None is all that have outcomes.
        benchmarks: names, each with all its versions, or name@version: as stored, or else any name
            of the same benchmark; None is all.
        path: a new file (.npy) for the values, mapped into memory; None is memory.

    Raises:
        UsageError: naming a benchmark or model that does not exist.
    """
    return read_selection(
        connection, select(connection, models=models, benchmarks=benchmarks), path
    )


def read_selection(
    connection: Connection, selection: OutcomeSelection, path: Path | None = None
) -> OutcomeMatrix:
    """Read selected outcomes into one array, or into a new file (.npy) that is mapped."""
    shape = (len(models_with_outcomes(connection, selection)), len(selection.columns))
    values: NDArray[np.float32]
    if path is None or 0 in shape:
        values = np.empty(shape, np.float32)
    else:
        values = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    names: list[str] = []
    for batch in stream_outcomes(connection, selection):
        values[len(names) : len(names) + len(batch.models)] = batch.values
        names += batch.models
    return OutcomeMatrix(names, selection.columns, values[: len(names)])
