"""View store.predicted_scores: evidence, mean and deviation, on rows that are made by hand."""

import math
from typing import Any

import pytest
import scored
from evaluated import block, run, write
from factories import model
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from registry.evaluations.records import Benchmark, Block, Measure, Setup

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
        SELECT model_id, version_id, b.benchmark_id, 0.1, 0.3, 0, 1, 3
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
    assert of_b[0]["weight"] == pytest.approx(0.2 * 4 / (3 * (0.1 + 0.3)), rel=1e-5)
    (of_c,) = by_hand.execute(text(query), {"name": "c"}).one()
    assert of_c == []
    # A score unlike its prediction, 0.1, counts less, by Student's t with three degrees.
    by_hand.execute(text("UPDATE store.fitted_scores SET value = 2.1"))
    (of_b,) = by_hand.execute(text(query), {"name": "b"}).one()
    assert of_b[0]["weight"] == pytest.approx(0.2 * 4 / (3 * 0.4 + 2**2), rel=1e-5)
    # And as what is uncertain of its prediction says: 0.5 of the ability in its direction.
    by_hand.execute(text("UPDATE store.benchmark_loadings SET spread = '[0,0,1,0,0,0,0,0,0]'"))
    (of_b,) = by_hand.execute(text(query), {"name": "b"}).one()
    assert of_b[0]["weight"] == pytest.approx(0.2 * 4 / (3 * 0.4 + 2**2 + 0.5), rel=1e-5)
    # What is predicted of b leaves a score on it out, which abilities count.
    by_hand.execute(
        text("""
        INSERT INTO store.fitted_scores
        SELECT model_id, version_id, b.benchmark_id, 0.3, :variance, 0, 2, 3
          FROM store.abilities, store.benchmarks b WHERE b.name = 'b'"""),
        {"variance": 0.5},
    )
    without = 1 / (1 - 0.4 * 4 / (3 * (0.1 + 0.5) + 0.5))
    (of_b,) = by_hand.execute(text(query), {"name": "b"}).one()
    # An estimate of variance 0.5 beside a prediction of variance 4.
    expected = 0.2 * 4 / (3 * 0.4 + 2**2 + 0.5) * without * 0.5 / 4.5
    assert of_b[0]["weight"] == pytest.approx(expected, rel=1e-5)
    # A part of a benchmark's items is named.
    by_hand.execute(
        text("""
        UPDATE store.fitted_scores f SET benchmark_id = -1000 * f.benchmark_id - 7
          FROM store.benchmarks b WHERE b.benchmark_id = f.benchmark_id AND b.name = 'c';
        UPDATE store.benchmark_loadings f SET benchmark_id = -1000 * f.benchmark_id - 7
          FROM store.benchmarks b WHERE b.benchmark_id = f.benchmark_id AND b.name = 'c';
        UPDATE store.benchmarks SET version = '3' WHERE name = 'c'""")
    )
    (of_b,) = by_hand.execute(text(query), {"name": "b"}).one()
    assert [each["benchmark"] for each in of_b] == ["c@3 (part 7)"]


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
        SELECT r.raw,
               store.working_value(store.share(r.raw, k.lower, k.upper, k.higher_is_better), r.raw,
                                   CAST(:centre AS float8), CAST(:scale AS float8))
          FROM store.measures k
         CROSS JOIN LATERAL (
               SELECT store.raw_of_working(CAST(0.7 AS float8), CAST(:centre AS float8),
                                           CAST(:scale AS float8), k.lower, k.upper,
                                           k.higher_is_better) AS raw) r"""),
        {"centre": centre, "scale": scale},
    ).one()
    assert found == pytest.approx(raw)
    assert back == pytest.approx(0.7)


def test_scores_of_two_scales_are_no_working_values(connection: Connection) -> None:
    query = "SELECT store.working_value(0.5, 0.5, 12, 2), store.working_value(NULL, 9, NULL, NULL)"
    assert tuple(connection.execute(text(query)).one()) == (None, None)


PERCENT = Measure(metric="acc", lower=0, upper=100, unit="%")


def predicted(connection: Connection, name: str, benchmark: str) -> dict[str, Any]:
    query = text("SELECT * FROM registry.predict(:name, :benchmark)")
    (row,) = connection.execute(query, {"name": name, "benchmark": benchmark}).mappings()
    return dict(row)


def test_raw_scores_are_on_one_scale(connection: Connection) -> None:
    """A percentage under one name, shares under another, of one canonical benchmark."""
    model(connection, "org/hole")
    write(
        connection,
        block("arc", run("org/a", score=40.0, measure=PERCENT)),
        block("arc_challenge", run("org/b", score=0.5)),
    )
    scored.version(connection)
    connection.execute(
        text("""
        DELETE FROM store.benchmark_loadings w USING store.benchmarks b
         WHERE b.benchmark_id = w.benchmark_id AND b.name = 'arc_challenge'""")
    )
    rows = connection.execute(
        text("""
        SELECT model, score, raw_score FROM registry.leaderboard(ARRAY['arc'], true, 0.9,
               ARRAY['org/a', 'org/b', 'org/hole'])""")
    ).all()
    board = {row.model: (row.score, row.raw_score) for row in rows}
    assert board["org/a"] == (0.4, 40)
    assert board["org/b"] == (0.5, 50)
    assert board["org/hole"][1] == pytest.approx(100 * board["org/hole"][0])
    for name, score in (("org/a", 0.4), ("org/b", 0.5)):
        row = predicted(connection, name, "arc")
        assert (row["score"], row["raw_score"], row["unit"]) == (score, 100 * score, "%")
    # Both are far from the hole's prediction by the same measure.
    beats = text("SELECT probability FROM registry.beats(:a, 'org/hole', 'arc')")
    hole = predicted(connection, "org/hole", "arc")["score"]
    higher = [connection.scalar(beats, {"a": name}) for name in ("org/a", "org/b")]
    deviation = BY_HAND * 1.6 / 1.6448536269514722
    for score, found in zip((0.4, 0.5), higher, strict=True):
        working = [math.log((each + 0.01) / (1.01 - each)) for each in (score, hole)]
        distance = (working[0] - working[1]) / deviation
        assert found == pytest.approx((1 + math.erf(distance / math.sqrt(2))) / 2)


def test_a_score_of_another_scale_is_compared_with_nothing(connection: Connection) -> None:
    """The version predicts without bounds; a score with bounds has come."""
    model(connection, "org/hole")
    elo = Measure(metric="elo", lower=None, upper=None, unit="elo")
    write(
        connection,
        block("arena", run("org/a", score=0.4), run("org/c", score=0.3)),
        block("other", run("org/b", score=1100.0, measure=elo)),
    )
    scored.version(connection)
    connection.execute(
        text("""
        UPDATE store.benchmark_loadings SET centre = 1000, scale = 100, measure_id = (
               SELECT measure_id FROM store.measures WHERE unit = 'elo')""")
    )
    for name, there in (("other", 1), ("arena", 0)):
        count = (
            "SELECT count(*) FROM registry.predictions WHERE model = 'org/hole' AND benchmark = :n"
        )
        assert connection.scalar(text(count), {"n": name}) == there
    with pytest.raises(DBAPIError, match="not predicted"):
        connection.execute(text("SELECT * FROM registry.predict('org/hole', 'arena')"))


def test_of_two_benchmarks_that_became_one_that_of_more_scores_is_predicted(
    connection: Connection,
) -> None:
    model(connection, "org/hole")
    write(
        connection,
        block("gsm8k", run("org/a", score=0.4)),
        block("own-gsm8k", run("org/b", score=0.5)),
    )
    scored.version(connection)
    set_count = text("""
        UPDATE store.benchmark_loadings w SET score_count = :count, intercept = :intercept
          FROM store.benchmarks b WHERE b.benchmark_id = w.benchmark_id AND b.name = :name""")
    for name, count, intercept in (("gsm8k", 20, 0.1), ("own-gsm8k", 21, 0.2)):
        connection.execute(set_count, {"name": name, "count": count, "intercept": intercept})
    ask = text("""
        SELECT benchmark, predicted FROM registry.predictions
         WHERE model = 'org/hole' AND benchmark IN ('gsm8k', 'own-gsm8k') ORDER BY 1""")
    before = [tuple(row) for row in connection.execute(ask)]
    assert [name for name, _ in before] == ["gsm8k", "own-gsm8k"]
    connection.execute(
        text("UPDATE store.benchmarks SET canonical = 'gsm8k' WHERE name = 'own-gsm8k'")
    )
    assert [tuple(row) for row in connection.execute(ask)] == [("gsm8k", before[1][1])]
    assert predicted(connection, "org/hole", "gsm8k")["score"] == before[1][1]
    connection.execute(set_count, {"name": "gsm8k", "count": 21, "intercept": 0.1})
    # Of as many, the later one.
    assert [tuple(row) for row in connection.execute(ask)] == [("gsm8k", before[1][1])]
    connection.execute(set_count, {"name": "gsm8k", "count": 22, "intercept": 0.1})
    assert [tuple(row) for row in connection.execute(ask)] == [before[0]]
    rows = connection.execute(
        text(
            "SELECT model, kind "
            "FROM registry.leaderboard(ARRAY['gsm8k'], true, 0.9, ARRAY['org/hole'])"
        )
    )
    assert [tuple(row) for row in rows] == [("org/hole", "catalog")]


def test_a_name_is_predicted_in_all_versions_though_one_is_known_by_a_prompting_alone(
    connection: Connection,
) -> None:
    model(connection, "org/hole")
    write(
        connection,
        block("gsm8k", run("org/a", score=0.4)),
        Block(
            benchmark=Benchmark(name="gsm8k_cot", version="2"),
            items=[],
            runs=[run("org/a", score=0.6)],
        ),
    )
    scored.version(connection)
    query = "SELECT benchmark_version FROM registry.predict('org/hole', :name) ORDER BY 1"
    for name, versions in (("gsm8k", ["", "2"]), ("gsm8k@2", ["2"]), ("gsm8k_cot@2", ["2"])):
        assert connection.scalars(text(query), {"name": name}).all() == versions


def test_models_with_one_score_are_in_order_of_their_names(connection: Connection) -> None:
    for name in "zma":
        model(connection, f"org/{name}")
    write(connection, block("b", *(run(f"org/{name}", score=0.5) for name in "zma")))
    query = "SELECT model FROM registry.leaderboard(ARRAY['b'])"
    assert connection.scalars(text(query)).all() == ["org/a", "org/m", "org/z"]


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
