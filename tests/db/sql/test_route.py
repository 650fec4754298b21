from typing import Any

import numpy as np
import pytest
from factories import alias, family, model, rows
from learned import drawn, kept
from priced import offer
from routed import unit
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

ROUTE = "SELECT model, logit, probability FROM registry.route(CAST(:prompt AS vector), :k)"


def written(vector: Any) -> str:
    return str([float(each) for each in vector])


def test_the_likeliest_models_come_first(connection: Connection) -> None:
    serving, prompt = drawn(30, 6), unit(np.random.default_rng(4), 1, 5)[0]
    version = kept(connection, drawn(30), serving=serving)
    logits = serving[:, :5] @ prompt + serving[:, 5]
    order = np.argsort(-logits)[:4]
    found = rows(connection, ROUTE, prompt=written(prompt), k=4)
    assert [row[0] for row in found] == [f"org/m{at}" for at in order]
    assert [row[1] for row in found] == pytest.approx(logits[order], abs=1e-5)
    assert [row[2] for row in found] == pytest.approx(1 / (1 + np.exp(-logits[order])), abs=1e-6)
    assert rows(
        connection,
        "SELECT count(*), min(version) FROM registry.route(CAST(:p AS vector))",
        p=written(prompt),
    ) == [(1, version)]


@pytest.mark.parametrize(("k", "number"), [(0, 0), (-3, 0), (None, 1), (99, 5)])
def test_not_more_come_than_wanted(connection: Connection, k: int | None, number: int) -> None:
    kept(connection, drawn(5), serving=drawn(5))
    assert len(rows(connection, ROUTE, prompt="[0,0.6,0.8]", k=k)) == number
    assert rows(connection, ROUTE, prompt=None, k=k) == []


def test_extreme_logits_are_probabilities_still(connection: Connection) -> None:
    kept(connection, drawn(2), serving=np.array([[3e4, 0], [-3e4, 0]], np.float32))
    found = rows(connection, ROUTE, prompt="[1]", k=2)
    assert [row[2] for row in found] == pytest.approx([1, 0])


def test_a_pool_is_chosen_from_by_any_names(connection: Connection) -> None:
    kept(connection, drawn(9), serving=np.array([[at, 0] for at in range(9)], np.float32))
    alias(connection, "org/m4", "four")
    model(connection, "org/bare")
    query = "SELECT model FROM registry.route('[1]', 9, pool => :pool)"
    pool = ["org/m2", "FOUR", "org/bare"]
    assert rows(connection, query, pool=pool) == [("org/m4",), ("org/m2",)]
    refused(connection, "None of the pool's models has a serving vector", "[1]", pool=["org/bare"])
    refused(connection, "None of the pool's models has a serving vector", "[1]", pool=[])
    refused(connection, "No model named 'nobody'", "[1]", pool=["org/m2", "nobody"])


def test_many_prompts_take_the_filters_of_one(connection: Connection) -> None:
    kept(connection, drawn(5), serving=drawn(5))
    for place, price in enumerate((1.0, 2.0, 3.0)):
        query = f"SELECT model_id FROM store.models WHERE name = 'org/m{place}'"
        ((key,),) = rows(connection, query)
        offer(connection, f"m{place}", key, (price, price), provider="us" if place else "them")
        connection.execute(
            text("UPDATE store.models SET license = :l, parameters = :p WHERE model_id = :k"),
            {"l": "mit" if place < 2 else "gpl", "p": (place + 1) * 10**9, "k": key},
        )
        family(connection, f"org/m{place}", f"org/m{place % 2}")
    for filters in ("max_price => 2", "license => 'mit'", "family => 'org/m0'", "provider => 'us'",
                    "max_parameters => 2000000000", "pool => '{org/m3,org/m4}'"):  # fmt: skip
        for prompt in ("[0,0.6,0.8]", "[1,0,0]", "[0,0,-1]"):
            one = rows(
                connection,
                f"SELECT model, logit FROM registry.route('{prompt}', {filters})",
            )
            many = rows(
                connection,
                "SELECT model, logit"
                f" FROM registry.route_many(ARRAY['{prompt}']::vector[], {filters})",
            )
            assert many == [(one[0][0], pytest.approx(one[0][1]))]
    with pytest.raises(DBAPIError, match="No model is left to choose from"):
        rows(connection, "SELECT registry.route_many(ARRAY['[1,0,0]']::vector[], max_price => 0.1)")


def test_a_vector_of_a_retired_version_serves_no_more(connection: Connection) -> None:
    kept(connection, drawn(3), serving=drawn(3))
    kept(connection, drawn(2, seed=1), serving=drawn(2, seed=1))
    refused(
        connection, "None of the pool's models has a serving vector", "[0,0.6,0.8]", pool=["org/m2"]
    )
    query = "SELECT model FROM registry.route('[0,0.6,0.8]', 9, pool => ARRAY['org/m1', 'org/m2'])"
    assert rows(connection, query) == [("org/m1",)]


def refused(connection: Connection, message: str, prompt: str, **told: Any) -> None:
    arguments = "".join(f", {each} => :{each}" for each in told)
    query = f"SELECT registry.route(CAST(:prompt AS vector){arguments})"
    with pytest.raises(DBAPIError, match=message), connection.begin_nested():
        rows(connection, query, prompt=prompt, **told)


def test_what_cannot_be_answered_is_said(connection: Connection) -> None:
    refused(connection, "no embeddings yet", "[1,2]")
    version = kept(connection, drawn(3))
    refused(connection, f"Version {version} of the embeddings has no serving vectors", "[1,2]")
    kept(connection, drawn(3, seed=1), serving=drawn(3, 385), encoder="small")
    refused(connection, "has 2 dimensions; those of the encoder 'small' have 384", "[1,2]")


def test_a_reader_may_route(connection: Connection) -> None:
    kept(connection, drawn(3), serving=drawn(3))
    connection.exec_driver_sql("SET LOCAL ROLE registry_reader")
    assert len(rows(connection, ROUTE, prompt="[0,0.6,0.8]", k=3)) == 3
    assert len(rows(connection, "SELECT * FROM registry.nearest_models('org/m0')")) == 2
    assert len(rows(connection, "TABLE registry.embeddings")) == 3


@pytest.mark.parametrize(
    ("prompt", "length"),
    [("[0,0]", "0.000"), ("[3,4]", "5.000"), ("[0.98,0]", "0.980"), ("[0,1.02]", "1.020")],
)
def test_a_vector_that_is_not_of_length_1_is_refused(
    connection: Connection, prompt: str, length: str
) -> None:
    kept(connection, drawn(3), serving=drawn(3, 3), encoder="small")
    refused(connection, f"length {length}, not 1: divide it by its length .* 'small'", prompt)
    many = f"SELECT registry.route_many(ARRAY['[0,1]','{prompt}']::vector[])"
    with pytest.raises(DBAPIError, match=f"Vector 2 of the prompts has length {length}, not 1"):
        connection.exec_driver_sql(many)


@pytest.mark.parametrize("prompt", ["[0.991,0]", "[0,1.009]", "[-0.6,0.8]"])
def test_rounded_vectors_are_of_length_1(connection: Connection, prompt: str) -> None:
    kept(connection, drawn(3), serving=drawn(3, 3))
    assert len(rows(connection, ROUTE, prompt=prompt, k=3)) == 3


def test_the_place_of_a_vector_that_does_not_fit_is_named(connection: Connection) -> None:
    kept(connection, drawn(3), serving=drawn(3, 3))
    expected = {"NULL": "2 of the prompts is null",
                "'[1]'": "2 of the prompts has 1 dimensions, the first has 2"}  # fmt: skip
    for wrong, message in expected.items():
        query = f"SELECT registry.route_many(ARRAY['[0,1]', {wrong}, '[0,0]']::vector[])"
        with pytest.raises(DBAPIError, match=message), connection.begin_nested():
            connection.exec_driver_sql(query)
