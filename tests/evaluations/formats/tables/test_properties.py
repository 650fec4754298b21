"""Any small table is either read wholly, as a naive computation reads it, or refused by its row."""

import csv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.errors import UnreadableFileError
from registry.evaluations.formats import tables
from registry.evaluations.records import Block, Notes

LONG = tables.load_mapping("long")
MISSING = {"", "nan", "null", "none", "na", "n/a", "<na>"}
COLUMNS = ["model", "benchmark", "item", "outcome"]

good_names = st.sampled_from(["a", "b/c", "NA", "None", "1", "1.0", "ü", 'x "y"', "p\nq", "r,s"])
bad_names = st.sampled_from(["", " ", "\0", "n" * 300])
good_outcomes = st.sampled_from(["0", "1", "0.25", "1e-1", "true", "False", "", "nan", "NA"])
bad_outcomes = st.sampled_from(["2", "-1", "inf", "yes", "1,5", "0x1", "\u0661", "--"])


def rows(names: st.SearchStrategy[str], cells: st.SearchStrategy[str]) -> st.SearchStrategy[object]:
    benchmarks = st.sampled_from(["x", "y"])
    return st.lists(st.tuples(names, benchmarks, names, cells), min_size=1, max_size=12)


clean_tables = rows(good_names, good_outcomes)
any_tables = rows(
    st.one_of(good_names, good_names, good_names, bad_names),
    st.one_of(good_outcomes, good_outcomes, good_outcomes, bad_outcomes),
)
number = st.one_of(st.sampled_from([0.0, 1.0, 0.5]), st.floats(allow_nan=True, width=32))
numeric_tables = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["x", "y"]), st.integers(0, 3), number),
    min_size=1,
    max_size=12,
)


class Naive(NamedTuple):
    """What a table says, read a row at a time; or the first rows that cannot be read."""

    outcomes: dict[tuple[str, str, str], float]
    bad: set[int]


def naive(table: object) -> Naive:
    assert isinstance(table, list)
    found: dict[tuple[str, str, str], float] = {}
    bad: set[int] = set()
    for number, cells in enumerate(table):
        model, benchmark, item = (str(cell).strip() for cell in cells[:3])
        raw = str(cells[3]).strip().lower()
        try:
            outcome = {"true": 1.0, "false": 0.0}.get(raw)
            if raw in MISSING:
                outcome = np.nan
            elif outcome is None:
                assert raw.isascii()
                outcome = float(raw)
            if outcome == -1:
                outcome = np.nan  # not measured
            assert np.isnan(outcome) or -1e-6 <= outcome <= 1 + 1e-6
            outcome = float(np.float32(np.clip(outcome, 0, 1)))
            assert all(0 < len(name) <= 255 and "\0" not in name for name in (model, item))
        except (AssertionError, ValueError):
            bad.add(number)
            continue
        if np.isnan(outcome):
            continue
        if found.setdefault((model, benchmark, item), outcome) != outcome:
            bad.add(number)
    return Naive(found, bad)


def read(path: Path) -> tuple[dict[tuple[str, str, str], float], Notes]:
    found: dict[tuple[str, str, str], float] = {}
    notes = Notes()
    for block in tables.read(path, LONG, notes):
        assert isinstance(block, Block)
        for run in block.runs:
            assert run.outcomes is not None
            for item, outcome in zip(block.items, run.outcomes.tolist(), strict=True):
                if not np.isnan(outcome):
                    found[run.model, block.benchmark.name, item.item] = outcome
    return found, notes


def agrees(path: Path, table: object) -> None:
    """Reading a file is what the naive reading is, and accounts for every row; or names a row."""
    assert isinstance(table, list)
    wanted = naive(table)
    if wanted.bad:
        with pytest.raises(UnreadableFileError) as refused:
            read(path)
        error = refused.value
        place = error.row if path.suffix == ".parquet" else error.line
        assert place in {_place(path, table, row) for row in wanted.bad}
        assert error.field in COLUMNS
        return
    found, notes = read(path)
    assert found == pytest.approx(wanted.outcomes)
    left_out = notes.counts.get("rows without an outcome", 0)
    again = notes.counts.get("rows that repeat another one", 0)
    assert len(found) + left_out + again == len(table)


def _place(path: Path, table: list[tuple[object, ...]], row: int) -> int:
    if path.suffix == ".parquet":
        return row + 1
    lines = [sum(str(cell).count("\n") for cell in cells) + 1 for cells in table]
    return 2 + sum(lines[:row])


def write_csv(path: Path, table: object) -> None:
    assert isinstance(table, list)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(table)


def write_parquet(path: Path, table: object, group: int) -> None:
    assert isinstance(table, list)
    columns = [list(column) for column in zip(*table, strict=True)]
    pq.write_table(pa.table(dict(zip(COLUMNS, columns, strict=True))), path, row_group_size=group)


@settings(deadline=None, max_examples=150)
@given(table=any_tables, group=st.integers(1, 5))
def test_any_table_reads_wholly_or_is_refused_by_its_row(table: object, group: int) -> None:
    with TemporaryDirectory() as folder:
        write_csv(Path(folder) / "t.csv", table)
        agrees(Path(folder) / "t.csv", table)
        write_parquet(Path(folder) / "t.parquet", table, group)
        agrees(Path(folder) / "t.parquet", table)


@settings(deadline=None, max_examples=100)
@given(table=numeric_tables, group=st.integers(1, 5))
def test_numbers_of_parquet_read_likewise(table: object, group: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "t.parquet"
        write_parquet(path, table, group)
        agrees(path, table)


@settings(deadline=None, max_examples=50)
@given(table=clean_tables)
def test_means_are_those_of_pandas(table: object) -> None:
    assert isinstance(table, list)
    wanted = naive(table)
    frame = pd.DataFrame(
        [(*key, outcome) for key, outcome in wanted.outcomes.items()], columns=COLUMNS
    )
    means = frame.groupby(["model", "benchmark"])["outcome"].mean().to_dict()
    if wanted.bad:
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        write_csv(path, table)
        found = {}
        for block in tables.read(path, LONG, Notes()):
            assert isinstance(block, Block)
            for run in block.runs:
                assert run.outcomes is not None
                found[run.model, block.benchmark.name] = float(np.nanmean(run.outcomes))
    assert found == pytest.approx(means, rel=1e-6)
