from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from domained import SET
from factories import NOON, family, model, rows
from priced import offer
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from registry.prediction.domains.domain_storage import read_set, write_set

SUMS, BIRDS, REST, ALL = 0, 1, 2, -1


@pytest.fixture
def key(connection: Connection) -> int:
    """A set of three domains whose classifier reads two dimensions: sums to the right, birds up."""
    write_set(connection, SET)
    key = read_set(connection, "ours").key
    connection.execute(
        text("""
        INSERT INTO store.domain_classifiers
        VALUES (:key, 'two', 2, now(), 99, 2, 1, 1, -5, 0.5, '', '{}', '{}')"""),
        {"key": key},
    )
    vectors = ((SUMS, "[4,0,0]"), (SUMS, "[3,0,0.5]"), (BIRDS, "[0,4,0]"), (REST, "[0,0,1]"))
    for part, (domain, vector) in enumerate(vectors):
        connection.execute(
            text("INSERT INTO store.domain_vectors VALUES (:key, :part, :domain, :vector)"),
            {"key": key, "part": part, "domain": domain, "vector": vector},
        )
    return key


def score(
    connection: Connection, key: int, name: str, scores: dict[int, float], error: float = 0.02,
    **columns: Any,
) -> int:  # fmt: skip
    """Insert a model with scores in domains."""
    of = model(connection, name, **columns)
    for domain, value in scores.items():
        connection.execute(
            text("INSERT INTO store.domain_scores VALUES (:m, :k, :d, 100, :s, 0.04, :e)"),
            {"m": of, "k": key, "d": domain, "s": value, "e": error},
        )
    return of


def experts(connection: Connection, key: int, arguments: str = "") -> dict[int, tuple[Any, ...]]:
    found = rows(
        connection,
        "SELECT x.domain, m.name, r.name, x.score, x.why FROM store.choose_experts(:key"
        + arguments
        + ") x JOIN store.models m USING (model_id)"
        " LEFT JOIN store.models r ON r.model_id = x.runner_up_id",
        key=key,
    )
    return {row[0]: row[1:] for row in found}


def route(connection: Connection, vector: str = "[1,0]", **options: Any) -> list[dict[str, Any]]:
    named = "".join(f", {name} => :{name}" for name in options)
    query = f"SELECT * FROM registry.route_domain(:v, domain_set => 'ours'{named})"
    return [
        dict(each) for each in connection.execute(text(query), {"v": vector, **options}).mappings()
    ]


def refused(connection: Connection, message: str, query: str, **parameters: Any) -> None:
    with pytest.raises(DBAPIError, match=message), connection.begin_nested():
        connection.execute(text(query), parameters)


def test_probabilities_are_of_sharpened_sums_over_parts(connection: Connection, key: int) -> None:
    del key
    found = rows(
        connection,
        "SELECT domain, probability, confident, energy FROM"
        " registry.classify_prompt('[0.8,0.6]', 'ours', 3)",
    )
    # Inner products 3.2 and 2.9 of sums, 2.4 of birds, 1 of the rest; sharpness 2.
    raised = {"sums": np.exp(3.2) + np.exp(2.9), "birds": np.exp(2.4), "rest": np.e}
    total = sum(value**2 for value in raised.values())
    assert [row[0] for row in found] == list(raised)
    assert [row[1] for row in found] == pytest.approx(
        [value**2 / total for value in raised.values()], abs=1e-6
    )
    assert [row[2] for row in found] == [True, False, False]
    assert found[0][3] == pytest.approx(np.log(sum(raised.values())))


@pytest.mark.parametrize(
    ("change", "vector", "confident"),
    [
        ("least_energy = -5", "[1,0]", True),
        ("least_energy = 4.6", "[1,0]", False),
        ("least_probability = 0.9999999", "[1,0]", False),
        ("least_energy = -5", "[-1,0]", False),
    ],
    ids=["sure", "unlike", "unlikely", "fallback"],
)
def test_what_can_be_relied_on(
    connection: Connection, key: int, change: str, vector: str, *, confident: bool
) -> None:
    del key
    connection.execute(text(f"UPDATE store.domain_classifiers SET {change}"))
    found = rows(connection, "SELECT confident FROM registry.classify_prompt(:v, 'ours')", v=vector)
    assert found == [(confident,)]


def test_no_prompt_is_no_row_and_bad_ones_are_errors(connection: Connection, key: int) -> None:
    assert rows(connection, "SELECT * FROM registry.classify_prompt(NULL, 'ours')") == []
    assert route(connection, None) == []  # type: ignore[arg-type]
    for function in ("classify_prompt", "route_domain"):
        query = f"SELECT * FROM registry.{function}(:v, domain_set => :s)"
        refused(connection, "has 3 dimensions; those of the encoder 'two' have 2", query,
                v="[1,2,3]", s="ours")  # fmt: skip
        for vector in ("[1,2]", "[0,0]"):
            refused(
                connection, "not 1: divide it by its length .* 'two'", query, v=vector, s="ours"
            )
        refused(connection, "no set of domains named 'theirs'; there are ours", query,
                v="[1,2]", s="theirs")  # fmt: skip
    connection.execute(text("DELETE FROM store.domain_classifiers WHERE set_id = :k"), {"k": key})
    refused(connection, "'ours' is not trained", "SELECT registry.classify_prompt('[1,2]', 'ours')")
    connection.execute(text("DELETE FROM store.domain_sets"))
    refused(connection, "no set of domains yet", "SELECT registry.classify_prompt('[1,2]')")


@pytest.mark.parametrize(
    ("tier", "most"),
    [("8B", 8_400_000_000), ("350m", 367_500_000), (" 1.5b ", 1_575_000_000), ("any", None),
     ("1T", 1_050_000_000_000), (None, None)],
)  # fmt: skip
def test_tiers_are_a_twentieth_larger(connection: Connection, tier: str, most: int | None) -> None:
    assert rows(connection, "SELECT store.tier_parameters(:t)", t=tier) == [(most,)]


@pytest.mark.parametrize("tier", ["8", "B", "0B", "-8B", "8B8", "", "1e9B", "NaNB"])
def test_what_is_no_size_is_no_tier(connection: Connection, tier: str) -> None:
    refused(connection, "is no size tier", "SELECT store.tier_parameters(:t)", t=tier)


def test_experts_are_better_beyond_noise(connection: Connection, key: int) -> None:
    score(connection, key, "org/all", {SUMS: 0.6, BIRDS: 0.6, REST: 0.5, ALL: 0.6})
    score(connection, key, "org/adder", {SUMS: 0.7, BIRDS: 0.62, REST: 0.7, ALL: 0.5})
    score(connection, key, "org/adder2", {SUMS: 0.69, BIRDS: 0.3, REST: 0.2, ALL: 0.4})
    found = experts(connection, key)
    assert found[SUMS][:3] == ("org/adder", "org/adder2", 0.7)
    assert (
        found[SUMS][3] == "better than the best general model by 0.100, beyond the noise of 0.028"
    )
    assert found[BIRDS][:3] == ("org/all", "org/adder", 0.6)
    assert found[BIRDS][3] == (
        "the best general model: org/adder is better here by 0.020, within the noise of 0.028"
    )
    assert found[REST][:3] == ("org/all", "org/adder", 0.5)
    assert "as for all prompts of no other domain" in found[REST][3]


def test_noise_of_one_model_does_not_make_it_the_expert(connection: Connection, key: int) -> None:
    score(connection, key, "org/all", {SUMS: 0.6, ALL: 0.6})
    score(connection, key, "org/few", {SUMS: 0.9, ALL: 0.5}, error=0.4)
    score(connection, key, "org/sure", {SUMS: 0.7, ALL: 0.5})
    assert experts(connection, key)[SUMS][0] == "org/sure"


def test_domains_without_scores_go_to_the_best_general_model(
    connection: Connection, key: int
) -> None:
    assert experts(connection, key) == {}
    score(connection, key, "org/all", {ALL: 0.6})
    found = experts(connection, key)
    assert {domain: row[0] for domain, row in found.items()} == dict.fromkeys(range(3), "org/all")
    assert "no model was observed on enough items" in found[SUMS][3]
    assert found[SUMS][2] is None
    score(connection, key, "org/adder", {SUMS: 0.2, ALL: 0.1})
    found = experts(connection, key)
    assert found[SUMS][0] == "org/adder"
    assert "where the best general model was not observed" in found[SUMS][3]
    (row,) = route(connection)
    assert (row["model"], row["probability"]) == ("org/adder", 0.2)


def test_stated_experts_come_first_within_their_tier(connection: Connection, key: int) -> None:
    score(connection, key, "org/all", {SUMS: 0.6, ALL: 0.6}, parameters=7 * 10**9)
    stated = score(connection, key, "org/mine", {SUMS: 0.1, ALL: 0.1}, parameters=6 * 10**9)
    large = score(connection, key, "org/large", {SUMS: 0.2, ALL: 0.1}, parameters=6 * 10**10)
    for most, of in ((8_400_000_000, stated), (2**63 - 1, large)):
        connection.execute(
            text("INSERT INTO store.domain_experts VALUES (:k, 0, :most, :m)"),
            {"k": key, "most": most, "m": of},
        )
    assert experts(connection, key)[SUMS][::3] == ("org/large", "stated as the expert")
    assert experts(connection, key, ", 8400000000")[SUMS][0] == "org/mine"
    assert experts(connection, key, ", 6500000000")[SUMS][0] == "org/mine"
    (row,) = route(connection, tier="8B")
    assert row["model"] == "org/mine"


def test_filters_are_those_of_other_routers(connection: Connection, key: int) -> None:
    a = score(connection, key, "org/a", {SUMS: 0.9, ALL: 0.9}, parameters=70 * 10**9,
              parameters_source="safetensors", license="mit")  # fmt: skip
    b = score(connection, key, "org/b", {SUMS: 0.7, ALL: 0.7}, parameters=8 * 10**9,
              parameters_source="safetensors", license="apache-2.0")  # fmt: skip
    c = score(connection, key, "org/c", {SUMS: 0.5, ALL: 0.5}, parameters=7 * 10**9,
              parameters_source="parent")  # fmt: skip
    offer(connection, "a", a, (4.0, 8.0), provider="one")
    offer(connection, "a", a, (9.0, 9.0), provider="two")
    offer(connection, "b", b, (1.0, 2.0), provider="one")
    family(connection, a, a)
    family(connection, c, a)

    def chosen(**options: Any) -> list[str]:
        return [each["model"] for each in route(connection, k=9, **options)]

    assert chosen() == ["org/a", "org/b", "org/c"]
    assert chosen(max_price=1.25) == ["org/b"]
    assert chosen(max_price=4.9) == ["org/b"]
    assert chosen(max_price=5.0) == ["org/a", "org/b"]
    assert chosen(tier="8B") == ["org/b"]
    assert chosen(max_parameters=80 * 10**9) == ["org/a", "org/b"]
    assert chosen(tier="any", max_parameters=8 * 10**9) == ["org/b"]
    assert chosen(license="MIT") == ["org/a"]
    assert chosen(family="org/c") == ["org/a", "org/c"]
    assert chosen(provider="two") == ["org/a"]
    assert chosen(pool=["org/c", "org/b"]) == ["org/b", "org/c"]
    assert chosen(cost_weight=0.01) == ["org/a", "org/b"]
    assert chosen(cost_weight=0.1) == ["org/b", "org/a"]
    assert chosen(minimum_probability=0.7) == ["org/a", "org/b"]
    assert route(connection, k=0) == []
    (one,) = route(connection, provider="two", input_tokens=1000, output_tokens=500)
    assert one["price"] == 9.0
    assert one["expected_cost"] == pytest.approx(0.0135)
    (one,) = route(connection, provider="two", input_tokens=3000)
    assert one["expected_cost"] == pytest.approx(4000 * 9 / 1e6)
    low = route(connection, minimum_probability=0.95)
    assert low[0]["fallback"].startswith("no model reaches the minimum probability of 0.95: ")
    query = "SELECT * FROM registry.route_domain('[1,0]', domain_set => 'ours', "
    for filters in ("max_price => 0.1", "tier => '1B'", "license => 'gpl'", "provider => 'x'",
                    "pool => '{}'"):  # fmt: skip
        refused(connection, "No model is left to choose from", f"{query}{filters})")
    refused(connection, "No model named 'who'", f"{query}pool => '{{who}}')")
    refused(connection, "No family is known", f"{query}family => 'who')")
    for bad in ("max_price => -1", "max_price => 'NaN'", "cost_weight => -1",
                "cost_weight => 'NaN'", "minimum_probability => 2", "input_tokens => -1",
                "output_tokens => 'Infinity'"):  # fmt: skip
        refused(connection, "are at least 0", f"{query}{bad})")


def test_what_the_minimum_probability_changes_is_said(connection: Connection, key: int) -> None:
    stated = score(connection, key, "org/mine", {SUMS: 0.5, ALL: 0.4})
    score(connection, key, "org/all", {SUMS: 0.8, ALL: 0.8})
    connection.execute(
        text("INSERT INTO store.domain_experts VALUES (:k, 0, :most, :m)"),
        {"k": key, "most": 2**63 - 1, "m": stated},
    )
    (row,) = route(connection, minimum_probability=0.5)
    assert (row["model"], row["fallback"]) == ("org/mine", None)
    (row,) = route(connection, minimum_probability=0.6)
    assert (row["model"], row["why"]) == ("org/all", None)
    assert row["fallback"] == (
        "the model to ask, org/mine, does not reach the minimum probability of 0.6: the best by "
        "score"
    )
    for weight, last in ((0, "the expert"), (0.1, "ordered by score less weighed price")):
        if weight:
            offer(connection, "mine", stated, (1.0, 1.0))
        (row,) = route(connection, minimum_probability=0.9, cost_weight=weight)
        assert row["model"] == "org/mine"
        assert row["fallback"] == f"no model reaches the minimum probability of 0.9: {last}"
    connection.execute(text("DELETE FROM store.domain_experts"))
    (row,) = route(connection, minimum_probability=0.9)
    assert (row["model"], row["fallback"]) == (
        "org/all", "no model reaches the minimum probability of 0.9: best general model",
    )  # fmt: skip


def test_the_price_of_a_provider_is_that_of_the_list_seen_last(
    connection: Connection, key: int
) -> None:
    a = score(connection, key, "org/a", {SUMS: 0.9, ALL: 0.9})
    offer(connection, "old", a, (0.01, 0.01), provider="acme", source="m")
    offer(connection, "new", a, (9.0, 9.0), provider="acme", source="z",
          seen_at=NOON + timedelta(days=1))  # fmt: skip
    (row,) = route(connection, provider="acme")
    assert (row["price"], row["expected_cost"]) == (9, 0.009)
    refused(connection, "No model is left to choose from",
            "SELECT registry.route_domain('[1,0]', domain_set => 'ours', provider => 'acme',"
            " max_price => 0.05)")  # fmt: skip


def test_uncertain_prompts_go_to_the_best_general_model_by_name(
    connection: Connection, key: int
) -> None:
    score(connection, key, "org/all", {SUMS: 0.55, REST: 0.4, ALL: 0.6})
    score(connection, key, "org/adder", {SUMS: 0.9, REST: 0.9, ALL: 0.5})
    (row,) = route(connection, "[1,0]")
    assert (row["model"], row["fallback"], row["probability"]) == ("org/adder", None, 0.9)
    assert row["lower"] == pytest.approx(0.9 - 1.6448536 * 0.04)
    assert row["upper"] == pytest.approx(0.9 + 1.6448536 * 0.04)
    (row,) = route(connection, "[-1,0]")
    assert (row["model"], row["domain"], row["probability"]) == ("org/all", "rest", 0.4)
    assert row["fallback"].startswith("the prompt is of the domain of all others, rest")
    connection.execute(text("UPDATE store.domain_classifiers SET least_probability = 0.99999999"))
    (row,) = route(connection, "[1,0]")
    assert (row["model"], row["probability"]) == ("org/all", 0.6)
    assert (
        row["fallback"] == "the prompt's domain is not certain (sums at 1.00): best general model"
    )
    connection.execute(text("DELETE FROM store.domain_scores WHERE domain = -1"))
    refused(connection, "there is no general model",
            "SELECT registry.route_domain('[1,0]', domain_set => 'ours')")  # fmt: skip


def test_where_prices_weigh_no_row_is_called_the_best_general_model(
    connection: Connection, key: int
) -> None:
    general = score(connection, key, "org/all", {SUMS: 0.88, REST: 0.6, ALL: 0.7})
    adder = score(connection, key, "org/adder", {SUMS: 0.89, REST: 0.5, ALL: 0.5})
    offer(connection, "all", general, (9.0, 9.0))
    offer(connection, "adder", adder, (1.0, 1.0))

    def reasons(vector: str, **options: float) -> list[tuple[str, str | None, str | None]]:
        found = route(connection, vector, k=2, **options)
        return [(row["model"], row["fallback"], row["why"]) for row in found]

    within = reasons("[1,0]")[0]
    assert within[:2] == ("org/all", within[2])
    assert within[2].startswith("the best general model: org/adder is better")  # type: ignore[union-attr]
    assert reasons("[1,0]", cost_weight=0.1) == [("org/adder", None, None), ("org/all", None, None)]
    other = "the prompt is of the domain of all others, rest: "
    assert reasons("[-1,0]")[0][:2] == ("org/all", f"{other}best general model")
    there = f"{other}ordered by score there less weighed price"
    assert reasons("[-1,0]", cost_weight=0.1) == [
        ("org/adder", there, None), ("org/all", there, None),
    ]  # fmt: skip
    connection.execute(text("UPDATE store.domain_classifiers SET least_probability = 0.99999999"))
    overall = (
        "the prompt's domain is not certain (sums at 1.00): "
        "ordered by score over all domains less weighed price"
    )
    assert reasons("[1,0]", cost_weight=0.1) == [
        ("org/adder", overall, None), ("org/all", overall, None),
    ]  # fmt: skip


def test_the_view_of_experts_has_all_tiers(connection: Connection, key: int) -> None:
    a = score(connection, key, "org/a", {SUMS: 0.9, ALL: 0.9}, parameters=70 * 10**9,
              parameters_source="safetensors")  # fmt: skip
    score(connection, key, "org/b", {SUMS: 0.7, ALL: 0.7}, parameters=8 * 10**9,
          parameters_source="safetensors")  # fmt: skip
    offer(connection, "a", a, (1.0, 1.0))
    found = rows(
        connection,
        "SELECT size_tier, max_price, model FROM registry.experts WHERE domain = 'sums'",
    )
    assert sorted(found, key=str) == sorted(
        [("8B", None, "org/b"), ("14B", None, "org/b"), ("34B", None, "org/b"),
         ("73B", None, "org/a"), ("73B", 1.0, "org/a"), ("73B", 5.0, "org/a"),
         ("any", None, "org/a"), ("any", 1.0, "org/a"), ("any", 5.0, "org/a")], key=str,
    )  # fmt: skip
    assert rows(connection, "SELECT model, score, of_all FROM registry.domain_scores"
                            " WHERE domain = 'all' ORDER BY 1") == [
        ("org/a", 0.9, True), ("org/b", 0.7, True),
    ]  # fmt: skip
