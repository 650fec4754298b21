from math import sqrt
from typing import Any

import pytest
from factories import alias, edge, model, refresh_features, rows
from sqlalchemy import Connection

SIMILARITY = "SELECT feature, lineage, combined, learned FROM registry.similarity(:a, :b)"


@pytest.fixture
def catalog(connection: Connection) -> Connection:
    """A base, two fine-tunes of it, a quantization, two merges, and models with other features."""
    made: dict[str, dict[str, Any]] = {
        "base": {"tags": ["x", "y"]},
        "tune": {"tags": ["x", "y"]},
        "other-tune": {"tags": ["y", "z"]},
        "gguf": {"tags": ["q"]},
        "merge": {"tags": ["x"]},
        "other-merge": {},
        "stranger": {"tags": ["x", "y", "z", "w"]},
    }
    for name, columns in made.items():
        model(connection, name, **columns)
    for child, parent, relation in (
        ("tune", "base", "finetune"),
        ("other-tune", "base", "finetune"),
        ("gguf", "tune", "quantized"),
        ("merge", "tune", "merge"),
        ("other-merge", "tune", "merge"),
    ):
        edge(connection, child, parent, relation)
    alias(connection, "base", "old base")
    refresh_features(connection)
    return connection


@pytest.mark.parametrize(
    ("a", "b", "feature", "lineage"),
    [
        ("base", "tune", 1, 0.8),
        ("tune", "gguf", 0, 0.8),
        ("tune", "other-tune", 1 / 2, 0.6),
        ("merge", "tune", 1 / sqrt(2), 0.7),
        ("merge", "other-merge", 0, 0.5),
        ("gguf", "base", 0, 0),
        ("base", "stranger", 2 / sqrt(2 * 4), 0),
        ("OLD BASE", "tune", 1, 0.8),
        ("tune", "tune", 1, 1),
        ("other-merge", "other-merge", 1, 1),
    ],
)
def test_features_and_lineage_and_both(
    catalog: Connection, a: str, b: str, feature: float, lineage: float
) -> None:
    stated = [
        pytest.approx((feature, lineage, (feature + lineage) / 2), abs=1e-6),
    ]
    for first, second in ((a, b), (b, a)):
        found = rows(catalog, SIMILARITY, a=first, b=second)
        assert [row[:3] for row in found] == stated
        assert found[0][3] is None, "nothing has been learned yet"


def test_the_strongest_relation_counts(catalog: Connection) -> None:
    edge(catalog, "merge", "tune", "finetune")
    assert rows(catalog, SIMILARITY, a="merge", b="tune")[0][1] == 0.8


def test_the_weights_are_the_users(catalog: Connection) -> None:
    catalog.exec_driver_sql("UPDATE store.similarity_weights SET weight = 1 WHERE name = 'feature'")
    catalog.exec_driver_sql("UPDATE store.similarity_weights SET weight = 0 WHERE name = 'parent'")
    assert rows(catalog, SIMILARITY, a="tune", b="base") == [pytest.approx((1, 0, 1, None))]


@pytest.mark.parametrize("name", ["nobody", None])
def test_an_unknown_model_is_like_nothing(catalog: Connection, name: str | None) -> None:
    assert rows(catalog, SIMILARITY, a="base", b=name) == []
    assert rows(catalog, SIMILARITY, a=name, b="base") == []
    assert rows(catalog, "SELECT name FROM registry.similar_models(:a)", a=name) == []


def test_the_most_alike_come_first(catalog: Connection) -> None:
    found = rows(catalog, "SELECT name, feature, lineage FROM registry.similar_models('base')")
    assert [row[0] for row in found][:4] == ["tune", "other-tune", "merge", "stranger"]
    assert [row[1:] for row in found][:4] == [
        pytest.approx(expected, abs=1e-6)
        for expected in ((1, 0.8), (1 / 2, 0.8), (1 / sqrt(2), 0), (1 / sqrt(2), 0))
    ]


def test_what_is_found_is_what_similarity_says(catalog: Connection) -> None:
    """Of all models that are like one at all, in the order of how much they are."""
    names = [name for (name,) in rows(catalog, "SELECT name FROM registry.models")]
    for name in names:
        alike = {
            other: rows(catalog, SIMILARITY, a=name, b=other)[0][2]
            for other in names
            if other != name
        }
        found: dict[str, float] = dict(
            rows(
                catalog,
                "SELECT name, combined FROM registry.similar_models(:name, 100)",
                name=name,
            )
        )
        assert {other: alike[other] for other in found} == pytest.approx(found, abs=1e-6)
        assert {other for other, much in alike.items() if much > 1e-6} <= set(found)
        assert list(found.values()) == sorted(found.values(), reverse=True)


def test_a_model_without_features_is_found_by_its_lineage(catalog: Connection) -> None:
    query = "SELECT name, feature, lineage FROM registry.similar_models('other-merge')"
    assert rows(catalog, query) == [("tune", 0, 0.7), ("gguf", 0, 0.5), ("merge", 0, 0.5)]


@pytest.mark.parametrize(("k", "number"), [(2, 2), (0, 0), (-1, 0), (None, 6)])
def test_not_more_come_than_wanted(catalog: Connection, k: int | None, number: int) -> None:
    query = "SELECT count(*) FROM registry.similar_models('tune', :k)"
    assert rows(catalog, query, k=k)[0][0] == min(number, 6)
