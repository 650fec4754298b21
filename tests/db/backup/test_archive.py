"""Manifests of backups: whatever a file ends with, a sentence says what is wrong with it."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.db.backup import archive
from registry.db.backup.archive import BackupError, BackupManifest, Contents, Role

MANIFEST = BackupManifest(
    made_by="0.1.0",
    made_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    revision="0013",
    server=180006,
    dumped_by=18,
    user="registry",
    size=1,
    extensions={"vector": "public"},
    roles=[Role("registry_reader", login=False, superuser=False, member_of=[])],
    tables={"store.models": Contents(3, "00ff")},
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


def written(at: Path, body: bytes, dump: bytes = b"PGDMP...") -> Path:
    at.write_bytes(dump + body + len(body).to_bytes(8, "big") + b"LLM-REGISTRY-BKP")
    return at


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "-x"
    file.write_bytes(b"PGDMP...")
    stored = archive.append(file, MANIFEST)
    assert archive.read(file) == stored
    assert (stored.length, stored.rows, stored.tables) == (8, 3, MANIFEST.tables)
    archive.verify(file, stored)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.sampled_from(["product", "format", *BackupManifest.__slots__]), value=VALUES)
def test_any_other_value_is_read_or_refused_by_a_sentence(
    tmp_path: Path, field: str, value: Any
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"PGDMP...")
    archive.append(file, MANIFEST)
    body = orjson.loads(file.read_bytes()[8:-24])
    written(file, json.dumps({**body, field: value}).encode())
    with suppress(BackupError):
        assert isinstance(archive.read(file), BackupManifest)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_other_bytes_are_refused_by_a_sentence(tmp_path: Path, body: bytes) -> None:
    for file in (written(tmp_path / "one", body), tmp_path / "two"):
        if file.name == "two":
            file.write_bytes(body)
        with pytest.raises(BackupError):
            archive.read(file)


def test_a_manifest_nested_for_ever_or_of_any_length_is_refused(tmp_path: Path) -> None:
    nested = written(tmp_path / "nested", b'{"product":' + b"[" * 100_000)
    with pytest.raises(BackupError, match="is damaged"):
        archive.read(nested)
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1 << 32)
        file.seek(0, 2)
        file.write((1 << 31).to_bytes(8, "big") + b"LLM-REGISTRY-BKP")
    with pytest.raises(BackupError, match="is not a backup"):
        archive.read(large)
