"""How fast a long table of outcomes is read: 112 models by 36,054 items, in any order of rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from registry.evaluations.formats import tables
from registry.evaluations.records import Block, Notes

pytestmark = pytest.mark.benchmark

MODELS, ITEMS = 112, 36_054


@pytest.fixture(scope="module")
def long_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("tables") / "long.parquet"
    generator = np.random.default_rng(0)
    models = pa.array([f"org{number % 20}/model-{number}" for number in range(MODELS)])
    of_rows = pa.array(np.repeat(np.arange(MODELS, dtype=np.int32), ITEMS))
    columns = {
        "model": pa.DictionaryArray.from_arrays(of_rows, models).cast(pa.string()),
        "item": pa.array(np.tile(np.arange(ITEMS, dtype=np.int32), MODELS)),
        "outcome": pa.array(generator.integers(0, 2, MODELS * ITEMS).astype(np.uint8)),
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_long_parquet(long_table: Path, benchmark: Any) -> None:
    by = tables.override(tables.load_mapping("long"), {"benchmark": "=x"})

    def read() -> int:
        count = 0
        for block in tables.read(long_table, by, Notes()):
            assert isinstance(block, Block)
            for run in block.runs:
                assert run.outcomes is not None
                count += len(run.outcomes)
        return count

    count = benchmark.pedantic(read, rounds=5, warmup_rounds=1)
    assert count == MODELS * ITEMS
    seconds = benchmark.stats.stats.min
    print(f"\n{count / seconds / 1e6:.1f} million outcomes a second")
