"""Merge of stubs, over every column of the schema that holds the key of a model."""

from datetime import datetime
from typing import Any

import pytest
import scored
from evaluated import grid, write
from factories import NOON, alias, edge, model, rows, stub
from learned import drawn, kept
from priced import offer
from sqlalchemy import BigInteger, Column, Connection, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from registry.catalog.merge import DERIVED, KEPT, KEYS, STATED, drop_stubs, merge_stub
from registry.db import schema

OTHER_KEYS = {
    "answers.run_id", "feature_sets.feature_set_id", "job_runs.job_run_id",
    "model_features.feature_set_id", "route_decisions.decision_id", "runs.run_id",
    "restated_runs.run_id", "score_changes.run_id", "shown_runs.run_id",
}  # fmt: skip
"""Keys of other things than models."""

NOT_MOVED = {
    "models.model_id",
    # Computed again with the families of the children.
    "model_families.family_id",
    "model_families.primary_parent_id",
    # Moved with the vector of the stub.
    "embeddings.near_ids",
    # Watermarks.
    "priors.newest_model_id",
    "prediction_versions.newest_model_id",
    # Evidence is of models that are there; the next fit names them again.
    "abilities.near_ids",
    # Of listed models alone.
    "pending_edges.child_id",
    "sweep_pages.model_ids",
}


def test_every_key_of_a_model_is_handled() -> None:
    """A new table or column fails here until it is moved, or stated as an exception."""
    keys = {
        f"{table.name}.{column.name}"
        for table in schema.metadata.sorted_tables
        for column in table.columns
        if column.name.endswith(("_id", "_ids")) and _holds_keys(column)
    }
    assert keys == KEYS.keys() | OTHER_KEYS | NOT_MOVED
    assert KEYS.keys() >= {*DERIVED, *STATED}


def _holds_keys(column: Column[Any]) -> bool:
    kind = column.type
    return isinstance(kind.item_type if isinstance(kind, ARRAY) else kind, BigInteger)


@pytest.fixture
def filled(connection: Connection) -> Connection:
    """A stub with a row in every table that has keys of models."""
    version = kept(connection, drawn(1), ["org/stub"], serving=drawn(1))
    connection.exec_driver_sql(
        f"CREATE TABLE store.route_models_{version} PARTITION OF store.route_models"
        f" FOR VALUES IN ({version})"
    )
    connection.execute(
        text(f"""
        INSERT INTO store.route_models
        SELECT model_id, {version}, 1, 0.5, 9, '[1]' FROM store.models""")
    )
    write(connection, grid("b", {"org/stub": [1, 0]}))
    connection.execute(schema.models.update().values(state="stub"))
    key = connection.scalar(select(schema.models.c.model_id))
    assert isinstance(key, int)
    alias(connection, key, "nickname")
    edge(connection, "org/child", key)
    edge(connection, key, "org/parent")
    scored.version(connection)
    connection.execute(
        text("""
        INSERT INTO store.fitted_scores
        SELECT :key, version_id, 1, 0.5, 0, 0.4, 1, 3 FROM store.prediction_versions"""),
        {"key": key},
    )
    offer(connection, "org/stub", key)
    connection.exec_driver_sql("""
        INSERT INTO store.domain_sets OVERRIDING SYSTEM VALUE VALUES (1, 'ours', NULL, 'user');
        INSERT INTO store.domains VALUES (1, 1, 'sums', false)""")
    for column in KEYS.values():
        if _count(connection, column, key) == 0:
            connection.execute(column.table.insert().values(_row(column, key)))
    return connection


def _row(key: Column[int], model_id: int) -> dict[str, Any]:
    needed = (
        column
        for column in key.table.columns
        if not column.nullable and column.server_default is None and column.identity is None
    )
    return {column.name: _value(column) for column in needed} | {key.name: model_id}


def _value(column: Column[Any]) -> Any:
    return {int: 1, str: "x", float: 0.5, datetime: NOON, bool: False}[column.type.python_type]


def _count(connection: Connection, column: Column[int], model_id: int) -> int:
    query = select(func.count()).select_from(column.table).where(column == model_id)
    return int(connection.execute(query).scalar_one())


def test_no_row_of_a_merged_stub_is_lost_or_left(filled: Connection) -> None:
    keys = dict(rows(filled, "SELECT name, model_id FROM store.models"))
    gone, into = keys["org/stub"], model(filled, "org/model")
    before = {key: _count(filled, column, gone) for key, column in KEYS.items()}
    assert all(before.values())
    children = merge_stub(filled, gone, into=into, source="user", as_of=NOON)
    assert children == [keys["org/child"]]
    assert not any(_count(filled, column, gone) for column in KEYS.values())
    # The name of the stub is one alias more; what leaderboards show follows from the moved run.
    assert {key: _count(filled, column, into) for key, column in KEYS.items()} == {
        **before, **dict.fromkeys(DERIVED, 0), "model_aliases.model_id": 2, "shown_runs.model_id": 1
    }  # fmt: skip
    assert rows(filled, "SELECT name FROM store.models WHERE state = 'stub'") == []


@pytest.mark.parametrize(("of_stub", "of_model", "kept_of"), [(3, 1, "stub"), (1, 3, "model")])
def test_abilities_are_those_of_more_scores(
    filled: Connection, of_stub: int, of_model: int, kept_of: str
) -> None:
    keys = dict(rows(filled, "SELECT name, model_id FROM store.models"))
    gone, into = keys["org/stub"], model(filled, "org/model")
    filled.execute(
        text("""
        INSERT INTO store.abilities
        SELECT :into, version_id, kind, score_count, support, '[7]', spread, scale, blocks,
               near_ids, near_weights
          FROM store.abilities WHERE model_id = :gone"""),
        {"into": into, "gone": gone},
    )
    for key, count in ((gone, of_stub), (into, of_model)):
        filled.execute(
            text("UPDATE store.abilities SET score_count = :count WHERE model_id = :key"),
            {"key": key, "count": count},
        )
    filled.execute(text("DELETE FROM store.fitted_scores"))
    filled.execute(
        text("""
        INSERT INTO store.fitted_scores
        SELECT k.key, v.version_id, k.benchmark, 0.5, 0, 0, 1, 1
          FROM store.prediction_versions v
         CROSS JOIN (VALUES (CAST(:gone AS bigint), 1), (:gone, 2), (:into, 2), (:into, 3))
                    AS k (key, benchmark)"""),
        {"into": into, "gone": gone},
    )
    merge_stub(filled, gone, into=into, source="user", as_of=NOON)
    # With the scores that they rest on: those of the other are found to have come.
    scores = rows(filled, "SELECT model_id, benchmark_id FROM store.fitted_scores ORDER BY 2")
    assert scores == [(into, each) for each in ((1, 2) if kept_of == "stub" else (2, 3))]
    ((count, vector),) = rows(
        filled,
        "SELECT score_count, vector::text FROM store.abilities WHERE model_id = :key",
        key=into,
    )
    assert (count, vector) == (3, "[0.3]" if kept_of == "stub" else "[7]")


def test_prices_outlive_a_stub_that_nothing_names(connection: Connection) -> None:
    gone = stub(connection, "gpt-4o")
    offer(connection, "gpt-4o", gone)
    assert drop_stubs(connection, [gone]) == ["gpt-4o"]
    offers = rows(connection, "SELECT name, model_id, method, confidence FROM store.price_offers")
    assert offers == [("gpt-4o", None, None, None)]


def test_a_model_keeps_its_own_rows(filled: Connection) -> None:
    (gone,) = rows(filled, "SELECT model_id FROM store.models WHERE name = 'org/stub'")[0]
    into = model(filled, "org/model")
    filled.execute(schema.counters.insert().values(model_id=into, downloads=7))
    filled.execute(schema.documents.insert().values(model_id=into, card={"own": 1}))
    alias(filled, into, "nickname", confidence=0.25)
    merge_stub(filled, gone, into=into, source="user", as_of=NOON)
    assert rows(filled, "SELECT downloads FROM store.counters") == [(7,)]
    assert rows(filled, "SELECT card FROM store.documents") == [({"own": 1},)]
    assert rows(filled, "SELECT alias, confidence FROM store.model_aliases ORDER BY 1") == [
        ("nickname", 0.25), ("org/stub", 1.0)
    ]  # fmt: skip


def test_vectors_that_rest_on_a_merged_stub_rest_on_the_model(connection: Connection) -> None:
    kept(connection, drawn(3), ["org/other", "org/stub", "org/placed"])
    keys = dict(rows(connection, "SELECT name, model_id FROM store.models"))
    connection.execute(
        schema.embeddings.update()
        .where(schema.embeddings.c.model_id == keys["org/placed"])
        .values(kind="cold", near_ids=[keys["org/other"], keys["org/stub"]], near_weights=[1, 1])
    )
    into = model(connection, "org/model")
    merge_stub(connection, keys["org/stub"], into=into, source="user", as_of=NOON)
    assert rows(connection, "SELECT near_ids FROM store.embeddings WHERE kind = 'cold'") == [
        ([keys["org/other"], into],)
    ]


def test_a_stub_that_nothing_names_is_removed_with_all_its_rows(filled: Connection) -> None:
    (gone,) = rows(filled, "SELECT model_id FROM store.models WHERE name = 'org/stub'")[0]
    for key in STATED:
        assert drop_stubs(filled, [gone]) == []
        filled.execute(KEYS[key].table.delete().where(KEYS[key] == gone))
    unnamed, listed = stub(filled, "org/unnamed"), model(filled, "org/listed")
    assert drop_stubs(filled, [gone, unnamed, listed]) == ["org/stub", "org/unnamed"]
    # A listed change of a score has the name of its model.
    left = {key for key, column in KEYS.items() if _count(filled, column, gone)}
    assert left == set(KEPT)
