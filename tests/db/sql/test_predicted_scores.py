"""View store.predicted_scores: evidence, mean and deviation, on rows that are made by hand."""

import math
from typing import Any

import pytest
import scored
from evaluated import block, run, write
from factories import model
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from registry.evaluations.records import Setup

BY_HAND = math.sqrt(0.1 + 0.4)


@pytest.fixture
def by_hand(connection: Connection) -> Connection:
    """One model with a score, one without, and predictions of both on one benchmark."""
    model(connection, "org/a")
    write(connection, block("b", run("org/a", score=0.5)))
    scored.version(connection)
    return connection


def changed(connection: Connection, table: str, **columns: Any) -> dict[str, Any]:
    """Change a row, and return what is predicted then of the model."""
    given = ", ".join(f"{name} = :{name}" for name in columns)
    connection.execute(text(f"UPDATE store.{table} SET {given}"), columns)
    (row,) = connection.execute(text("SELECT * FROM store.predicted_scores")).mappings()
    return dict(row)


@pytest.mark.parametrize(
    ("scores", "blocks", "of_benchmark", "group"),
    [
        (0, 1, 20, 0),
        (0, 2, 20, 0),
        (1, 1, 20, 1),
        (4, 1, 20, 1),
        (5, 1, 20, 3),
        (5, 1, 9, 2),
        (5, 1, 10, 3),
        (4, 2, 20, 4),
        (9, 6, 9, 4),
        (9, 3, 20, 3),
    ],
)
def test_groups_of_evidence(
    by_hand: Connection, scores: int, blocks: int, of_benchmark: int, group: int
) -> None:
    changed(by_hand, "benchmark_loadings", score_count=of_benchmark)
    row = changed(by_hand, "abilities", kind="scores", score_count=scores, blocks=blocks)
    assert row["evidence_group"] == group
    assert row["evidence"] == ("catalog" if group == 0 else "scores")


@pytest.mark.parametrize(("scores", "blocks", "factor"), [(0, 1, 2), (5, 1, 3), (5, 2, 5)])
def test_deviations_have_the_factors_of_their_evidence(
    by_hand: Connection, scores: int, blocks: int, factor: float
) -> None:
    changed(by_hand, "benchmark_loadings", cold_factor=2, warm_factor=3, crossed_factor=5)
    row = changed(by_hand, "abilities", score_count=scores, blocks=blocks, scale=0.5)
    assert row["mean"] == pytest.approx(0.3)
    assert row["deviation"] == pytest.approx(BY_HAND * factor * 0.5)


def observe(connection: Connection, variance: float) -> None:
    connection.execute(
        text("""
        INSERT INTO store.fitted_scores
        SELECT model_id, version_id, benchmark_id, 2.0, :variance, 1.0, 0.5, 3
          FROM store.abilities CROSS JOIN store.benchmarks"""),
        {"variance": variance},
    )


def test_a_measured_score_is_predicted_by_the_fit_without_it(by_hand: Connection) -> None:
    observe(by_hand, 0)
    row = changed(by_hand, "abilities", kind="scores", score_count=5, blocks=1, scale=7)
    assert (row["mean"], row["deviation"], row["evidence_group"]) == (1.0, 0.5, 3)
    assert (row["evidence"], row["observed"]) == ("scores", 2.0)


def test_an_estimate_from_some_items_counts_by_its_error(by_hand: Connection) -> None:
    observe(by_hand, 0.75)
    row = changed(by_hand, "abilities", kind="outcomes", score_count=5, blocks=1)
    assert row["evidence"] == "outcomes"
    precision = 1 / 0.25 + 1 / 0.75
    assert row["mean"] == pytest.approx((1.0 / 0.25 + 2.0 / 0.75) / precision)
    assert row["deviation"] == pytest.approx(math.sqrt(1 / precision))


def test_nothing_is_predicted_from_blocks_without_ties(by_hand: Connection) -> None:
    update = "UPDATE store.abilities SET kind = 'scores', score_count = 5, blocks = :blocks"
    ask = text("SELECT count(*) FROM store.predicted_scores")
    for blocks, there in ((3, 1), (2, 1), (4, 0), (6, 1), (0, 0)):
        by_hand.execute(text(update), {"blocks": blocks})
        assert by_hand.scalar(ask) == there
    with pytest.raises(DBAPIError, match="fewer than 10 models have scores both"):
        by_hand.execute(text("SELECT * FROM registry.predict('org/a', 'b')"))


def test_of_another_version_nothing_is_served(by_hand: Connection) -> None:
    by_hand.execute(text("UPDATE store.prediction_versions SET state = 'retired'"))
    assert by_hand.execute(text("SELECT * FROM store.predicted_scores")).all() == []


def test_evidence_weighs_scores_by_the_covariance_of_abilities(by_hand: Connection) -> None:
    write(by_hand, block("c", run("org/a", score=0.4)))
    by_hand.execute(
        text("""
        DELETE FROM store.benchmark_loadings;
        INSERT INTO store.benchmark_loadings
        SELECT version_id, benchmark_id, measure_id, 20, 0, 0.1, 1, 1, 1, 1, 3, NULL, NULL,
               CASE name WHEN 'b' THEN '[1,0]' ELSE '[0,1]' END::vector,
               '[0,0,0,0,0,0,0,0,0]'
          FROM store.prediction_versions, store.benchmarks;
        INSERT INTO store.fitted_scores
        SELECT model_id, version_id, b.benchmark_id, 1, 0.3, 0, 1, 3
          FROM store.abilities, store.benchmarks b WHERE b.name = 'c'""")
    )
    # Covariance (0.4, 0.2; 0.2, 0.5), packed.
    spread = f"[0.4,{0.2 * math.sqrt(2)},0.5,0,0,0,0,0,0]"
    by_hand.execute(
        text("""
        UPDATE store.abilities SET vector = '[0.3,0.1]', spread = CAST(:spread AS vector),
               score_count = 1"""),
        {"spread": spread},
    )
    query = """
        SELECT e.evidence -> 'scores' FROM store.abilities a
         CROSS JOIN store.benchmarks b
         CROSS JOIN LATERAL (
               SELECT store.prediction_evidence(a.version_id, a.model_id, b.benchmark_id)
                          AS evidence) e
         WHERE b.name = :name"""
    (of_b,) = by_hand.execute(text(query), {"name": "b"}).one()
    assert [each["benchmark"] for each in of_b] == ["c"]
    assert of_b[0]["weight"] == pytest.approx(0.2 / (0.1 + 0.3), rel=1e-5)
    (of_c,) = by_hand.execute(text(query), {"name": "c"}).one()
    assert of_c == []


@pytest.mark.parametrize(
    ("centre", "scale", "better", "raw"),
    [
        (None, None, True, 10 + 40 * (1.02 / (1 + math.exp(-0.7)) - 0.01)),
        (None, None, False, 50 - 40 * (1.02 / (1 + math.exp(-0.7)) - 0.01)),
        (1000.0, 200.0, True, 1140.0),
        (12.0, -2.0, False, 10.6),
    ],
)
def test_raw_scores_and_back(
    connection: Connection, *, centre: float | None, scale: float | None, better: bool, raw: float
) -> None:
    bounds = {"lower": None if centre else 10.0, "upper": None if centre else 50.0}
    write(connection, block("b", run("org/a", score=20.0)))
    connection.execute(
        text(
            "UPDATE store.measures SET lower = :lower, upper = :upper, higher_is_better = :better"
        ),
        {**bounds, "better": better},
    )
    found, back = connection.execute(
        text("""
        SELECT r.raw, store.working_value(r.raw, k.measure_id, :centre, :scale)
          FROM store.measures k
         CROSS JOIN LATERAL (
               SELECT store.raw_of_working(CAST(0.7 AS float8), CAST(:centre AS float8),
                                           CAST(:scale AS float8), k.lower, k.upper,
                                           k.higher_is_better) AS raw) r"""),
        {"centre": centre, "scale": scale},
    ).one()
    assert found == pytest.approx(raw)
    assert back == pytest.approx(0.7)


def test_a_leaderboard_shows_the_plain_model_before_a_system_around_it(
    connection: Connection,
) -> None:
    system = Setup(variant="best-of-16")
    write(
        connection,
        block("gsm8k", run("org/a", score=0.9, setup=system)),
        block("gsm8k_cot", run("org/a", score=0.4)),
        block("gsm8k_cot", run("org/b", score=0.3)),
        block("gsm8k", run("org/b", score=0.2)),
    )
    found = connection.execute(
        text("SELECT model, score, kind FROM registry.leaderboard(ARRAY['gsm8k'])")
    ).all()
    # And of two plain runs the one with the plain prompt.
    assert [tuple(row) for row in found] == [
        ("org/a", 0.4, "measured"),
        ("org/b", 0.2, "measured"),
    ]
