"""Cascades and votes in SQL, against those that evaluations measure."""

from typing import Any

import numpy as np
import pytest
from factories import rows
from learned import drawn, kept
from priced import offer
from routed import KeptRouter, kept_router, subjects_problem, unit
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from registry.learning.arrays import Reals
from registry.learning.routing_evaluation.cascade import by_probability, chain
from registry.learning.routing_evaluation.voting import Ballot, log_odds, vote

PRICES = (1.0, 9.0, 2.0, 4.0, 3.0, 6.0, 8.0)


@pytest.fixture
def router(connection: Connection) -> KeptRouter:
    """A version that routes to seven models, the last of them without a price."""
    found = kept_router(connection, subjects_problem(models=8, missing=0.0))
    for place, price in enumerate(PRICES):
        key = rows(connection, f"SELECT model_id FROM store.models WHERE name = 'org/m{place}'")
        offer(connection, f"m{place}", key[0][0], (price, price))
    return found


def cascade(connection: Connection, prompt: Any, **options: Any) -> list[dict[str, Any]]:
    arguments = "".join(f", {name} => :{name}" for name in options)
    query = text(f"SELECT * FROM registry.route_cascade(CAST(:prompt AS vector){arguments})")
    options["prompt"] = str(np.asarray(prompt, np.float64).tolist())
    return [dict(row) for row in connection.execute(query, options).mappings()]


def refused(connection: Connection, message: str, query: str) -> None:
    with pytest.raises(DBAPIError, match=message), connection.begin_nested():
        connection.execute(text(query)).all()


@pytest.mark.parametrize("most", [2, 3, 4, 9])
@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.99])
def test_a_cascade_is_the_evaluated_one(
    connection: Connection, router: KeptRouter, most: int, threshold: float
) -> None:
    costs: Reals = np.array([*PRICES, np.nan]) * 1000 / 1e6
    levels = np.asarray(router.blend.levels, np.float64)[None]
    models = chain(levels, costs, most)
    prompts = unit(np.random.default_rng(4), 12, 8)
    probabilities = router.blend.predict(prompts).probabilities
    ballot = Ballot(probabilities, np.zeros((12, 8), np.int64), probabilities)
    whole = by_probability(ballot, np.tile(costs, (12, 1)), models, threshold)
    for prompt, p, cost in zip(prompts, probabilities, whole.costs, strict=True):
        found = cascade(connection, prompt, k=most, threshold=threshold)
        assert [row["model"] for row in found] == [f"org/m{each}" for each in models]
        assert [row["step"] for row in found] == list(range(1, len(models) + 1))
        assert [row["probability"] for row in found] == pytest.approx(p[models].tolist(), abs=2e-3)
        (asked,) = [row for row in found if row["asked"]]
        assert asked["expected_cost"] == pytest.approx(cost)
        enough = bool((p[models] >= threshold).any())
        assert [row["fallback"] is None for row in found] == [enough] * len(found)
        # Later steps are reached where all from the asked one on are wrong.
        left = 1.0
        for row in found:
            if row["step"] < asked["step"]:
                assert row["reached"] == 0
                continue
            assert row["reached"] == pytest.approx(left)
            left *= 1 - row["probability"]


def test_a_cascade_has_models_within_the_filters(
    connection: Connection, router: KeptRouter
) -> None:
    prompt = unit(np.random.default_rng(4), 1, 8)[0]
    found = cascade(connection, prompt, pool=["org/m1", "org/m0", "org/m7"])
    assert {row["model"] for row in found} <= {"org/m0", "org/m1"}
    (first, *_) = cascade(connection, prompt, input_tokens=3e6, max_price=2.5)
    assert first["expected_cost"] == pytest.approx(4 * first["price"])
    assert first["version"] == router.version
    assert all(row["price"] <= 2.5 for row in cascade(connection, prompt, max_price=2.5))
    start = f"SELECT * FROM registry.route_cascade('{prompt.tolist()}'"
    refused(connection, "none of those that pass the filters has a known price",
            f"{start}, pool => '{{org/m7}}')")  # fmt: skip
    refused(connection, "the others cost more than 0.5", f"{start}, max_price => 0.5)")
    refused(connection, "two models or more", f"{start}, k => 1)")
    for wrong in ("1.1", "-0.1", "'NaN'"):
        refused(connection, "threshold is from 0 to 1", f"{start}, threshold => {wrong})")
    assert rows(connection, "SELECT * FROM registry.route_cascade(NULL)") == []


def test_without_a_router_there_is_no_cascade(connection: Connection) -> None:
    kept(connection, drawn(2), serving=drawn(2, 3, seed=3), encoder="small", current=True)
    refused(connection, "has no routers", "SELECT * FROM registry.route_cascade('[1,0]')")


def voted(
    connection: Connection, answers: list[str | None], probabilities: list[float | None], **of: Any
) -> list[Any]:
    arguments = "".join(f", {name} => :{name}" for name in of)
    return rows(
        connection,
        "SELECT * FROM registry.vote(CAST(:answers AS text[]),"
        f" CAST(:probabilities AS double precision[]){arguments})",
        answers=answers,
        probabilities=probabilities,
        **of,
    )


@pytest.mark.parametrize("options", [{}, {"choices": 4}, {"choices": 4, "overlap": 0.2}])
def test_a_vote_is_the_evaluated_one(connection: Connection, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(8)
    for models in (1, 2, 5, 8):
        for _ in range(25):
            codes = rng.integers(-1, 3, models)
            # Of few values, so that some are equal.
            p = rng.integers(1, 9, models) / 10
            found = voted(
                connection, [None if code < 0 else "ABC"[code] for code in codes], p.tolist(),
                **options,
            )  # fmt: skip
            if (codes < 0).all():
                assert found == []
                continue
            weights = log_odds(p[None], options["choices"]) if "choices" in options else None
            # The outcome of an answer is its code here.
            ballot = Ballot(p[None], codes[None], codes[None].astype(np.float64))
            expected = vote(ballot, weights, options.get("overlap", 1.0))[0]
            assert found[0][0] == "ABC"[int(expected)]
            assert [row[4] for row in found] == [True] + [False] * (len(found) - 1)
            assert sum(row[1] for row in found) == (codes >= 0).sum()


def test_votes_by_hand(connection: Connection) -> None:
    assert voted(connection, ["B ", "C", "\tB", None, " "], [0.5, 0.9, 0.6, 0.99, 0.99]) == [
        ("B", 2, 2, 0.6, True), ("C", 1, 1, 0.9, False),
    ]  # fmt: skip
    # As many votes: the answer of the likeliest model.
    assert voted(connection, ["B", "C"], [0.5, 0.9])[0][0] == "C"
    # A model of unknown probability has no vote.
    assert voted(connection, ["B", "C", "B"], [0.5, 0.9, None])[0][:2] == ("C", 1)
    weighted = voted(connection, ["B", "C", "B"], [0.5, 0.9, 0.5], choices=2)
    assert weighted[0][:2] == ("C", 1)
    assert weighted[0][2] == pytest.approx(np.log(9))
    assert voted(connection, [], []) == []


def test_votes_that_cannot_be_counted_are_refused(connection: Connection) -> None:
    start = "SELECT * FROM registry.vote("
    refused(connection, "There are 2 answers and 1 probabilities", f"{start}'{{A,B}}', '{{0.5}}')")
    refused(connection, "from 0 to 1, not 1.5", f"{start}'{{A}}', '{{1.5}}')")
    refused(connection, "from 0 to 1, not NaN", f"{start}'{{A}}', '{{NaN}}')")
    refused(connection, "two possible answers", f"{start}'{{A}}', '{{0.5}}', 1)")
    refused(connection, "overlap is from 0 to 1", f"{start}'{{A}}', '{{0.5}}', 2, 1.5)")
    refused(connection, "overlap is from 0 to 1", f"{start}'{{A}}', '{{0.5}}', 2, NULL)")
