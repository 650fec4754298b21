"""Matches of offers with models."""

from collections.abc import Mapping

import pytest
from evaluated import grid, write
from factories import alias, model, rows, stub
from priced import offer
from sqlalchemy import Connection, text

from registry.catalog.prices.offers import match_offers, resolve_offers

CATALOG = (
    "meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-2-7b-chat-hf",
    "meta-llama/Meta-Llama-3-70B-Instruct", "Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen3-32B",
    "mistralai/Mistral-7B-Instruct-v0.2", "unsloth/Llama-3.2-3B-Instruct",
    "someone/claude-3-haiku-20240307", "someone/gpt-4o", "google/gemma-2b", "zai-org/GLM-5",
    "nvidia/Llama-3.1-Nemotron-70B-Instruct-HF",
)  # fmt: skip


@pytest.fixture
def catalog(connection: Connection) -> Connection:
    for name in CATALOG:
        model(connection, name)
    for name in ("gpt-4o", "claude-3-5-sonnet-20241022", "o1"):
        stub(connection, name)
    return connection


def matched(connection: Connection, *names: str) -> Mapping[str, tuple[str, str]]:
    keys = dict(rows(connection, "SELECT model_id, name FROM store.models"))
    found = match_offers(connection, names)
    return {name: (keys[each.model_id], str(each.method)) for name, each in found.items()}


@pytest.mark.parametrize(
    ("name", "of", "method"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct", "exact"),
        ("google/gemma-2b", "google/gemma-2b", "exact"),
        ("gpt-4o", "gpt-4o", "exact"),
        ("meta-llama/llama-3.1-8b-instruct", "meta-llama/Llama-3.1-8B-Instruct", "case"),
        ("unsloth/llama-3.2-3b-instruct", "unsloth/Llama-3.2-3B-Instruct", "case"),
        ("meta-llama/llama-3.1-8b-instruct:free", "meta-llama/Llama-3.1-8B-Instruct", "spelling"),
        ("hf:Qwen/Qwen3-32B", "Qwen/Qwen3-32B", "spelling"),
        ("claude-3-5-sonnet@20241022", "claude-3-5-sonnet-20241022", "spelling"),
        ("openai/gpt-4o", "gpt-4o", "maker"),
        ("openai/o1", "o1", "maker"),
        ("@cf/meta/llama-3.1-8b-instruct", "meta-llama/Llama-3.1-8B-Instruct", "maker"),
        ("llama-v2-7b-chat", None, None),
        ("llama-2-7b-chat", "meta-llama/Llama-2-7b-chat-hf", "maker"),
        ("meta.llama3-70b-instruct-v1:0", "meta-llama/Meta-Llama-3-70B-Instruct", "maker"),
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet-20241022", "maker"),
        ("qwen/qwen-2.5-7b-instruct", "Qwen/Qwen2.5-7B-Instruct", "maker"),
        ("alibaba/qwen-3-32b", "Qwen/Qwen3-32B", "maker"),
        ("llama-3.1-nemotron-70b-instruct", "nvidia/Llama-3.1-Nemotron-70B-Instruct-HF", "maker"),
        # Of another size, date or kind; copies by others; and what may be the base model.
        ("meta-llama/llama-3.1-70b-instruct", None, None),
        ("gpt-4o-2024-05-13", None, None),
        ("claude-3-5-sonnet", None, None),
        ("anthropic/claude-3-haiku-20240307", None, None),
        ("claude-3-haiku-20240307", None, None),
        ("zai-org/GLM-5-FP8", None, None),
        ("Qwen/Qwen3-32B-fast", None, None),
        ("qwen/qwen3-32b:thinking", None, None),
        ("mistral.mistral-7b-instruct-v0:1", None, None),
        ("llama-3.1-8b", None, None),
        ("meta-llama/llama-3.1-8b", None, None),
        ("gemma-2b", None, None),
        ("llama-3.2-3b-instruct", None, None),
        ("cortecs/Llama-3.1-8B-Instruct", None, None),
        ("auto", None, None),
    ],
)
def test_the_model_of_an_offer(
    catalog: Connection, name: str, of: str | None, method: str | None
) -> None:
    assert matched(catalog, name).get(name) == ((of, method) if of else None)


def test_aliases_count(catalog: Connection) -> None:
    alias(catalog, "zai-org/GLM-5", "glm-five")
    alias(catalog, "zai-org/GLM-5", "unsure", confidence=0.5)
    found = match_offers(catalog, ["glm-five", "GLM-Five", "unsure"])
    assert {name: (each.method, each.confidence) for name, each in found.items()} == {
        "glm-five": ("alias", 1.0), "GLM-Five": ("case", 0.95), "unsure": ("alias", 0.5)
    }  # fmt: skip


def test_an_alias_of_two_models_is_that_of_none(catalog: Connection) -> None:
    for name in ("zai-org/GLM-5", "Qwen/Qwen3-32B"):
        alias(catalog, name, "both")
    assert matched(catalog, "both", "BOTH") == {}


def test_of_two_names_of_one_key_the_listed_model_counts(catalog: Connection) -> None:
    stub(catalog, "meta-llama/Meta-Llama-3.1-8B-Instruct")
    assert matched(catalog, "llama3-1-8b-instruct") == {
        "llama3-1-8b-instruct": ("meta-llama/Llama-3.1-8B-Instruct", "maker")
    }
    model(catalog, "facebook/Llama-3.1-8B-Instruct")
    assert matched(catalog, "llama3-1-8b-instruct") == {}


def test_names_in_evaluations_count_unless_matched_by_their_end_alone(
    catalog: Connection,
) -> None:
    write(catalog, grid("b", {"hf/zai-org/GLM-5": [1, 0]}))
    catalog.execute(
        text("UPDATE store.evaluated_names SET name = 'evaluated as', method = 'harness'")
    )
    assert matched(catalog, "evaluated as") == {"evaluated as": ("zai-org/GLM-5", "alias")}
    catalog.execute(text("UPDATE store.evaluated_names SET method = 'tail'"))
    assert matched(catalog, "evaluated as") == {}


def test_offers_find_models_that_come_later_and_lose_those_that_go(connection: Connection) -> None:
    offer(connection, "org/new", None)
    assert resolve_offers(connection) == 0
    key = model(connection, "org/new")
    assert resolve_offers(connection) == 1
    stored = "SELECT model_id, method, confidence FROM store.price_offers"
    assert rows(connection, stored) == [(key, "exact", 1.0)]
    assert resolve_offers(connection) == 0
    connection.execute(text("UPDATE store.models SET name = 'org/other'"))
    assert resolve_offers(connection) == 1
    assert rows(connection, stored) == [(None, None, None)]


def test_confidence_is_stored_as_it_is_compared(connection: Connection) -> None:
    offer(connection, "ORG/new:free", None)
    model(connection, "org/new")
    assert resolve_offers(connection) == 1
    assert resolve_offers(connection) == 0


def test_a_match_makes_no_stub(connection: Connection) -> None:
    offer(connection, "gpt-4o", None)
    resolve_offers(connection)
    assert rows(connection, "SELECT * FROM store.models") == []
