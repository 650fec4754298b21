import pytest
from factories import model, rows
from sqlalchemy import Connection


@pytest.mark.parametrize(
    ("words", "searched"),
    [
        ("mistralai/Mistral-7B-v0.1", ["mistralai", "mistral", "7b", "v", "0", "1"]),
        ("Qwen2.5-0.5B_Instruct", ["qwen", "2", "5", "0", "5b", "instruct"]),
        ("gpt2", ["gpt", "2"]),
        ("Ünïcode", ["ünïcode"]),
        ("", []),
        (None, None),
    ],
)
def test_names_fall_into_words(
    connection: Connection, words: str | None, searched: list[str] | None
) -> None:
    assert rows(connection, "SELECT store.search_words(:words)", words=words) == [(searched,)]


def test_a_search_document_holds_name_tags_author_licence_size_and_popularity(
    connection: Connection,
) -> None:
    model(
        connection,
        "alpha/Beta-7B",
        author="alpha",
        license="mit",
        parameters=7_000_000_000,
        popularity=3,
        tags=["gamma-ray", "region:us", "license:mit", "endpoints_compatible"],
    )
    found = rows(connection, "SELECT tsvector_to_array(search) FROM store.models")[0][0]
    assert set(found) == {
        "alpha", "beta", "7b", "#gamma", "#ray", "author=alpha", "license=mit", "size=32",
        "top=3", "top=2",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tag", "telling"),
    [
        ("text-generation", True),
        ("gguf", True),
        ("custom:thing", False),
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
