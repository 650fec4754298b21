"""Files that would take gigabytes of memory, refused in bounded memory with a sentence."""

import gzip
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forks as all_forks
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from registry.bounded import limits, yaml_text
from registry.errors import UnreadableFileError
from registry.evaluations.formats import json_files, pickles
from registry.evaluations.formats.inspect_logs.log import InspectLog
from registry.evaluations.formats.tables.open import open_table
from registry.evaluations.formats.tables.presets import load_mapping
from registry.sync.record_file import RecordFile

MUCH = 600 * 10**6
"""Bytes that a bomb unpacks to."""

PAGE = limits.PARQUET_PAGE + 10**6
"""Bytes of a page that is too large."""

# Reads a file in one of the ways of the registry; prints the error, and the memory it took in MB.
READ = """
import resource, sys
from pathlib import Path
from registry.errors import RegistryError
from registry.evaluations.formats import json_files, pickles
from registry.evaluations.formats.tables.open import open_table
from registry.sync.record_file import RecordFile

def table(path):
    opened = open_table(path)
    for batch in opened.batches(opened.columns):
        pass

def records(path):
    with RecordFile(path) as file:
        print(*(each.reason for each in file.rejected))

def peak():
    # Not of the kernel's count, which a child inherits.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024

ways = {
    "document": json_files.document, "keys": json_files.keys, "table": table, "records": records,
    "rows": lambda path: list(json_files.rows(path)), "pickle": pickles.load,
}
before = peak()
try:
    ways[sys.argv[1]](Path(sys.argv[2]))
except RegistryError as error:
    print(error)
print(peak() - before)
"""


def taken(way: str, path: Path) -> tuple[str, int]:
    """Read a file in a process of its own; return its message, and the memory that it took."""
    code, out, err = all_forks.forks().run("-c", READ, way, str(path))
    assert code == 0, err
    message, _, megabytes = out.strip().rpartition("\n")
    return message, int(megabytes)


def packed(path: Path, size: int, start: bytes = b"", unit: bytes = b" ") -> Path:
    """Write a gzip file of little size that unpacks to much."""
    piece = unit * (10**6 // len(unit))
    with gzip.open(path, "wb", compresslevel=6) as file:
        file.write(start)
        for _ in range(size // 10**6):
            file.write(piece)
    return path


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gzip file of 0.6 MB that unpacks to 600 MB of spaces."""
    return packed(tmp_path_factory.mktemp("bomb") / "bomb.gz", MUCH, b'[{"id": "acme/a", "x": "')


@pytest.mark.parametrize(
    ("way", "name"),
    [
        ("document", "results.json.gz"),
        ("rows", "samples.jsonl.gz"),
        ("table", "table.jsonl.gz"),
        ("table", "table.csv.gz"),
    ],
)
def test_a_gzip_file_of_little_size_is_refused_in_little_memory(
    bomb: Path, way: str, name: str
) -> None:
    path = bomb.with_name(name)
    path.hardlink_to(bomb)
    message, megabytes = taken(way, path)
    assert "it unpacks to more than" in message or "line has more than" in message
    assert megabytes < 200


def test_a_gzip_file_of_records_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    path = packed(
        tmp_path / "records.jsonl.gz",
        100 * 10**6,
        unit=b'{"id": "acme/a", "x": "%s"}\n' % (b" " * 1_000),
    )
    message, megabytes = taken("records", path)
    assert "it unpacks to more than" in message
    assert megabytes < 200


@pytest.mark.parametrize(
    ("way", "name", "said"),
    [
        ("rows", "samples.jsonl", "line 1: the line has more than 32 MB"),
        ("table", "table.jsonl", "more than 33,554,432 bytes"),
        ("table", "table.csv", "line 1: the line has more than 32 MB"),
        ("records", "records.jsonl", "line 1: it has more than 32 MB"),
        ("document", "results.json", "it has more than 512 MB"),
    ],
)
def test_one_line_without_end_is_not_read_to_its_end(
    tmp_path: Path, way: str, name: str, said: str
) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.write(b"x")
        file.truncate(MUCH if way == "document" else 100 * 10**6)
    message, megabytes = taken(way, path)
    assert said in message
    assert megabytes < 200 or way == "document"


def test_records_behind_a_line_without_end_are_read(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(b'{"id":"a/a"}\n' + b"x" * (limits.LINE + 5) + b'\n{"id":"a/b"}\n')
    with RecordFile(path) as file:
        assert [each.reason.partition(":")[0] for each in file.rejected] == [
            "records.jsonl, line 2"
        ]
        assert json.loads(file.page(None, 0, 10)) == [{"id": "a/a"}, {"id": "a/b"}]


def test_the_beginning_of_a_document_counts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DOCUMENT", 10)
    assert limits.content(tmp_path, io.BytesIO(b"3456789"), b"012") == b"0123456789"
    with pytest.raises(UnreadableFileError, match="the limit of a document"):
        limits.content(tmp_path, io.BytesIO(b"3456789x"), b"012")


def test_millions_of_values_are_no_document(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(b"[" + b"[]," * 12_000_000 + b"[]]")
    message, megabytes = taken("document", path)
    assert "more than 20,000,000 values" in message
    assert megabytes < 200


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 20_000 + "]" * 20_000])
def test_deep_json_is_an_error_of_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(UnreadableFileError):
        json_files.document(path)
    assert json_files.keys(path) <= {"a"}


@pytest.mark.parametrize(
    "text", ["[" * 20_000 + "]" * 20_000, "{a: " * 20_000 + "1" + "}" * 20_000]
)
def test_a_deep_mapping_is_an_error_of_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text(f"layouts: {text}")
    with pytest.raises(UnreadableFileError, match="nested more than 100 levels"):
        load_mapping(str(path))


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]\n"
    for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [LAUGHS, "a: &a [*a]", "a: &a {b: *a}", LAUGHS.replace("[", "{<<: [").replace("]", "]}")],
)
def test_aliases_without_end_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        yaml_text.load(text, yaml.SafeLoader)
    path = tmp_path / "laughs.yaml"
    path.write_text(text)
    with pytest.raises(UnreadableFileError):
        load_mapping(str(path))


def test_a_large_mapping_is_none(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text("a: 1\n" * 100_000)
    with pytest.raises(UnreadableFileError, match="at most 256 KB"):
        load_mapping(str(path))


def test_plain_aliases_are_read() -> None:
    assert yaml_text.load("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}", yaml.SafeLoader) == {
        "a": {"b": 1},
        "c": {"b": 1},
        "d": {"b": 1, "e": 2},
    }


def test_a_table_of_too_many_columns_is_refused(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(limits.COLUMNS + 1)]
    csv, lines = tmp_path / "wide.csv", tmp_path / "wide.jsonl"
    csv.write_text(",".join(names) + "\n")
    lines.write_text(json.dumps(dict.fromkeys(names, 1)) + "\n")
    for path in (csv, lines):
        with pytest.raises(UnreadableFileError, match="more than 200,000 columns"):
            open_table(path)


def parquet(path: Path, column: pa.Array, **options: object) -> Path:
    table = pa.table({"id": column})
    pq.write_table(table, path, compression="zstd", **options)
    return path


def test_a_page_that_unpacks_to_much_is_refused(tmp_path: Path) -> None:
    huge = pa.array(["x" * PAGE], pa.large_string())
    path = parquet(tmp_path / "page.parquet", huge, use_dictionary=False)
    assert path.stat().st_size < 10**6
    for way in ("table", "records"):
        message, megabytes = taken(way, path)
        assert "it has a page with" in message
        assert "write it again with smaller groups of rows" in message
        assert megabytes < 200


def test_a_dictionary_that_unpacks_to_much_is_refused(tmp_path: Path) -> None:
    huge = pa.array(["x" * PAGE, "y"], pa.large_string())
    path = parquet(tmp_path / "page.parquet", huge, dictionary_pagesize_limit=2 * PAGE)
    message, megabytes = taken("table", path)
    assert "it has a page with" in message
    assert megabytes < 200


def test_one_text_that_all_rows_share_is_not_written_out(tmp_path: Path) -> None:
    text = pa.array(["x" * 10**6], pa.string())
    shared = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), text)
    path = parquet(tmp_path / "shared.parquet", shared)
    assert path.stat().st_size < 10**5
    message, megabytes = taken("records", path)
    assert "the texts of these rows have more than 256 MB" in message
    assert megabytes < 200
    # A table is read by its dictionary.
    message, megabytes = taken("table", path)
    assert (message, megabytes < 200) == ("", True)


def test_lists_of_millions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PARQUET_LISTS", 1_000_000)
    offsets, values = pa.array([0, 1_000_001], pa.int32()), pa.array([0] * 1_000_001, pa.uint8())
    path = parquet(tmp_path / "lists.parquet", pa.ListArray.from_arrays(offsets, values))
    with pytest.raises(UnreadableFileError, match="lists of more than 1,000,000 values"):
        RecordFile(path).__enter__()


def test_bytes_that_are_no_text_are_an_error_of_the_file(tmp_path: Path) -> None:
    # As a program writes it that does not check its texts.
    texts = pa.array([b"org/a\xff", b"org/b"], pa.binary()).view(pa.string())
    path = parquet(tmp_path / "x.parquet", texts)
    with pytest.raises(UnreadableFileError, match="UTF8"):
        RecordFile(path).__enter__()
    table = open_table(path)
    with pytest.raises(UnreadableFileError, match="UTF8"):
        list(table.batches(["id"]))


def test_names_of_columns_that_are_no_text_are_an_error_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": ["a/a"], "note": ["b"]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"note", b"n\xffte"))
    with pytest.raises(UnreadableFileError, match="Parquet file"):
        open_table(path)
    with pytest.raises(UnreadableFileError, match="Parquet file"):
        RecordFile(path).__enter__()


@pytest.mark.parametrize("text", ["a\ud800", np.array([0x110000], np.uint32).view("U1")])
def test_what_is_no_character_is_an_error_of_a_pickle(tmp_path: Path, text: Any) -> None:
    path = tmp_path / "x.pkl"
    column = text if isinstance(text, np.ndarray) else np.array([text], object)
    path.write_bytes(pickle.dumps({"model": column}))
    with pytest.raises(UnreadableFileError):
        list(open_table(path).batches(["model"]))


def test_large_and_plain_parquet_files_are_read_as_before(tmp_path: Path) -> None:
    texts = [f"org/model-{number}" for number in range(50_000)]
    tags = [["a", f"b{number % 7}"] for number in range(50_000)]
    path = tmp_path / "records.parquet"
    table = pa.table({"id": texts, "tags": tags, "likes": list(range(50_000))})
    pq.write_table(table, path, row_group_size=9_000, data_page_size=1_000)
    with RecordFile(path) as file:
        assert file.size(None) == 50_000
        [record] = json.loads(file.page(None, 49_999, 1))
        assert record == {"id": "org/model-49999", "tags": ["a", "b5"], "likes": 49_999}


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # keeps a value at place 2^31 of its memory
        b"\x80\x05\x96" + (2**62).to_bytes(8, "little"),
        b"\x80\x04\x8e" + (2**40).to_bytes(8, "little"),
        b"(" * 10**6 + b"l" * 10**6 + b".",
    ],
)
def test_a_pickle_that_asks_for_all_memory_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(content)
    message, megabytes = taken("pickle", path)
    assert str(path) in message
    assert megabytes < 600


def test_memory_is_not_limited_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"a": 1}))
    assert pickles.load(path) == {"a": 1}
    assert len(bytearray(2 * limits.PICKLE)) > limits.PICKLE


def zipped(path: Path, change: Callable[[zipfile.ZipInfo], None] | None = None) -> Path:
    info = zipfile.ZipInfo("header.json")
    info.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, b" " * (limits.EXPANDED + 10**6))
        if change is not None:
            change(info)
    return path


def test_a_member_of_an_archive_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="unpacks to more than 200 times its size"):
        InspectLog(zipped(tmp_path / "x.eval"))


def test_an_archive_of_a_later_kind_or_with_a_password_is_an_error(tmp_path: Path) -> None:
    def later(info: zipfile.ZipInfo) -> None:
        info.extract_version = 84

    def locked(info: zipfile.ZipInfo) -> None:
        info.flag_bits |= 1

    for number, change in enumerate((later, locked)):
        with pytest.raises(UnreadableFileError):
            InspectLog(zipped(tmp_path / f"{number}.eval", change))
