"""Parquet files of unknown origin."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from registry.bounded import parquet
from registry.errors import UnreadableFileError

TABLE = pa.table({
    "number": [1.0, 2.0, 3.0],
    "text": ["x", "y", "z"],
    "list": [[1, 2], [3], [4]],
    "struct": [{"k": 1, "t": "u"}] * 3,
})  # fmt: skip


def test_the_description_is_read_as_arrow_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "whole.parquet"
    rows = pa.table({"a": range(5_000), "b": [f"text {n % 7}" for n in range(5_000)]})
    pq.write_table(rows, path, row_group_size=1_000)
    file = parquet.opened(path)
    with path.open("rb") as opened:
        found = list(parquet._chunks(parquet._description(opened.fileno())))
    groups = [file.metadata.row_group(number) for number in range(5)]
    expected = [
        parquet._Chunk(
            number,
            chunk.path_in_schema,
            chunk.total_uncompressed_size,
            chunk.total_compressed_size,
            min(chunk.data_page_offset, chunk.dictionary_page_offset or chunk.data_page_offset),
        )
        for group in groups
        for number in range(2)
        for chunk in (group.column(number),)
    ]
    assert found == expected
    assert pa.Table.from_batches(parquet.batches(path, file, 100)) == rows


def test_a_damaged_description_is_an_error_and_does_not_end_the_process(tmp_path: Path) -> None:
    path = tmp_path / "damaged.parquet"
    pq.write_table(TABLE, path)
    whole = path.read_bytes()
    start = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    turned = np.random.default_rng(0).integers(1, 256, (len(whole), 2))
    refused = 0
    for place in range(start, len(whole) - 8):
        for each in turned[place].tolist():
            damaged = bytearray(whole)
            damaged[place] ^= each
            path.write_bytes(damaged)
            # Names that are no UTF-8 are for the formats to refuse, which name the field.
            with suppress(OSError, pa.ArrowException, UnreadableFileError, UnicodeDecodeError):
                list(parquet.batches(path, parquet.opened(path), 100))
                continue
            refused += 1
    assert refused > len(whole) - start
