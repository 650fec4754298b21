"""Pickles read as data: arrays and tables as numpy and pandas write them, and hostile ones."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import UnreadableFileError
from registry.evaluations.formats import pickles, tables
from registry.evaluations.formats.detect import Reader
from registry.evaluations.records import Block, Notes

PROTOCOLS = (2, 3, 4, 5)


def written(folder: Path, value: Any, protocol: int = 4, name: str = "x.pkl") -> Path:
    path = folder / name
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


def frame(columns: dict[str, Any]) -> pd.DataFrame:
    """Return a table whose texts are objects, as those of pandas before version 3."""
    series = {}
    for name, values in columns.items():
        texts = any(isinstance(value, str) for value in values)
        array = np.array(values, object if texts else None)
        series[name] = pd.Series(array, dtype=array.dtype)
    table = pd.DataFrame(series)
    table.columns = pd.Index(np.array(list(columns), object), dtype=object)
    return table


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int64).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        np.array([True, False]),
        np.array(["a", None, 1.5], object),
        np.array(["long", "x"]),
        np.arange(3, dtype=">f8"),
    ],
    ids=["ints", "fortran", "bools", "objects", "texts", "big-endian"],
)
def test_arrays(tmp_path: Path, protocol: int, array: Any) -> None:
    content = pickles.load(written(tmp_path, {"a": [array, np.float64(1.5)]}, protocol))
    np.testing.assert_array_equal(content["a"][0], array)
    assert content["a"][1] == 1.5


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tables(tmp_path: Path, protocol: int) -> None:
    columns = {
        "sample_id": ["x.1", "x.2"],
        "gpt-4": [1.0, 0.5],
        "n": [1, 2],
        "ok": [True, False],
        "m": [0.25, np.nan],
        "text": ["a", None],
    }
    table = frame(columns)
    content = pickles.load(written(tmp_path, table, protocol))
    assert list(content) == list(columns)
    for name, values in columns.items():
        np.testing.assert_array_equal(content[name], np.array(values, content[name].dtype))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("storage", ["pyarrow", "python"])
@pytest.mark.parametrize("missing", [np.nan, pd.NA], ids=["nan", "na"])
def test_texts_of_pandas_3(tmp_path: Path, protocol: int, storage: Any, missing: Any) -> None:
    kind = pd.StringDtype(storage, na_value=missing)
    texts = {"é|x": ["a", None, "日本", ""], "y": ["1", "2", "3", "4"]}
    table = pd.DataFrame(texts).astype(kind)
    table["score"] = [1.0, 0.5, np.nan, 0.0]
    table.columns = pd.Index(list(table.columns), dtype=kind)
    content = pickles.load(written(tmp_path, table, protocol))
    assert {name: content[name].tolist() for name in texts} == texts
    np.testing.assert_array_equal(content["score"], table["score"])
    part = pickles.load(written(tmp_path, table[1:3], protocol))
    assert part["é|x"].tolist() == [None, "日本"]
    both = pd.concat([table, table[:1]], ignore_index=True)
    assert pickles.load(written(tmp_path, both, protocol))["y"].tolist() == [*"12341"]


def test_texts_whose_offsets_lead_out_of_their_memory(tmp_path: Path) -> None:
    whole = pickle.dumps(pd.DataFrame({"a": ["xy", "z"]}), protocol=4)
    offsets = np.array([0, 2, 3], np.int64).tobytes()
    assert whole.count(offsets) == 1
    path = tmp_path / "x.pkl"
    for bad in ([0, 2, 1 << 40], [0, -5, 3], [7, 2, 3]):
        path.write_bytes(whole.replace(offsets, np.array(bad, np.int64).tobytes()))
        with pytest.raises(UnreadableFileError, match="not a whole pickle of tables"):
            pickles.load(path)


def test_columns_of_other_kinds_are_named(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": pd.Categorical(["u", "v"])})
    with pytest.raises(UnreadableFileError, match="a column is of the kind Categorical"):
        pickles.load(written(tmp_path, table))


@given(
    columns=st.dictionaries(
        st.text("abc|/", min_size=1),
        st.one_of(
            st.lists(st.floats(0, 1), min_size=3, max_size=3),
            st.lists(st.integers(0, 9), min_size=3, max_size=3),
            st.lists(st.text(max_size=3), min_size=3, max_size=3),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_tables_are_those_of_pandas(
    tmp_path_factory: pytest.TempPathFactory, columns: dict[str, Any]
) -> None:
    path = written(tmp_path_factory.mktemp("pickles"), frame(columns))
    content = pickles.load(path)
    assert {name: values.tolist() for name, values in content.items()} == columns


def test_routerbench_as_published(tmp_path: Path) -> None:
    table = frame({
        "sample_id": ["mbpp.1", "mbpp.2"],
        "prompt": ["['Write']", "['Read']"],
        "eval_name": ["mbpp", "mbpp"],
        "gpt-4": [1.0, 0.5],
        "acme/m": [0.0, np.nan],
        "gpt-4|model_response": ["def", "x"],
        "acme/m|model_response": ["pass", None],
        "gpt-4|total_cost": [0.1, 0.2],
        "acme/m|total_cost": [0.1, 0.2],
        "oracle_model_to_route_to": ["gpt-4", "gpt-4"],
    })  # fmt: skip
    path = written(tmp_path, table, name="routerbench_0shot.pkl")
    reader = Reader()
    assert reader.format_of(path) == "table"
    mapping = tables.detect(path)
    assert mapping is not None
    assert mapping.name == "routerbench"
    (block,) = reader.read(path, "table", Notes())
    assert isinstance(block, Block)
    gpt, other = block.runs
    assert gpt.outcomes is not None
    assert gpt.outcomes.tolist() == [1.0, 0.5]
    np.testing.assert_equal(other.outcomes, np.array([0, np.nan], np.float32))
    assert (gpt.answers, other.answers) == (["def", "x"], ["pass", None])
    assert gpt.setup.shots == 0


class Hostile:
    """What runs a program when it is unpickled as usual."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


@pytest.mark.parametrize("inside", [False, True])
def test_nothing_is_run(tmp_path: Path, inside: bool) -> None:  # noqa: FBT001 - a parameter
    mark = tmp_path / "mark"
    hostile = Hostile(f"touch {mark}")
    path = written(tmp_path, np.array([hostile], object) if inside else {"a": hostile})
    with pytest.raises(UnreadableFileError, match="it holds posix.system"):
        pickles.load(path)
    assert not mark.exists()
    assert Reader().format_of(path) is None
    assert not mark.exists()


def lists(depth: int) -> list[Any]:
    value: list[Any] = [1]
    for _ in range(depth):
        value = [value, value]
    return value


def test_shared_parts_are_not_multiplied(tmp_path: Path) -> None:
    content = pickles.load(written(tmp_path, lists(60)))
    assert content[0] is content[1]


def test_a_list_in_itself_is_refused(tmp_path: Path) -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(UnreadableFileError, match="larger or deeper"):
        pickles.load(written(tmp_path, value))


@pytest.mark.parametrize("content", [b"", b"x", b"\x80\x04.", b"cos\nsystem\n(S'x'\ntR."])
def test_what_is_no_pickle_of_data(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError, match="not a whole pickle of tables or arrays"):
        pickles.load(path)


def test_a_pickle_of_something_else_is_no_table(tmp_path: Path) -> None:
    path = written(tmp_path, [1, 2])
    assert Reader().format_of(path) is None
    with pytest.raises(UnreadableFileError, match="a pickle of something else than a table"):
        tables.detect(path)


@given(at=st.integers(0, 3000), turned=st.integers(0, 255))
def test_damage_is_an_error_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, at: int, turned: int
) -> None:
    path = written(tmp_path_factory.mktemp("pickles"), frame({"model": ["a"], "acc": [0.5]}))
    whole = bytearray(path.read_bytes())
    at %= len(whole)
    whole[at] ^= turned
    path.write_bytes(whole if turned else whole[:at])
    try:
        pickles.load(path)
    except UnreadableFileError as error:
        assert error.path == path  # noqa: PT017 - or it is whole
