from factories import NOON, counters, document, edge, family, model, rows, stub
from sqlalchemy import Connection


def test_a_model_comes_with_counters_family_and_documents(connection: Connection) -> None:
    base = model(connection, "org/base", license="mit")
    child = model(
        connection,
        "me/child",
        license="apache-2.0",
        parameters=7_000_000_000,
        parameters_source="safetensors",
        model_type="qwen2",
        unread=["safetensors"],
    )
    counters(connection, child, downloads=10, downloads_all_time=100, likes=2, trending_score=0.5)
    document(connection, child, card={"license": "apache-2.0"}, config={"model_type": "qwen2"})
    edge(connection, child, base)
    family(connection, base, base)
    family(connection, child, base, parent=base, generation=1)
    assert rows(
        connection,
        """
        SELECT author, state, license, parameters, downloads, downloads_all_time, likes,
               trending_score, created_at, family_root, generation, architecture, unread_fields,
               card ->> 'license', config ->> 'model_type'
          FROM registry.models WHERE name = 'me/child'""",
    ) == [
        (
            *("me", "available", "apache-2.0", 7_000_000_000, 10, 100, 2, 0.5, NOON),
            *("org/base", 1, "qwen", ["safetensors"], "apache-2.0", "qwen2"),
        )
    ]
    assert rows(connection, "SELECT DISTINCT family FROM registry.models") == [(base,)]


def test_a_stub_is_there_with_hardly_anything(connection: Connection) -> None:
    stub(connection, "org/unseen")
    assert rows(
        connection,
        "SELECT name, state, last_modified, created_at, downloads, family, tags, card"
        "  FROM registry.models",
    ) == [("org/unseen", "stub", None, None, None, None, [], None)]
