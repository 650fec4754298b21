"""Keys of JSON files, whole and broken."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.evaluations.formats import json_files

CONTENT = {"version": 2, "status": "success", "eval": {"task": "t"}, "samples": [1, {"a": "b"}]}


def written(folder: Path, text: str | bytes, name: str = "x.json") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_keys_of_an_object(tmp_path: Path) -> None:
    text = json.dumps(CONTENT)
    assert json_files.keys(written(tmp_path, text)) == CONTENT.keys()
    packed = gzip.compress(text.encode())
    assert json_files.keys(written(tmp_path, packed, "x.json.gz")) == CONTENT.keys()
    assert json_files.keys(written(tmp_path, '{"a": NaN}', "y.json")) == {"a"}


def test_keys_follow_a_change_of_the_file(tmp_path: Path) -> None:
    assert json_files.keys(written(tmp_path, '{"a": 1}')) == {"a"}
    assert json_files.keys(written(tmp_path, '{"bb": 1}')) == {"bb"}


@pytest.mark.parametrize(
    "text", ["", "[1]", "3", "x", "{", '{"', "{1: 2}", '{{"a": 1}', "{[1]: 2}"]
)
def test_other_files_have_no_keys(tmp_path: Path, text: str) -> None:
    assert json_files.keys(written(tmp_path, text)) == frozenset()


def test_a_missing_file_has_no_keys(tmp_path: Path) -> None:
    assert json_files.keys(tmp_path / "x.json") == frozenset()


@given(
    content=st.dictionaries(
        st.text(max_size=3), st.recursive(st.integers() | st.text(), st.lists), max_size=4
    ),
    cut=st.integers(0, 200),
)
def test_keys_before_a_cut(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any], cut: int
) -> None:
    text = json.dumps(content)
    part = text[: min(cut, len(text) - 1)]
    keys = json_files.keys(written(tmp_path_factory.mktemp("keys"), part))
    whole = [key for key in content if f"{json.dumps(key)}: " in part]
    assert keys <= content.keys()
    assert len(keys) >= len(whole) - 1 or not whole
