import pytest
from factories import model, rows, stub
from sqlalchemy import Connection

FEATURES = "SELECT kind, feature, value FROM registry.features ORDER BY kind, feature"


def test_size_architecture_task_and_tags(connection: Connection) -> None:
    model(
        connection,
        "org/a",
        parameters=16_000_000,
        model_type="qwen2",
        pipeline_tag="text-generation",
        tags=["gguf", "Chat", "text-generation", "qwen", "region:us", "license:mit"],
    )
    assert rows(connection, FEATURES) == [
        ("architecture", "architecture:qwen", 1),
        ("parameters", "parameters", 0.33),
        ("tag", "tag:chat", 1),
        ("tag", "tag:gguf", 1),
        ("task", "task:text-generation", 1),
    ]


@pytest.mark.parametrize(
    ("parameters", "value"),
    [(1_000_000, 0), (2_000_000, 0.08), (7_000_000_000, 1.06), (5, 0), (400 * 10**9, 1.55)],
)
def test_size_counts_doublings_from_a_million(
    connection: Connection, parameters: int, value: float
) -> None:
    model(connection, "org/a", parameters=parameters)
    assert rows(connection, FEATURES) == [("parameters", "parameters", value)]


def test_what_is_not_known_is_no_feature(connection: Connection) -> None:
    stub(connection, "org/unseen")
    model(connection, "org/zero", parameters=0)
    assert rows(connection, FEATURES) == []


def test_a_tag_in_two_spellings_is_one_feature(connection: Connection) -> None:
    model(connection, "org/a", tags=["Chat", "chat", "chat"])
    assert rows(connection, FEATURES) == [("tag", "tag:chat", 1)]


def test_not_more_than_two_hundred_tags_count(connection: Connection) -> None:
    model(connection, "org/a", tags=[f"t{n}" for n in range(300)])
    assert rows(connection, "SELECT count(*) FROM registry.features") == [(200,)]
