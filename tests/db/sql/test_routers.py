"""Routers in SQL: against numpy on the same data, and what filters, prices and bounds do."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from factories import NOON, alias, family, rows
from learned import drawn, kept
from priced import offer
from routed import SETTINGS, KeptRouter, kept_router, subjects_problem, unit
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from registry.embeddings import versions
from registry.embeddings.routers.stored_router import read_router
from registry.learning.routing.served_blend import RoutedProbabilities

DAY = timedelta(days=1)
PROMPT = unit(np.random.default_rng(9), 1, 8)[0]


def routed(
    connection: Connection, function: str, prompt: Any = PROMPT, **options: Any
) -> list[dict[str, Any]]:
    """Return rows of a router's function."""
    arguments = [] if prompt is None else ["CAST(:prompt AS vector)"]
    arguments += [f"{name} => :{name}" for name in options]
    if prompt is not None:
        options["prompt"] = str([float(each) for each in prompt])
    query = text(f"SELECT * FROM registry.{function}({', '.join(arguments)})")
    return [dict(row) for row in connection.execute(query, options).mappings()]


def refused(connection: Connection, message: str, function: str, **options: Any) -> None:
    with pytest.raises(DBAPIError, match=message), connection.begin_nested():
        routed(connection, function, **options)


def expected(found: RoutedProbabilities, place: int = 0) -> dict[str, tuple[float, float]]:
    pairs = zip(found.probabilities[place], found.deviations[place], strict=True)
    return {f"org/m{m}": (float(p), float(d)) for m, (p, d) in enumerate(pairs)}


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("function", ["route_best", "route_knn"])
def test_sql_computes_what_numpy_computes(
    connection: Connection, function: str, missing: float
) -> None:
    router = kept_router(connection, subjects_problem(missing=missing))
    assert (router.blend.seen is None) == (missing == 0)
    for prompt in unit(np.random.default_rng(1), 6, 8):
        blend = router.blend
        served = blend.predict if function == "route_best" else blend.neighbours
        numpy = expected(served(prompt[None]))
        found = routed(connection, function, prompt, k=9)
        assert [row["model"] for row in found] == sorted(
            numpy, key=lambda name: -round(numpy[name][0], 6)
        )
        for row in found:
            probability, deviation = numpy[row["model"]]
            assert row["probability"] == pytest.approx(probability, abs=2e-3)
            assert row["upper"] == pytest.approx(min(1, probability + 1.645 * deviation), abs=4e-3)
            assert row["lower"] == pytest.approx(max(0, probability - 1.645 * deviation), abs=4e-3)
            assert row["score"] == row["probability"]
            assert (row["version"], row["compared"]) == (router.version, 15)
            assert (row["fallback"], row["price"], row["expected_cost"]) == (None, None, None)
        rests_on = sum(row["outcomes"] for row in found) / 5
        assert 0.5 * 15 * (1 - missing) < rests_on < 15


def test_what_is_stored_is_what_was_learned(connection: Connection) -> None:
    router = kept_router(connection)
    stored = read_router(connection, router.version)
    names = dict(rows(connection, "SELECT model_id, name FROM store.models"))
    assert [names[key] for key in stored.model_ids.tolist()] == router.models
    prompts = unit(np.random.default_rng(2), 20, 8)
    for ours, theirs in zip(
        stored.blend.predict(prompts), router.blend.predict(prompts), strict=True
    ):
        assert np.allclose(ours, theirs, atol=1e-3)
    assert stored.blend.settings == pytest.approx(router.blend.settings)
    assert stored.blend.weights == pytest.approx(router.blend.weights)


def test_the_number_of_neighbours_may_be_given(connection: Connection) -> None:
    router = kept_router(connection)
    few = routed(connection, "route_knn", k=9, neighbours=3)
    assert {row["compared"] for row in few} == {3}
    three = replace(router.blend, settings=router.blend.settings._replace(k=3))
    assert {row["model"]: row["probability"] for row in few} == {
        name: pytest.approx(value, abs=2e-3)
        for name, (value, _) in expected(three.neighbours(PROMPT[None])).items()
    }
    assert routed(connection, "route_knn", neighbours=9999)[0]["compared"] == 240
    refused(connection, "at least 1 neighbour, not 0", "route_knn", neighbours=0)


def priced(connection: Connection, router: KeptRouter, *prices: float | None) -> None:
    """Sell models at these prices for a million tokens of either kind; None does not."""
    keys = dict(rows(connection, "SELECT name, model_id FROM store.models"))
    for name, price in zip(router.models, prices, strict=True):
        if price is not None:
            offer(connection, name, keys[name], (price, price))


EVERY = ("route", "route_best", "route_knn", "route_best_single", "route_cheapest")


def prompt_of(function: str) -> dict[str, Any]:
    return {"prompt": None} if function in EVERY[3:] else {}


@pytest.mark.parametrize("function", EVERY)
def test_all_routers_have_the_same_filters(connection: Connection, function: str) -> None:
    router = kept_router(connection)
    priced(connection, router, 4, 3, 2, 1, None)
    connection.execute(text("UPDATE store.models SET license = 'mit', parameters = model_id"))
    connection.execute(text("UPDATE store.models SET license = 'other' WHERE name = 'org/m1'"))
    size = rows(connection, "SELECT parameters FROM store.models WHERE name = 'org/m2'")[0][0]
    alias(connection, "org/m3", "three")
    family(connection, "org/m2", "org/m3")
    family(connection, "org/m3", "org/m3")
    of = prompt_of(function)

    def models(**options: Any) -> set[str]:
        return {row["model"][-2:] for row in routed(connection, function, k=9, **of, **options)}

    known = {"m0", "m1", "m2", "m3"} | (set() if function == "route_cheapest" else {"m4"})
    assert models() == known
    assert models(max_price=2) == {"m2", "m3"}
    assert models(pool=["org/m0", "THREE"]) == {"m0", "m3"}
    assert models(license="MIT") == known - {"m1"}
    assert models(max_parameters=size) == {"m0", "m1", "m2"}
    assert models(family="org/m3") == {"m2", "m3"}
    assert models(cost_weight=0.1) == {"m0", "m1", "m2", "m3"}
    assert models(provider="openrouter") == {"m0", "m1", "m2", "m3"}
    assert len(routed(connection, function, **of)) == 1
    assert routed(connection, function, k=0, **of) == []
    refused(connection, "of 5, 1 have no known price, the others cost more than 0.5 dollars",
            function, max_price=0.5, **of)  # fmt: skip
    refused(connection, "of 5, 5 have another licence or none known", function,
            license="gpl", **of)  # fmt: skip
    refused(connection, "5 have no known price at 'nobody'", function,
            provider="nobody", **of)  # fmt: skip
    refused(connection, "5 are larger or of unknown size", function, max_parameters=0, **of)
    refused(connection, "No model named 'nobody'", function, pool=["org/m0", "nobody"], **of)
    refused(connection, "No family is known for a model named 'x'", function, family="x", **of)
    refused(connection, "None of the pool's models has", function, pool=[], **of)
    for bad in ({"max_price": -1}, {"cost_weight": -1}, {"minimum_probability": 2},
                {"max_price": float("nan")}, {"cost_weight": float("nan")},
                {"minimum_probability": float("nan")}, {"input_tokens": -5}):  # fmt: skip
        refused(connection, "are at least 0", function, **bad, **of)


@pytest.mark.parametrize("function", EVERY[:4])
def test_costs_are_weighed_against_probabilities(connection: Connection, function: str) -> None:
    router = kept_router(connection)
    priced(connection, router, 5, 4, 3, 2, 1)
    of = prompt_of(function)
    found = routed(connection, function, k=9, cost_weight=0.05, **of)
    assert [row["score"] for row in found] == sorted((r["score"] for r in found), reverse=True)
    for row in found:
        price = 5 - int(row["model"][-1])
        assert row["price"] == price
        assert row["score"] == pytest.approx(row["probability"] - 0.05 * price)
        assert row["expected_cost"] == pytest.approx(price / 1000)
    assert routed(connection, function, cost_weight=1e6, **of)[0]["model"] == "org/m4"
    costs = routed(connection, function, input_tokens=2e6, output_tokens=5e5, **of)
    assert costs[0]["expected_cost"] == pytest.approx(2.5 * costs[0]["price"])
    # Where nothing is stated of answers they have a third of the prompt's tokens.
    costs = routed(connection, function, input_tokens=3e6, **of)
    assert costs[0]["expected_cost"] == pytest.approx(4 * costs[0]["price"])


@pytest.mark.parametrize("function", ["route_best", "route_knn", "route_cheapest"])
def test_a_probability_that_nothing_reaches_falls_back_by_name(
    connection: Connection, function: str
) -> None:
    router = kept_router(connection)
    priced(connection, router, 5, 4, 3, 2, 1)
    of = prompt_of(function)
    every = routed(connection, function, k=9, **of)
    some = sorted(row["probability"] for row in every)[2]
    reached = routed(connection, function, k=9, minimum_probability=some, **of)
    assert {row["model"] for row in reached} == {
        row["model"] for row in every if row["probability"] >= some
    }
    assert {row["fallback"] for row in reached} == {None}
    assert len(reached) == 3
    (single,) = routed(connection, "route_best_single", prompt=None)
    (row,) = routed(connection, function, minimum_probability=1, **of)
    assert row["model"] == single["model"] == f"org/m{router.blend.levels.argmax()}"
    assert row["fallback"] == "no model reaches the minimum probability of 1: best single model"


def test_factorization_falls_back_to_the_likeliest(connection: Connection) -> None:
    kept(connection, drawn(3), serving=drawn(3))
    (row,) = rows(
        connection,
        """SELECT model, fallback, router, lower
             FROM registry.route('[0,0.6,0.8]', minimum_probability => 1)""",
    )
    (first, *_) = rows(connection, "SELECT model FROM registry.route('[0,0.6,0.8]', 3)")
    assert row == (
        first[0],
        "no model reaches the minimum probability of 1: the likeliest",
        "factorization",
        None,
    )


def test_best_and_cheapest_do_not_look_at_the_prompt(connection: Connection) -> None:
    router = kept_router(connection)
    priced(connection, router, 2, 1, 1, 3, None)
    singles = routed(connection, "route_best_single", prompt=None, k=9)
    order = np.argsort(-router.blend.levels, kind="stable")
    assert [row["model"] for row in singles] == [f"org/m{place}" for place in order]
    assert singles[0]["probability"] == pytest.approx(router.blend.levels.max())
    assert singles[0]["outcomes"] > 150
    cheap = routed(connection, "route_cheapest", prompt=None, k=9)
    assert [row["price"] for row in cheap] == [1, 1, 2, 3]
    assert cheap[0]["probability"] >= cheap[1]["probability"]
    assert {row["router"] for row in cheap + singles} == {"cheapest", "best single"}


def test_the_price_is_that_of_the_provider(connection: Connection) -> None:
    router = kept_router(connection)
    priced(connection, router, 5, 4, 3, 2, 1)
    keys = dict(rows(connection, "SELECT name, model_id FROM store.models"))
    offer(connection, "dear", keys["org/m4"], (40.0, 80.0), provider="other")
    offer(connection, "dearer", keys["org/m4"], (90.0, 90.0), provider="other")
    offer(connection, "free", keys["org/m3"], (0.0, 0.0), provider="other")
    (row,) = routed(connection, "route_knn", k=9, provider="other")
    assert (row["model"], row["price"]) == ("org/m4", 50)
    assert row["expected_cost"] == pytest.approx((750 * 40 + 250 * 80) / 1e6)


@pytest.mark.parametrize("newer", ["a", "z"])
def test_the_price_of_a_provider_is_that_of_the_list_seen_last(
    connection: Connection, newer: str
) -> None:
    router = kept_router(connection)
    priced(connection, router, 5, 4, 3, 2, 1)
    (key,) = rows(connection, "SELECT model_id FROM store.models WHERE name = 'org/m4'")[0]
    offer(connection, "old", key, (0.01, 0.01), provider="acme", source="m")
    offer(connection, "new", key, (9.0, 9.0), provider="acme", source=newer, seen_at=NOON + DAY)
    (row,) = routed(connection, "route_best_single", prompt=None, k=9, provider="acme")
    assert (row["model"], row["price"], row["expected_cost"]) == ("org/m4", 9, 0.009)
    assert rows(connection, "SELECT registry.cost('org/m4', 750, 250, sold_by => 'acme')") == [
        (row["expected_cost"],)
    ]
    refused(connection, "4 have no known price at 'acme', the others cost more than 0.05 dollars",
            "route_best_single", prompt=None, provider="acme", max_price=0.05)  # fmt: skip


def test_what_has_no_router_says_so(connection: Connection) -> None:
    refused(connection, "There are no embeddings yet", "route_best")
    version = kept(connection, drawn(3), serving=drawn(3, 9), encoder="small")
    for function in EVERY[1:]:
        refused(connection, f"Version {version} of the embeddings has no routers", function,
                **prompt_of(function))  # fmt: skip
    kept_router(connection)
    refused(connection, "has 2 dimensions; those of the encoder 'small' have 8", "route_best",
            prompt=[1, 2])  # fmt: skip
    for function in ("route_best", "route_knn"):
        refused(connection, "length 5.000, not 1", function, prompt=5 * PROMPT)
        refused(connection, "length 0.000, not 1", function, prompt=0 * PROMPT)
    with pytest.raises(DBAPIError, match="NaN not allowed"), connection.begin_nested():
        routed(connection, "route_knn", prompt=[float("nan")] * 8)
    assert rows(connection, "SELECT * FROM registry.route_best(NULL)") == []
    assert rows(connection, "SELECT * FROM registry.route_knn(NULL)") == []


def test_a_version_takes_its_router_with_it(connection: Connection) -> None:
    first = kept_router(connection)
    second = kept_router(connection, subjects_problem(seed=4))
    assert routed(connection, "route_best")[0]["version"] == second.version
    versions.drop(connection, first.version)
    tables = rows(
        connection,
        """SELECT count(*) FROM pg_class
            WHERE relname ~ '^route_(items|models|landmarks)_[0-9]+$'""",
    )
    assert tables == [(3,)]
    assert rows(connection, "SELECT version_id FROM store.route_blends") == [(second.version,)]


def test_a_reader_may_route(connection: Connection) -> None:
    kept_router(connection)
    connection.exec_driver_sql("SET LOCAL ROLE registry_reader")
    for function in ("route_best", "route_knn", "route"):
        assert len(routed(connection, function, k=9)) == 5
    assert len(routed(connection, "route_best_single", prompt=None, k=9)) == 5


def test_an_index_finds_the_neighbours_of_many_items(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.embeddings.routers.stored_router.INDEXED_FROM", 200)
    monkeypatch.setattr("registry.embeddings.routers.stored_router.INDEXED_NUMBERS", 0)
    router = kept_router(connection)
    (index,) = rows(
        connection, "SELECT relname FROM pg_class WHERE relname ~ '^route_items_.*_hnsw_idx$'"
    )
    assert index == (f"route_items_{router.version}_hnsw_idx",)
    connection.exec_driver_sql("SET LOCAL hnsw.ef_search = 7")
    for prompt in unit(np.random.default_rng(1), 6, 8):
        numpy = expected(router.blend.neighbours(prompt[None]))
        for row in routed(connection, "route_knn", prompt, k=9):
            assert row["probability"] == pytest.approx(numpy[row["model"]][0], abs=2e-3)
    settings = "SELECT current_setting('hnsw.ef_search'), current_setting('enable_seqscan')"
    assert rows(connection, settings) == [("7", "on")]


def test_an_index_finds_nearly_the_neighbours_of_a_scan(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.embeddings.routers.stored_router.INDEXED_FROM", 200)
    monkeypatch.setattr("registry.embeddings.routers.stored_router.INDEXED_NUMBERS", 2_000 * 51)
    wide = SETTINGS._replace(k=100)
    router = kept_router(connection, subjects_problem(2_000, dimension=48), settings=wide)
    found = "SELECT count(*) FROM pg_class WHERE relname ~ '^route_items_.*_hnsw_idx$'"
    assert rows(connection, found) == [(1,)]
    prompts = unit(np.random.default_rng(1), 20, 48)
    numpy = router.blend.neighbours(prompts).probabilities
    apart = [
        abs(row["probability"] - of_prompt[int(row["model"][-1])])
        for prompt, of_prompt in zip(prompts, numpy, strict=True)
        for row in routed(connection, "route_knn", prompt, k=9)
    ]
    # The graph of an index is random: single neighbours are missed still.
    assert np.mean(apart) < 6e-4


@pytest.mark.parametrize(
    "message",
    ["dimensions; those of the encoder", "minimum_probability is '", "unnest(pool)",
     "has no routers", "None of the pool"],
)  # fmt: skip
def test_what_routers_check_is_written_once(connection: Connection, message: str) -> None:
    found = rows(
        connection,
        """SELECT count(*) FROM pg_proc JOIN pg_namespace AS n ON n.oid = pronamespace
            WHERE nspname IN ('store', 'registry') AND strpos(prosrc, :message) > 0""",
        message=message,
    )
    assert found == [(1,)]
