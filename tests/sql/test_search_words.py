import pytest
from factories import model, rows
from sqlalchemy import Connection


@pytest.mark.parametrize(
    ("words", "searched"),
    [
        ("mistralai/Mistral-7B-v0.1", "mistralai mistral 7b v 0 1"),
        ("Qwen2.5-0.5B_Instruct", "qwen 2 5 0 5b instruct"),
        ("library:transformers", "library transformers"),
        ("a+b@c", "a b c"),
        ("Ünïcode", "ünïcode"),
        ("", ""),
        (None, None),
    ],
)
def test_names_fall_into_words(
    connection: Connection, words: str | None, searched: str | None
) -> None:
    assert rows(connection, "SELECT store.search_words(:words)", words=words) == [(searched,)]


def test_a_name_weighs_more_than_its_author_and_that_more_than_a_tag(
    connection: Connection,
) -> None:
    model(connection, "alpha/beta", tags=["gamma", "region:us", "license:mit"])
    assert rows(connection, "SELECT search FROM store.models") == [
        ("'alpha':1A,3B 'beta':2A 'gamma':4C",)
    ]


@pytest.mark.parametrize(
    ("tag", "telling"),
    [
        ("text-generation", True),
        ("gguf", True),
        ("custom:thing", True),
        ("region:us", False),
        ("base_model:org/a", False),
        ("base_model:quantized:org/a", False),
        ("dataset:org/d", False),
        ("arxiv:2101.00001", False),
        ("doi:10.1/x", False),
        ("license:mit", False),
        ("deploy:azure", False),
        ("endpoints_compatible", False),
        ("autotrain_compatible", False),
    ],
)
def test_tags_that_say_nothing_about_the_model_are_not_searched(
    connection: Connection, tag: str, *, telling: bool
) -> None:
    assert rows(connection, "SELECT store.is_telling(:tag)", tag=tag) == [(telling,)]
