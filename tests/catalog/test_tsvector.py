"""What a model is searched by stands twice: here both are held together."""

import math
from collections.abc import Sequence

import pytest
from factories import NOON
from generated_hub.models import generate
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from registry.catalog import models
from registry.catalog.tsvector import search_document
from registry.sync.page import read

IN_SQL = """
SELECT cast(:document AS tsvector) = store.search_document(
    :name, :author, :license, :parameters, cast(:popularity AS smallint), :tags)"""

words = st.text(st.characters(min_codepoint=1, max_codepoint=126), max_size=30)


def both_are_one(  # noqa: PLR0917 - the columns
    connection: Connection,
    name: str,
    author: str | None,
    license_id: str | None,
    parameters: int | None,
    popularity: int,
    tags: Sequence[str],
) -> None:
    document = search_document(name, author, license_id, parameters, popularity, tags)
    assert document is not None
    assert connection.scalar(
        text(IN_SQL),
        {
            "document": document,
            "name": name,
            "author": author,
            "license": license_id,
            "parameters": parameters,
            "popularity": popularity,
            "tags": list(tags),
        },
    ), document


def test_any_model_is_searched_by_the_same_in_both(connection: Connection) -> None:
    @settings(max_examples=400, deadline=None)
    @given(
        words,
        words | st.none(),
        words | st.none(),
        st.integers(-1, 10**13) | st.none(),
        st.integers(0, 4),
        st.lists(words | st.sampled_from(["a:b", "x_compatible", "-", "Text-Generation"])),
    )
    def hold(  # noqa: PLR0917 - the columns
        name: str,
        author: str | None,
        license_id: str | None,
        parameters: int | None,
        popularity: int,
        tags: list[str],
    ) -> None:
        both_are_one(connection, name, author, license_id, parameters, popularity, tags)

    hold()


@pytest.mark.parametrize("name", ["org/It's-7B", "org/back\\slash", "org/two words", "o/A--1b2c"])
def test_odd_names(connection: Connection, name: str) -> None:
    both_are_one(connection, name, "It's", "o'k\\", 7, 2, ["it's", "back\\slash", "a b"])


def test_sizes_change_at_the_same_number_in_both(connection: Connection) -> None:
    for power in range(1, 45):
        for parameters in (2**power - 1, 2**power, 2**power + 1):
            both_are_one(connection, "a", None, None, parameters, 0, ())
    assert "size=33" in (search_document("a", None, None, 2**33, 0, ()) or "")
    assert math.log(2**29) / math.log(2) == pytest.approx(29)


def test_only_the_first_tags_count(connection: Connection) -> None:
    both_are_one(connection, "a", None, None, None, 0, [f"tag{number}" for number in range(300)])


@pytest.mark.parametrize(
    ("name", "tags"), [("org/ÄRGER", ()), ("org/a", ("模型",)), ("org/\N{KELVIN SIGN}1", ())]
)
def test_what_is_beyond_ascii_is_for_the_database(name: str, tags: tuple[str, ...]) -> None:
    assert search_document(name, None, None, None, 0, tags) is None


def test_a_whole_page_is_searched_by_what_it_says(connection: Connection) -> None:
    records = [*generate(300), {"id": "org/Ärger-7B", "tags": ["模型"]}]
    entries, _ = read(records).rows(str(record["id"]) for record in records)
    models.add_models(connection, entries, as_of=NOON)
    assert connection.scalar(text("SELECT count(*) FROM store.models")) == len(records)
    assert not connection.scalar(
        text("""
        SELECT count(*) FROM store.models
         WHERE search IS DISTINCT FROM
               store.search_document(name, author, license, parameters, popularity, tags)""")
    )
