"""Every query of the cookbook, on a catalog small enough to know the answers by eye."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from databases import REPOSITORY
from evaluated import block, items, run, write
from factories import NOON, alias, counters, edge, history, model, refresh_features, rows, stub
from sqlalchemy import Connection, text

from registry.catalog import families
from registry.evaluations.records import Item, Source

BASE = "mistralai/Mistral-7B-v0.1"
TEXT = (REPOSITORY / "docs" / "cookbook.md").read_text()
QUERIES = {
    section.partition("\n")[0]: query
    for section in TEXT.split("\n## ")[1:]
    for query in re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
}
DAY = timedelta(days=1)


@pytest.fixture
def catalog(connection: Connection) -> Connection:
    """A family of a base and its offspring, a merge across families, and models on their own."""
    made: dict[str, dict[str, Any]] = {
        BASE: {"license": "apache-2.0", "parameters": 7_000_000_000, "downloads": 1000},
        "me/chat": {"license": "mit", "parameters": 7_000_000_000, "downloads": 500},
        "me/chat-2": {"license": None, "parameters": 7_000_000_000, "downloads": 200},
        "me/closed": {"license": "cc-by-nc-4.0", "parameters": 7_000_000_000, "downloads": 150},
        "q/chat-GGUF": {"license": "apache-2.0", "tags": ["gguf"], "downloads": 90},
        "q/chat-2-GGUF": {"license": "mit", "tags": ["gguf"], "downloads": 95},
        "q/silent-GGUF": {"license": None, "tags": ["gguf"], "downloads": None},
        "q/silent-2-GGUF": {"license": None, "tags": ["gguf"], "downloads": 99},
        "q/closed-GGUF": {"license": None, "tags": ["gguf"], "downloads": 98},
        "q/gone-GGUF": {"license": "mit", "tags": ["gguf"], "downloads": 97, "state": "gone"},
        "q/chat-AWQ": {"license": "mit", "tags": ["awq"], "downloads": 96},
        "q/base-GGUF": {"license": "mit", "tags": ["gguf"], "downloads": 94},
        "other/root": {"license": "llama2", "parameters": 13_000_000_000, "downloads": 300},
        "other/unknown": {"license": None, "downloads": 120},
        "me/merge": {"license": "mit", "downloads": 110},
        "me/agreed": {"license": "mit", "downloads": 105},
    }
    keys = []
    for name, columns in made.items():
        downloads = columns.pop("downloads")
        keys.append(
            model(
                connection,
                name,
                pipeline_tag="text-generation",
                quantization="gguf" if columns.get("tags") == ["gguf"] else None,
                **columns,
            )
        )
        counters(connection, name, downloads=downloads)
    keys.append(stub(connection, "other/unseen"))
    for child, parent, relation in (
        ("me/chat", BASE, "finetune"),
        ("me/chat-2", "me/chat", "finetune"),
        ("me/closed", BASE, "finetune"),
        ("q/chat-GGUF", "me/chat", "quantized"),
        ("q/chat-2-GGUF", "me/chat-2", "quantized"),
        ("q/silent-GGUF", "me/chat", "quantized"),
        ("q/silent-2-GGUF", "me/chat-2", "quantized"),
        ("q/closed-GGUF", "me/closed", "quantized"),
        ("q/gone-GGUF", "me/chat", "quantized"),
        ("q/chat-AWQ", "me/chat", "quantized"),
        ("q/base-GGUF", BASE, "quantized"),
        ("me/merge", BASE, "merge"),
        ("me/merge", "other/root", "merge"),
        ("me/merge", "other/unknown", "merge"),
        ("me/agreed", BASE, "merge"),
        ("me/agreed", "q/chat-GGUF", "merge"),
        ("me/agreed", "other/unseen", "merge"),
    ):
        position = int(parent != BASE)
        edge(connection, child, parent, relation, position=position)
        edge(connection, child, parent, relation, source="card", confidence=0.9)
    alias(connection, BASE, "mistralai/old-name")
    families.refresh_families(connection, keys)
    return connection


def answer(connection: Connection, title: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(text(QUERIES[title].replace(":", r"\:")))]


def test_gguf_quantizations_of_fine_tunes(catalog: Connection) -> None:
    assert answer(
        catalog, "GGUF quantizations of fine-tunes of a base, under a permissive licence"
    ) == [
        ("q/chat-2-GGUF", "me/chat-2", "mit", 95),
        ("q/chat-GGUF", "me/chat", "apache-2.0", 90),
        ("q/silent-GGUF", "me/chat", "mit", None),
    ]


def test_the_fastest_growing_models(catalog: Connection) -> None:
    for name, line in {
        # Between two rows the earlier holds: 600 a month ago, not 100 or 999.
        BASE: [(-90, 100), (-40, 600), (-20, 999), (0, 1000)],
        "me/chat": [(-35, 0), (-1, 500)],
        "me/closed": [(-60, 160), (-2, 150)],
        "me/chat-2": [(-20, 1), (0, 200)],  # not known a month ago
        "q/chat-GGUF": [(-40, 1), (0, 90)],  # too few
        "other/root": [(-300, 300)],  # unchanged since
        "other/unknown": [(-31, 100), (-3, 120)],
    }.items():
        for days, downloads in line:
            history(catalog, name, NOON + days * DAY, downloads=downloads)
    assert answer(catalog, "The ten fastest-growing models of the last month") == [
        ("me/chat", 0, 500, 500, None),
        (BASE, 600, 1000, 400, Decimal("1.7")),
        ("other/unknown", 100, 120, 20, Decimal("1.2")),
        ("other/root", 300, 300, 0, 1),
        ("me/closed", 160, 150, -10, Decimal("0.9")),
    ]


def test_families(catalog: Connection) -> None:
    total = 1000 + 500 + 200 + 150 + 90 + 95 + 99 + 98 + 97 + 96 + 94 + 110 + 105
    assert answer(catalog, "Families by size and median parameters") == [
        (BASE, 14, 3, 7_000_000_000, total, "apache-2.0")
    ]


def test_merges_whose_sources_disagree(catalog: Connection) -> None:
    assert answer(catalog, "Merges whose sources disagree in licence") == [
        ("me/merge", "mit", ["apache-2.0", "llama2", None], 3)
    ]


def test_the_most_derived_models(catalog: Connection) -> None:
    assert answer(catalog, "The models that most others were made from")[:3] == [
        ("me/chat", 5, 1, 0, 4, 0),
        (BASE, 5, 2, 0, 1, 2),
        ("me/chat-2", 2, 0, 0, 2, 0),
    ]


def test_licence_drift(catalog: Connection) -> None:
    title = "Families whose members drift from the licence of what they were made from"
    assert answer(catalog, title) == [(BASE, 6, "mit, made from apache-2.0")]


def test_popular_but_abandoned(catalog: Connection) -> None:
    old = {"last_modified": NOON - 400 * DAY, "new_version": "me/chat"}
    model(catalog, "old/one", **old)
    model(catalog, "old/gone", state="gone", **old)
    assert answer(catalog, "Popular but abandoned") == [
        ("old/one", None, (NOON - 400 * DAY).date(), "me/chat")
    ]


def test_what_nobody_has_quantized(catalog: Connection) -> None:
    assert [row[0] for row in answer(catalog, "What nobody has quantized yet")] == [
        *("other/root", "other/unknown", "me/merge", "me/agreed", "q/chat-AWQ"),
    ]


def test_models_like_one(catalog: Connection) -> None:
    given: dict[str, Any] = {"model_type": "llama", "parameters": 7 * 10**9, "license": "mit"}
    other: dict[str, dict[str, Any]] = {
        "meta-llama/Meta-Llama-3-8B-Instruct": {},
        "new/twin": {},
        "new/cousin": {"model_type": "gemma"},
        "new/large": {"parameters": 8 * 10**9},
        "new/closed": {"license": "llama3"},
        "new/gone": {"state": "gone"},
    }
    for name, columns in other.items():
        model(catalog, name, **given | columns)
    refresh_features(catalog)
    title = "Models like one, under a permissive licence, below 8 B parameters"
    found = [row[0] for row in answer(catalog, title) if row[0].startswith(("new", "meta"))]
    assert found == ["new/twin", "new/cousin"]


def test_what_changed(catalog: Connection) -> None:
    catalog.execute(
        text("UPDATE store.models SET first_seen = :long_ago WHERE author IN ('me', 'q')"),
        {"long_ago": NOON - 100 * DAY},
    )
    catalog.execute(
        text("UPDATE store.models SET changed_at = first_seen WHERE author = 'q'"),
    )
    catalog.execute(
        text("UPDATE store.models SET gone_at = :yesterday WHERE state = 'gone'"),
        {"yesterday": NOON - DAY},
    )
    assert answer(catalog, "What changed in the last week") == [
        (NOON.date(), "changed", 5),
        (NOON.date(), "new", 3),
        ((NOON - DAY).date(), "gone", 1),
    ]


def test_where_sources_disagree(connection: Connection) -> None:
    board = Source(name="board")
    blocks = (
        block("arc", run("org/a", score=0.50), run("org/a", score=0.55, source=board)),
        block("arc", run("org/b", score=0.50), run("org/b", score=0.51, source=board)),
        block(
            "arc", run("org/c", score=0.5), run("org/c", score=0.9, source=board, complete=False)
        ),
    )
    write(connection, *blocks)
    found = answer(connection, "Where sources disagree about a score")
    assert [(row[0], row[1], row[4], row[5], row[6]) for row in found] == [
        ("org/a", "arc", 0.5, 0.55, ["board", "tests"]),
    ]


def test_what_a_fine_tune_gained(catalog: Connection) -> None:
    model(catalog, "HuggingFaceH4/zephyr-7b-beta")
    asked = [*items(2, domain="sums"), Item("i2", domain="logic"), Item("i3", domain="logic")]
    outcomes = {BASE: [1, 0, 1, 1], "HuggingFaceH4/zephyr-7b-beta": [1, 1, 1, 0]}
    write(catalog, block("quiz", *(run(*each) for each in outcomes.items()), asked=asked))
    assert answer(catalog, "What a fine-tune gained and lost") == [
        ("sums", 2, 0.5, 1.0, 0.5),
        ("logic", 2, 1.0, 0.5, -0.5),
    ]


def test_the_best_small_model_on_a_benchmark(catalog: Connection) -> None:
    scores = {"me/chat": 0.6, BASE: 0.7, "me/closed": 0.8, "other/root": 0.9, "me/chat-2": 0.95}
    write(catalog, block("demo-sums", *(run(name, score=each) for name, each in scores.items())))
    title = "The best small model on a benchmark, under a permissive licence"
    assert [row[:2] for row in answer(catalog, title)] == [(BASE, 0.7), ("me/chat", 0.6)]


@pytest.mark.parametrize("title", QUERIES)
def test_every_query_runs_on_an_empty_catalog_too(connection: Connection, title: str) -> None:
    assert answer(connection, title) == []


def test_every_section_has_a_query() -> None:
    assert len(QUERIES) == TEXT.count("\n## ") == TEXT.count("```sql\n")


def test_the_queries_ask_schema_registry_alone() -> None:
    assert "store." not in TEXT


def test_the_base_is_found_by_any_of_its_names(catalog: Connection) -> None:
    query = "SELECT count(*) FROM registry.descendants(:name)"
    assert rows(catalog, query, name=BASE) == rows(catalog, query, name="mistralai/old-name")
