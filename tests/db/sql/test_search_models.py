from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from factories import NOON, alias, counters, family, model, rows, stub
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from registry.catalog import indexes
from registry.catalog.search import SearchFilter, search_models

DAY = timedelta(days=1)


@pytest.fixture
def catalog(connection: Connection) -> Connection:
    """Models whose downloads fall from first to last; the last has none that is known."""
    made: dict[str, dict[str, Any]] = {
        "acme/Alpha-7B": {"license": "mit", "parameters": 7_000_000_000},
        "acme/Alpha-7B-Instruct": {"license": "mit", "parameters": 7_000_000_000},
        "beta/alphabet-13b": {"license": "llama2", "parameters": 13_000_000_000},
        "beta/chatty": {"tags": ["alpha", "text-generation"], "parameters": 1_000_000_000},
        "beta/Quantum": {"license": "apache-2.0"},
        "gamma/alpha-unknown": {},
    }
    downloads: int | None = 10_000
    for name, columns in made.items():
        key = model(connection, name, **columns)
        counters(connection, key, downloads=downloads)
        downloads = downloads // 10 or None if downloads else None
    indexes.refresh_vocabulary(connection)
    return connection


def found(connection: Connection, query: str | None, **filters: object) -> list[tuple[str, str]]:
    given = "".join(f', "{name}" => :{name}' for name in filters)
    result = connection.execute(
        text(f"SELECT name, match FROM registry.search_models(:query{given})"),
        {"query": query, **filters},
    )
    return [(row.name, row.match) for row in result]


def test_names_come_before_tags_and_the_downloaded_first(catalog: Connection) -> None:
    assert found(catalog, "alpha") == [
        ("acme/Alpha-7B", "name"),
        ("acme/Alpha-7B-Instruct", "name"),
        ("beta/alphabet-13b", "name"),
        ("gamma/alpha-unknown", "name"),
        ("beta/chatty", "tags"),
    ]


def test_all_words_have_to_be_there(catalog: Connection) -> None:
    assert found(catalog, "instruct ALPHA 7b") == [("acme/Alpha-7B-Instruct", "name")]
    assert found(catalog, "alpha nothing") == []


def test_a_name_without_its_organisation_comes_first(catalog: Connection) -> None:
    assert found(catalog, " Alphabet-13B ") == [("beta/alphabet-13b", "exact")]
    assert found(catalog, "alpha-7b-instruct")[0] == ("acme/Alpha-7B-Instruct", "exact")
    counters(catalog, model(catalog, "gamma/Alpha-7B", license="mit"), downloads=3)
    assert found(catalog, "alpha-7b", by_license="mit") == [
        ("acme/Alpha-7B", "exact"),
        ("gamma/Alpha-7B", "exact"),
        ("acme/Alpha-7B-Instruct", "name"),
    ]


def test_a_name_without_its_organisation_is_in_a_short_list_too(catalog: Connection) -> None:
    counters(catalog, model(catalog, "gamma/Alpha", license="mit", library="gguf"), downloads=3)
    counters(catalog, model(catalog, "delta/alpha-x", license="mit", library="gguf"), downloads=9)
    for conditions in ({}, {"licenses": ["mit"]}, {"library": "gguf"}):
        wanted = SearchFilter(query="ALPHA", limit=1, **conditions)
        assert [each.name for each in search_models(catalog, wanted)] == ["gamma/Alpha"]
    row = rows(catalog, """SELECT name FROM registry.search_models('Alpha', 1)""")
    assert row == [("gamma/Alpha",)]


def test_a_name_or_alias_comes_first(catalog: Connection) -> None:
    alias(catalog, "beta/Quantum", "alpha")
    assert found(catalog, "ACME/alpha-7b") == [
        ("acme/Alpha-7B", "exact"),
        ("acme/Alpha-7B-Instruct", "name"),
    ]
    assert found(catalog, "alpha")[:2] == [("beta/Quantum", "exact"), ("acme/Alpha-7B", "name")]


def test_a_misspelt_word_is_corrected(catalog: Connection) -> None:
    assert found(catalog, "quantun") == [("beta/Quantum", "similar")]


def test_filters_narrow_a_search_down(catalog: Connection) -> None:
    assert found(catalog, "alpha", by_author="beta") == [
        ("beta/alphabet-13b", "name"),
        ("beta/chatty", "tags"),
    ]
    assert found(catalog, "alpha", by_license="llama2") == [("beta/alphabet-13b", "name")]
    assert found(catalog, "alpha", by_tag="text-generation") == [("beta/chatty", "tags")]
    assert found(catalog, "alpha", min_parameters=7_000_000_001) == [("beta/alphabet-13b", "name")]
    assert found(catalog, "alpha", max_parameters=6_999_999_999) == [("beta/chatty", "tags")]


def test_one_width_of_a_method_or_all(connection: Connection) -> None:
    for stored in ("gptq", "gptq-4bit", "gptq-8bit", "gptq-v2", "awq-4bit", "4-bit", None):
        counters(connection, model(connection, f"org/{stored}", quantization=stored), downloads=1)
    for wanted, expected in {
        "gptq": {"org/gptq", "org/gptq-4bit", "org/gptq-8bit"},
        "GPTQ-4bit": {"org/gptq-4bit"},
        "awq": {"org/awq-4bit"},
        "4-bit": {"org/4-bit"},
        "none": {"org/None"},
    }.items():
        models = search_models(connection, SearchFilter(quantization=wanted))
        assert {each.name for each in models} == expected


def test_a_library_is_found_however_it_is_spelled(connection: Connection) -> None:
    counters(connection, model(connection, "org/m", library="PaddleOCR"), downloads=1)
    for spelled in ("PaddleOCR", "paddleocr"):
        models = search_models(connection, SearchFilter(library=spelled))
        assert [each.name for each in models] == ["org/m"]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"by_task": "Text-Generation"}, "ab"),
        ({"by_library": "PEFT"}, "b"),
        ({"by_family": "org/a"}, "ab"),
        ({"by_family": "org/nobody"}, ""),
        ({"by_architecture": "qwen2_moe"}, "a"),
        ({"by_architecture": "Qwen"}, "ac"),
        ({"by_architecture": "Qwen2ForCausalLM"}, "c"),
        ({"by_quantization": "GPTQ"}, "b"),
        ({"by_quantization": "none"}, "acd"),
        ({"licenses": ["MIT", "llama2"]}, "ab"),
        ({"licenses": ["mit"], "by_license": "llama2"}, "ab"),
        ({"tags": ["red", "region:us"]}, "b"),
        ({"tags": ["red"], "by_tag": "region:us"}, "b"),
        ({"by_tag": "region:us"}, "bc"),
        ({"states": ["gated", "gone"]}, "cd"),
        ({"created_after": NOON}, "abcd"),
        ({"created_before": NOON}, ""),
        ({"modified_after": NOON + DAY}, "d"),
        ({"modified_before": NOON + DAY}, "abc"),
        ({"by_task": "text-generation", "licenses": ["mit"], "states": ["available"]}, "a"),
        ({"licenses": [], "tags": [], "states": [], "by_task": None}, "abcd"),
    ],
    ids=str,
)
def test_filters_of_all_kinds(connection: Connection, filters: dict[str, Any], names: str) -> None:
    models: dict[str, dict[str, Any]] = {
        "a": {"pipeline_tag": "text-generation", "model_type": "qwen2_moe", "license": "mit"},
        "b": {"pipeline_tag": "text-generation", "library": "peft", "license": "llama2",
              "tags": ["red", "region:us"], "quantization": "gptq-4bit"},
        "c": {"architectures": ["Qwen2ForCausalLM"], "tags": ["region:us"], "state": "gated"},
        "d": {"state": "gone", "last_modified": NOON + DAY, "tags": ["red"]},
    }  # fmt: skip
    for number, (name, columns) in enumerate(models.items()):
        counters(connection, model(connection, f"org/{name}", **columns), downloads=9 - number)
    family(connection, "org/a", "org/a")
    family(connection, "org/b", "org/a", parent="org/a", generation=1)
    indexes.refresh_vocabulary(connection)
    expected = [f"org/{name}" for name in names]
    assert [name for name, _ in found(connection, None, **filters)] == expected
    assert [name for name, _ in found(connection, "org", **filters)] == expected


def test_orders(catalog: Connection) -> None:
    for position, (likes, name) in enumerate(
        [(5, "beta/Quantum"), (7, "acme/Alpha-7B"), (6, "beta/chatty")]
    ):
        catalog.execute(
            text("""
            UPDATE store.counters SET likes = :likes, trending_score = :trending
             WHERE model_id = registry.model_id(:name)"""),
            {"likes": likes, "trending": position, "name": name},
        )
        catalog.execute(
            text("""
            UPDATE store.models SET created_at = :at, last_modified = :at WHERE name = :name"""),
            {"at": NOON + (position + 1) * DAY, "name": name},
        )
    stub(catalog, "acme/unseen")
    by_position = ["beta/chatty", "acme/Alpha-7B", "beta/Quantum"]
    for sort, first in {
        "likes": ["acme/Alpha-7B", "beta/chatty", "beta/Quantum"],
        "trending": by_position,
        "created": by_position,
        "modified": by_position,
        "name": ["acme/Alpha-7B", "acme/Alpha-7B-Instruct", "acme/unseen"],
        "downloads": ["acme/Alpha-7B", "acme/Alpha-7B-Instruct", "beta/alphabet-13b"],
        "relevance": ["acme/Alpha-7B", "acme/Alpha-7B-Instruct", "beta/alphabet-13b"],
    }.items():
        searched = found(catalog, None, sort=sort, limit=3)
        assert searched == [(name, "filter") for name in first], sort
    assert found(catalog, None, states=["stub"]) == [("acme/unseen", "filter")]


def test_words_in_another_order_are_of_names_and_tags_together(catalog: Connection) -> None:
    assert found(catalog, "alpha", sort="name") == [
        ("acme/Alpha-7B", "name"),
        ("acme/Alpha-7B-Instruct", "name"),
        ("beta/alphabet-13b", "name"),
        ("beta/chatty", "tags"),
        ("gamma/alpha-unknown", "name"),
    ]
    assert found(catalog, "Quantum", sort="likes") == [("beta/Quantum", "exact")]
    assert found(catalog, "quantun", sort="downloads") == [("beta/Quantum", "similar")]


def test_an_order_that_there_is_none_of(catalog: Connection) -> None:
    with pytest.raises(DBAPIError, match="There is no order 'size' of models"):
        found(catalog, None, sort="size")


def test_a_filter_changes_nothing_else_about_words(catalog: Connection) -> None:
    """What is found first, and whether similar spellings fill up a list, is one rule."""
    counters(catalog, model(catalog, "acme/quantun-x"), downloads=1)
    indexes.refresh_vocabulary(catalog)
    for query in ("quantun", "acme/quantun-x", "alpha", "Alpha-7B", "quantum"):
        plain = found(catalog, query)
        assert found(catalog, query, states=["available"]) == plain
        assert found(catalog, query, created_after=NOON) == plain


def test_filters_search_alone_too(catalog: Connection) -> None:
    assert found(catalog, None, by_license="mit") == [
        ("acme/Alpha-7B", "filter"),
        ("acme/Alpha-7B-Instruct", "filter"),
    ]
    assert found(catalog, "", by_tag="alpha", max_parameters=2 * 10**9) == [
        ("beta/chatty", "filter")
    ]


def test_without_anything_the_most_downloaded_come(catalog: Connection) -> None:
    assert [name for name, _ in found(catalog, None)] == [
        *("acme/Alpha-7B", "acme/Alpha-7B-Instruct", "beta/alphabet-13b"),
        *("beta/chatty", "beta/Quantum", "gamma/alpha-unknown"),
    ]


def test_models_whose_downloads_are_unknown_come_last(catalog: Connection) -> None:
    limit = {"limit": 3}
    query = 'SELECT name FROM registry.search_models(:query, "limit" => :limit)'
    top = [("acme/Alpha-7B",), ("acme/Alpha-7B-Instruct",), ("beta/alphabet-13b",)]
    assert rows(catalog, query, query="alpha", **limit) == top
    assert rows(catalog, query, query=None, **limit) == top


def test_the_score_orders_as_the_rows_do(catalog: Connection) -> None:
    scores = [row[0] for row in rows(catalog, "SELECT score FROM registry.search_models('alpha')")]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(2 + 4 / 12, abs=1e-4)
    assert 1 <= scores[-1] < 2


@pytest.mark.parametrize("limit", [0, -1])
def test_nothing_is_found_where_nothing_is_wanted(catalog: Connection, limit: int) -> None:
    query = "SELECT name FROM registry.search_models('alpha', :limit)"
    assert rows(catalog, query, limit=limit) == []


@pytest.mark.parametrize("query", ["'", "\\", "a'b", "%", "!!", ":*", "é 模型", "x" * 3000, "a\nb"])
def test_no_query_is_an_error(catalog: Connection, query: str) -> None:
    assert isinstance(found(catalog, query), list)


def test_a_stub_that_an_alias_stands_for_comes_after_known_models(catalog: Connection) -> None:
    stub(catalog, "acme/alpha-7b-unseen")
    alias(catalog, "acme/alpha-7b-unseen", "alpha 7b")
    known = [("acme/Alpha-7B", "name"), ("acme/Alpha-7B-Instruct", "name")]
    assert found(catalog, "Alpha 7b") == [*known, ("acme/alpha-7b-unseen", "name")]
    assert found(catalog, "ACME/alpha-7b-unseen")[0] == ("acme/alpha-7b-unseen", "exact")
    for query, first in {"Alpha 7b": 2, "ACME/alpha-7b-unseen": 0}.items():
        filtered = search_models(catalog, SearchFilter(query=query, author="acme"))
        assert filtered[first].name == "acme/alpha-7b-unseen"


def test_a_stub_is_found_by_its_name(catalog: Connection) -> None:
    stub(catalog, "delta/unseen")
    assert found(catalog, "delta/unseen") == [("delta/unseen", "exact")]


@pytest.fixture
def crowd(connection: Connection) -> Connection:
    """Three hundred models of all popularities, whose licence, tag and size go together or not."""
    for number in range(300):
        tags = ["text-generation", "red"] if number % 3 else ["red", "blue-green"]
        key = model(
            connection,
            f"acme/crowd-{number:03}",
            license=("mit", "apache-2.0", "gpl-3.0")[number % 7 % 3],
            tags=tags,
            parameters=10**9 + number * 10**7,
            popularity=number % 5,
        )
        counters(connection, key, downloads=10 ** (number % 5) + number)
    indexes.refresh_vocabulary(connection)
    connection.exec_driver_sql("ANALYZE store.models")
    return connection


LOW, HIGH = 2 * 10**9, 3 * 10**9
TAGS = (None, "red", "text-generation", "blue-green", "blue", "absent")
LICENSES = (None, "mit", "GPL-3.0", "absent")
SIZES = ((None, None), (LOW, HIGH), (HIGH, None), (LOW, LOW))


def test_filters_together_find_what_reading_every_model_finds(crowd: Connection) -> None:
    # In one test, because making the crowd takes longer than all searches.
    for tag, license_id, (low, high), limit in product(TAGS, LICENSES, SIZES, (5, 50)):
        given = {"tag": tag, "license": license_id, "low": low, "high": high, "limit": limit}
        searched = rows(
            crowd,
            "SELECT name"
            "  FROM registry.search_models(NULL, :limit, NULL, :license, :tag, :low, :high)",
            **given,
        )
        read = rows(
            crowd,
            """
            SELECT name
              FROM store.models JOIN store.counters USING (model_id)
             WHERE coalesce(license = lower(:license), cast(:license AS text) IS NULL)
               AND (cast(:tag AS text) IS NULL OR tags @> ARRAY[:tag])
               AND parameters BETWEEN coalesce(:low, 0) AND coalesce(:high, cast(10^18 AS bigint))
             ORDER BY downloads DESC, model_id LIMIT :limit""",
            **given,
        )
        assert searched == read, given
        filters = SearchFilter(
            licenses=[license_id] if license_id else [],
            tags=[tag] if tag else [],
            min_parameters=low,
            max_parameters=high,
            limit=limit,
        )
        assert [(each.name,) for each in search_models(crowd, filters)] == read, given


@pytest.mark.parametrize("query", [None, "alpha", "acme/Alpha-7B"])
@pytest.mark.parametrize(("low", "high"), [(8 * 10**9, 10**9), (2**60, None), (2**45, 2**46)])
def test_sizes_that_no_model_has_find_none(
    catalog: Connection, query: str | None, low: int, high: int | None
) -> None:
    given = "SELECT name FROM registry.search_models(:query, 9, NULL, NULL, NULL, :low, :high)"
    assert rows(catalog, given, query=query, low=low, high=high) == []


@pytest.mark.parametrize(
    ("passing", "failing"),
    [
        ({"by_author": "ACME"}, {"by_author": "beta"}),
        ({"by_license": "MIT"}, {"by_license": "llama2"}),
        ({"by_tag": "own"}, {"by_tag": "alpha"}),
        ({"min_parameters": 5}, {"min_parameters": 6}),
        ({"max_parameters": 5}, {"max_parameters": 4}),
    ],
)
@pytest.mark.parametrize("query", ["acme/Omega", "omega"])
def test_an_exact_name_passes_the_filters_too(
    catalog: Connection, query: str, passing: dict[str, Any], failing: dict[str, Any]
) -> None:
    omega = model(catalog, "acme/Omega", license="mit", tags=["own"], parameters=5)
    alias(catalog, omega, "omega")
    assert found(catalog, query, **passing) == [("acme/Omega", "exact")]
    assert found(catalog, query, **failing) == []


def test_by_filters_alone_one_whose_downloads_are_unknown_is_not_the_first(
    catalog: Connection,
) -> None:
    counters(catalog, model(catalog, "acme/bare", license="mit"), downloads=None)
    indexes.refresh_vocabulary(catalog)
    given = """
        SELECT name FROM registry.search_models(NULL, :limit, by_license => 'mit')"""
    assert rows(catalog, given, limit=1) == [("acme/Alpha-7B",)]
    assert rows(catalog, given, limit=9)[-1] == ("acme/bare",)
