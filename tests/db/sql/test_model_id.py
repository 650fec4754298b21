import pytest
from factories import alias, model, rows
from sqlalchemy import Connection

SHOUT = "ORG/A"


def found(connection: Connection, name: str | None) -> int | None:
    ((key,),) = rows(connection, "SELECT registry.model_id(:name)", name=name)
    assert key is None or isinstance(key, int)
    return key


def test_the_present_name_comes_first(connection: Connection) -> None:
    present, former = model(connection, "org/a"), model(connection, "org/b")
    alias(connection, former, "org/a")
    assert found(connection, "org/a") == present


def test_an_alias_comes_before_a_name_in_another_case(connection: Connection) -> None:
    model(connection, "org/a")
    other = model(connection, "org/b")
    alias(connection, other, SHOUT)
    assert found(connection, SHOUT) == other


def test_names_and_then_aliases_are_found_in_any_case(connection: Connection) -> None:
    first, second = model(connection, "org/a"), model(connection, "org/b")
    alias(connection, second, "Org/Old")
    assert found(connection, SHOUT) == first
    assert found(connection, "oRG/oLD") == second


def test_of_two_spellings_each_is_found_by_its_own(connection: Connection) -> None:
    lower, upper = model(connection, "org/a"), model(connection, SHOUT)
    assert found(connection, "org/a") == lower
    assert found(connection, SHOUT) == upper
    assert found(connection, "Org/A") is None


def test_an_ambiguous_alias_stands_for_nothing(connection: Connection) -> None:
    alias(connection, "org/a", "gpt")
    assert found(connection, "gpt") == found(connection, "org/a")
    alias(connection, "org/b", "gpt")
    assert found(connection, "gpt") is None
    assert found(connection, "GPT") is None


def test_two_spellings_of_an_alias_of_one_model_are_not_ambiguous(connection: Connection) -> None:
    key = model(connection, "org/a")
    alias(connection, key, "old")
    alias(connection, key, "Old")
    assert found(connection, "OLD") == key


@pytest.mark.parametrize("name", [None, "", "org/none", "%", "org/_", "o'rg/\\"])
def test_an_unknown_name_stands_for_nothing(connection: Connection, name: str | None) -> None:
    model(connection, "org/a")
    assert found(connection, name) is None
