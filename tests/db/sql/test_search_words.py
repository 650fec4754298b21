import pytest
from factories import model, rows
from sqlalchemy import Connection


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("mistralai/Mistral-7B-v0.1", ["mistralai", "mistral", "7b", "v", "0", "1"]),
        ("Qwen2.5-0.5B_Instruct", ["qwen", "2", "5", "0", "5b", "instruct"]),
        ("Ünïcode模型3", ["ünïcode模型", "3"]),
        ("--a..b//", ["a", "b"]),
        ("", []),
        (None, None),
    ],
)
def test_names_fall_into_words(
    connection: Connection, value: str | None, words: list[str] | None
) -> None:
    assert rows(connection, "SELECT store.search_words(:value)", value=value) == [(words,)]


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("  Mistral 7B, instruct!", ["mistral", "7b", "instruct"]),
        ("a & !b | (c:*) 'd' \"e\" \\f", ["a", "b", "c", "d", "e", "f"]),
        ("a b c d e f g h i j k l", list("abcdefghij")),
        (" ?! ", None),
        (None, None),
    ],
)
def test_what_a_person_types_falls_into_terms(
    connection: Connection, query: str | None, terms: list[str] | None
) -> None:
    assert rows(connection, "SELECT store.search_terms(:query)", query=query) == [(terms,)]


def test_a_model_is_found_by_name_author_licence_size_popularity_and_tags(
    connection: Connection,
) -> None:
    model(
        connection,
        "Alpha/Beta-7B",
        license="mit",
        parameters=7_000_000_000,
        popularity=3,
        tags=["Text-Generation", "gguf", "region:us", "license:mit", "endpoints_compatible"],
    )
    ((found,),) = rows(connection, "SELECT tsvector_to_array(search) FROM store.models")
    assert set(found) == {
        *("alpha", "beta", "7b", "author=alpha", "license=mit", "size=32", "top=2", "top=3"),
        *("#text", "#generation", "#gguf"),
    }


@pytest.mark.parametrize(
    ("tag", "telling"),
    [
        ("text-generation", True),
        ("gguf", True),
        ("custom:thing", False),
        ("region:us", False),
        ("base_model:quantized:org/a", False),
        ("arxiv:2101.00001", False),
        ("license:mit", False),
        ("endpoints_compatible", False),
        ("autotrain_compatible", False),
    ],
)
def test_tags_that_are_told_elsewhere_or_say_nothing_are_left_out(
    connection: Connection, tag: str, *, telling: bool
) -> None:
    assert rows(connection, "SELECT store.is_telling(:tag)", tag=tag) == [(telling,)]
