"""Predicted scores in SQL: what is measured, what is predicted, and what cannot be."""

import csv
import io
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cli_commands import Commands
from databases import Databases
from evaluated import block, run, setup, write
from factories import model, rows
from scipy.stats import norm
from scored import PERPLEXITY, SHARES, filled, hidden, truth
from sqlalchemy import Connection, Engine, text

from registry.db import connection as database
from registry.errors import ModelNotFoundError, RegistryError, UsageError
from registry.evaluations.records import Benchmark, Block
from registry.learning.scores.links import ScoreLinks
from registry.learning.scores.packed import unpack
from registry.prediction.scores import forecasts, storage
from registry.prediction.scores.fitting import fit_scores
from registry.prediction.scores.table import read

NAMES, TRUE = truth()


@pytest.fixture(scope="module")
def fitted(databases: Databases) -> Iterator[Engine]:
    """The planted catalog with predictions; it must only be read."""
    with databases.made(template=databases.template()) as url:
        engine = filled(database.create_engine(url))
        report = fit_scores(engine)
        assert (report.version, report.benchmarks, report.models) == (1, 6, 46)
        assert report.placed == 2
        yield engine
        engine.dispose()


@pytest.fixture
def reading(fitted: Engine) -> Iterator[Connection]:
    """A transaction on it, rolled back."""
    with fitted.connect() as connection:
        yield connection


def predicted(connection: Connection, name: str, benchmark: str) -> dict[str, Any]:
    query = text("SELECT * FROM registry.predict(:name, :benchmark)")
    (row,) = connection.execute(query, {"name": name, "benchmark": benchmark}).mappings()
    return dict(row)


@pytest.mark.parametrize("scored", [*SHARES, "arena", "wiki"])
def test_holes_are_predicted_near_the_truth(reading: Connection, scored: str) -> None:
    spread = TRUE[scored].std()
    errors, within = [], []
    for place in hidden(NAMES, scored)[:-2]:
        row = predicted(reading, NAMES[place], scored)
        value = TRUE[scored][place]
        assert row["kind"] == "scores"
        assert row["raw_lower"] < row["raw_score"] < row["raw_upper"]
        errors.append(abs(row["raw_score"] - value))
        within.append(row["raw_lower"] <= value <= row["raw_upper"])
        if scored in SHARES:
            assert (row["score"], row["lower"]) == (row["raw_score"], row["raw_lower"])
        else:
            assert row["score"] is row["lower"] is row["predicted"] is None
    assert np.mean(errors) < 0.35 * spread
    assert np.mean(within) >= 0.5


def test_intervals_hold_most_true_scores(reading: Connection) -> None:
    within = []
    for scored in TRUE:
        for place in hidden(NAMES, scored)[:-2]:
            row = predicted(reading, NAMES[place], scored)
            within.append(row["raw_lower"] <= TRUE[scored][place] <= row["raw_upper"])
    # Of about 46 scores, 90% intervals hold 37 and more with a probability of 0.99.
    assert 0.8 <= np.mean(within) <= 1


def test_a_measured_score_stands_beside_what_would_have_been_predicted(
    reading: Connection,
) -> None:
    row = predicted(reading, NAMES[1], "alpha")
    assert row["kind"] == "measured"
    assert row["score"] == pytest.approx(TRUE["alpha"][1], abs=1e-12)
    assert row["lower"] is row["upper"] is row["raw_lower"] is None
    assert row["predicted"] != pytest.approx(row["score"], abs=1e-4)
    assert row["predicted_lower"] < row["predicted"] < row["predicted_upper"]
    (mean, deviation) = rows(
        reading,
        """SELECT f.mean, f.deviation FROM store.fitted_scores f
             JOIN store.models m USING (model_id) JOIN store.benchmarks b USING (benchmark_id)
            WHERE m.name = :name AND b.name = 'alpha'""",
        name=NAMES[1],
    )[0]
    links = ScoreLinks.shares(1)
    assert row["predicted"] == pytest.approx(links.scores(np.array([mean]), np.array([0]))[0])
    assert deviation > 0


def test_means_and_variances_are_inner_products_of_stored_vectors(reading: Connection) -> None:
    stored = rows(
        reading,
        """SELECT p.mean, p.deviation, p.evidence_group, a.vector::real[], a.spread::real[],
                  w.vector::real[], w.spread::real[], w.intercept, w.residual, w.cold_factor,
                  w.warm_factor, w.crossed_factor, a.scale
             FROM store.predicted_scores p
             JOIN store.abilities a USING (model_id, version_id)
             JOIN store.benchmark_loadings w USING (benchmark_id, version_id)
            WHERE p.observed IS NULL""",
    )
    assert len(stored) > 40
    for mean, deviation, group, z, own, w, spread, intercept, residual, *scales in stored:
        k = len(z)
        half = k * (k + 1) // 2
        covariance, second = unpack(np.array(own[:half])), np.array(own[half:])
        extended = np.concatenate([[1.0], z])
        assert np.allclose(unpack(second), np.outer(extended, extended), atol=1e-4)
        of_loadings = unpack(np.array(spread[half:]))
        by_hand = (
            residual
            + np.array(w) @ covariance @ np.array(w)
            + extended @ of_loadings @ extended
            + np.trace(of_loadings[1:, 1:] @ covariance)
        )
        cold, warm, crossed, scale = scales
        factor = {0: cold, 4: crossed}.get(group, warm) * scale
        assert mean == pytest.approx(intercept + np.dot(z, w), abs=1e-4)
        assert deviation == pytest.approx(np.sqrt(by_hand) * factor, rel=1e-3)


def test_the_view_says_what_the_function_says(reading: Connection) -> None:
    columns = "score, lower, upper, kind, predicted, predicted_lower, predicted_upper, raw_score"
    for name in (NAMES[0], NAMES[1], NAMES[-1]):
        for benchmark in ("alpha", "wiki"):
            (of_view,) = rows(
                reading,
                f"SELECT {columns} FROM registry.predictions"
                " WHERE model = :name AND benchmark = :benchmark",
                name=name,
                benchmark=benchmark,
            )
            row = predicted(reading, name, benchmark)
            assert of_view == pytest.approx(tuple(row[each] for each in columns.split(", ")))


def test_a_model_without_scores_is_predicted_from_the_catalog(reading: Connection) -> None:
    row = predicted(reading, NAMES[-1], "beta")
    assert row["kind"] == "catalog"
    assert 0 <= row["support"] < predicted(reading, NAMES[6], "beta")["support"] <= 1
    assert row["evidence"]["scores"] == []
    relatives = row["evidence"]["relatives"]
    assert len(relatives) == len({each["model"] for each in relatives}) >= 3
    weights = [abs(each["weight"]) for each in relatives]
    assert weights == sorted(weights, reverse=True)
    parent = next(each for each in relatives if each["model"] == NAMES[-3])
    assert parent["relation"] == "parent"
    assert parent["score"] == pytest.approx(TRUE["beta"][len(NAMES) - 3])
    # A child of a model in the middle of the field is not predicted at an end of it.
    assert row["upper"] - row["lower"] > 0.1


def test_intervals_of_models_with_scores_are_narrower(reading: Connection) -> None:
    with_scores = predicted(reading, NAMES[0], "alpha")
    without = predicted(reading, NAMES[-1], "alpha")
    assert with_scores["kind"] == "scores"
    width = with_scores["upper"] - with_scores["lower"]
    assert width < without["upper"] - without["lower"]


def test_evidence_is_the_change_of_a_prediction_with_a_score(fitted: Engine) -> None:
    with fitted.connect() as connection:
        evidence = predicted(connection, NAMES[0], "alpha")["evidence"]
        assert {each["benchmark"] for each in evidence["scores"]} <= {*SHARES, "arena", "wiki"}
        assert "alpha" not in {each["benchmark"] for each in evidence["scores"]}
        for name in (NAMES[0], NAMES[1]):
            relatives = predicted(connection, name, "alpha")["evidence"]["relatives"]
            assert relatives
            assert name not in {each["model"] for each in relatives}
        stored = dict(
            rows(
                connection,
                """SELECT b.name, f.value FROM store.fitted_scores f
                     JOIN store.models m USING (model_id)
                     JOIN store.benchmarks b USING (benchmark_id) WHERE m.name = :name""",
                name=NAMES[0],
            )
        )
        # Of a hole: its ability rests on all of its scores, and what is predicted too.
        vector, spread, loading = rows(
            connection,
            """SELECT a.vector::real[], a.spread::real[], w.vector::real[]
                 FROM store.abilities a JOIN store.models m USING (model_id)
                 JOIN store.benchmark_loadings w USING (version_id)
                 JOIN store.benchmarks b USING (benchmark_id)
                WHERE m.name = :name AND b.name = 'alpha'""",
            name=NAMES[0],
        )[0]
        others = {
            name: (np.array(own), residual, intercept, np.array(of_own))
            for name, own, residual, intercept, of_own in rows(
                connection,
                """SELECT b.name, w.vector::real[], w.residual, w.intercept, w.spread::real[]
                     FROM store.benchmark_loadings w
                     JOIN store.benchmarks b USING (benchmark_id)""",
            )
        }
        half = len(vector) * (len(vector) + 1) // 2
        towards = unpack(np.array(spread[:half])) @ np.array(loading)
        for each in evidence["scores"]:
            own, residual, intercept, of_own = others[each["benchmark"]]
            error = stored[each["benchmark"]] - intercept - np.array(vector) @ own
            counted = 4 / (3 * residual + error**2 + np.array(spread) @ of_own)
            assert each["weight"] == pytest.approx(towards @ own * counted, rel=1e-3, abs=1e-5)


def test_levels_widen_intervals(reading: Connection) -> None:
    widths = [
        upper - lower
        for level in (0.5, 0.8, 0.9, 0.95, 0.99)
        for lower, upper in rows(
            reading,
            "SELECT lower, upper FROM registry.predict(:name, 'alpha', :level)",
            name=NAMES[0],
            level=level,
        )
    ]
    assert len(widths) == 5
    assert all(first < second for first, second in itertools.pairwise(widths))


@pytest.mark.parametrize(
    ("name", "scored", "level", "said"),
    [
        ("nobody/knows", "alpha", 0.9, "No model named 'nobody/knows'"),
        (NAMES[0], "no-such", 0.9, "There is no benchmark 'no-such'"),
        (NAMES[0], "rare", 0.9, "has scores of 4 models"),
        (NAMES[0], "alpha", 0.4, "Level 0.4 is not one"),
        (NAMES[0], "alpha", 0.995, "they were from 0.5 to 0.99"),
    ],
)
def test_what_cannot_be_predicted_is_an_error(
    reading: Connection, name: str, scored: str, level: float, said: str
) -> None:
    query = text("SELECT * FROM registry.predict(:name, :benchmark, :level)")
    with pytest.raises(Exception, match=said):
        reading.execute(query, {"name": name, "benchmark": scored, "level": level})


def test_nothing_is_returned_for_null(reading: Connection) -> None:
    assert rows(reading, "SELECT * FROM registry.predict(NULL, 'alpha')") == []
    assert rows(reading, "SELECT * FROM registry.predict('a', NULL)") == []


def test_weak_predictions_are_marked(reading: Connection) -> None:
    assert predicted(reading, NAMES[0], "alpha")["caution"] is None
    reading.execute(text("UPDATE store.prediction_versions SET reliable = false"))
    assert "too few or too many" in predicted(reading, NAMES[0], "alpha")["caution"]
    reading.execute(text("UPDATE store.prediction_versions SET reliable = true"))
    reading.execute(text("UPDATE store.benchmark_loadings SET score_count = 9"))
    assert predicted(reading, NAMES[0], "alpha")["caution"] == "the benchmark has 9 scores only"
    reading.execute(text("UPDATE store.benchmark_loadings SET score_count = 10"))
    reading.execute(text("UPDATE store.abilities SET support = 0.09"))
    assert predicted(reading, NAMES[0], "alpha")["caution"] is None
    assert "hardly anything" in predicted(reading, NAMES[-1], "alpha")["caution"]


def test_the_scale_in_sql_is_that_of_the_fit(connection: Connection) -> None:
    links, first = ScoreLinks.shares(1), np.zeros(1, np.intp)
    for value in (-900.0, -8.0, -1.5, 0.0, 0.3, 4.0, 9.0, 900.0):
        ((share,),) = rows(connection, "SELECT store.working_share(:value)", value=value)
        assert share == pytest.approx(links.scores(np.array([value]), first)[0], abs=1e-12)
    levels, ratios = [0.0, 0.5, 0.9, 0.99], [0.0, 0.7, 1.6, 3.0]
    for level in (0.5, 0.6, 0.9, 0.95, 0.99):
        ((ratio,),) = rows(
            connection,
            "SELECT store.interval_ratio(:levels, :ratios, :level)",
            levels=levels,
            ratios=ratios,
            level=level,
        )
        assert ratio == pytest.approx(np.interp(level, levels, ratios))
        ((back,),) = rows(
            connection,
            "SELECT store.interval_level(:levels, :ratios, :ratio)",
            levels=levels,
            ratios=ratios,
            ratio=ratio,
        )
        assert back == pytest.approx(level)
    ((below, above, beyond),) = rows(
        connection,
        """SELECT store.interval_ratio(:levels, :ratios, 0.49),
                  store.interval_ratio(:levels, :ratios, 0.991),
                  store.interval_level(:levels, :ratios, 6.0)""",
        levels=levels,
        ratios=ratios,
    )
    assert below is above is None
    # Twice the ratio of a share of 0.99 of a normal distribution.
    assert 1 - beyond == pytest.approx(2.6e-7, rel=0.05)


def ranked(board: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Return the range of each rank, by comparing all intervals with all."""
    ends = [
        (row["lower"], row["upper"]) if row["lower"] is not None else (row["score"], row["score"])
        for row in board
    ]
    return [
        (1 + sum(low > high_of for low, _ in ends), sum(high >= low_of for _, high in ends))
        for low_of, high_of in ends
    ]


def test_a_leaderboard_shows_which_scores_are_predicted(reading: Connection) -> None:
    def board(*more: str) -> list[dict[str, Any]]:
        arguments = ", ".join(["ARRAY['alpha', 'beta']", *more])
        query = text(f"SELECT * FROM registry.leaderboard({arguments})")
        return [dict(row) for row in reading.execute(query).mappings()]

    measured = [row for row in board() if row["benchmark"] == "alpha"]
    missing = hidden(NAMES, "alpha")
    assert len(measured) == len(NAMES) - len(missing)
    assert {row["kind"] for row in measured} == {"measured"}
    assert [row["best_rank"] for row in measured] == [row["rank"] for row in measured]
    assert [row["worst_rank"] for row in measured] == [row["rank"] for row in measured]

    both = [row for row in board("true") if row["benchmark"] == "alpha"]
    # Not the two models without any score.
    assert len(both) == len(NAMES) - 2
    assert {row["model"] for row in both if row["kind"] != "measured"} == {
        NAMES[place] for place in missing[:-2]
    }
    scores = [row["score"] for row in both]
    assert scores == sorted(scores, reverse=True)
    assert [row["rank"] for row in both] == list(range(1, len(both) + 1))
    assert [(row["best_rank"], row["worst_rank"]) for row in both] == ranked(both)
    wide = [row for row in board("true", "0.99") if row["benchmark"] == "alpha"]
    assert [(row["best_rank"], row["worst_rank"]) for row in wide] == ranked(wide) != ranked(both)
    for row in both:
        if row["kind"] == "measured":
            continue
        own = predicted(reading, row["model"], "alpha")
        assert [row[each] for each in ("score", "lower", "upper", "kind", "raw_score")] == [
            own[each] for each in ("score", "lower", "upper", "kind", "raw_score")
        ]

    chosen = board("true", "0.9", f"ARRAY['{NAMES[-1]}', '{NAMES[1]}']")
    assert [(row["benchmark"], row["model"], row["kind"]) for row in chosen] == sorted(
        [(row["benchmark"], row["model"], row["kind"]) for row in chosen],
        key=lambda each: (
            each[0],
            [r["model"] for r in chosen if r["benchmark"] == each[0]].index(each[1]),
        ),
    )
    assert {(row["model"], row["kind"]) for row in chosen} == {
        (NAMES[-1], "catalog"),
        (NAMES[1], "measured"),
    }


def test_a_leaderboard_without_bounds_ranks_by_what_is_better(reading: Connection) -> None:
    query = "SELECT raw_score, rank, kind, raw_lower, raw_upper, score"
    board = rows(reading, f"{query} FROM registry.leaderboard(ARRAY['wiki'], true)")
    values = [row[0] for row in board]
    assert values == sorted(values)  # less is better
    assert [row[1] for row in board] == list(range(1, len(board) + 1))
    for value, _, kind, lower, upper, score in board:
        assert score is None
        assert (lower is None) == (kind == "measured")
        assert lower is None or lower < value < upper


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("ARRAY['no-such']", "There is no benchmark 'no-such'"),
        ("ARRAY['alpha'], true, 0.3", "Level 0.3"),
        ("ARRAY['alpha'], true, 0.9, ARRAY['nobody']", "No model named 'nobody'"),
        ("ARRAY['rare'], true", "has scores of 4 models"),
    ],
)
def test_a_leaderboard_of_what_does_not_exist(reading: Connection, call: str, said: str) -> None:
    with pytest.raises(Exception, match=said):
        reading.execute(text(f"SELECT * FROM registry.leaderboard({call})"))
    if "rare" in call:
        reading.rollback()
        assert len(rows(reading, "SELECT * FROM registry.leaderboard(ARRAY['rare'])")) == 4


def beats(connection: Connection, first: str, second: str, benchmark: str) -> tuple[Any, ...]:
    query = "SELECT probability, kind, other_kind FROM registry.beats(:a, :b, :benchmark)"
    (row,) = rows(connection, query, a=first, b=second, benchmark=benchmark)
    return row


def test_the_probability_that_one_model_beats_another(reading: Connection) -> None:
    better, worse = (3, 1) if TRUE["alpha"][3] > TRUE["alpha"][1] else (1, 3)
    assert beats(reading, NAMES[better], NAMES[worse], "alpha") == (1, "measured", "measured")
    assert beats(reading, NAMES[worse], NAMES[better], "alpha")[0] == 0
    assert beats(reading, NAMES[1], NAMES[1], "alpha")[0] == 0.5
    for benchmark in ("alpha", "wiki"):
        place = hidden(NAMES, benchmark)[1]
        for other in (1 if place != 1 else 3, len(NAMES) - 1):
            there, back = (
                beats(reading, *pair, benchmark)[0]
                for pair in ((NAMES[place], NAMES[other]), (NAMES[other], NAMES[place]))
            )
            assert there + back == pytest.approx(1)
            own, its = (predicted(reading, NAMES[each], benchmark) for each in (place, other))
            ahead = own["raw_score"] > its["raw_score"]
            assert (there > 0.5) == (ahead if benchmark == "alpha" else not ahead)


def test_the_probability_is_of_normal_errors_as_wide_as_intervals(reading: Connection) -> None:
    first, second = NAMES[hidden(NAMES, "arena")[0]], NAMES[hidden(NAMES, "arena")[1]]
    own, its = (predicted(reading, name, "arena") for name in (first, second))
    deviation = np.hypot(
        *((row["raw_upper"] - row["raw_lower"]) / 2 / 1.6448536269514722 for row in (own, its))
    )
    expected = norm.cdf((own["raw_score"] - its["raw_score"]) / deviation)
    assert beats(reading, first, second, "arena")[0] == pytest.approx(expected, abs=1e-6)


class TestChanges:
    """What later scores, models and fits change; each test has a catalog of its own."""

    @pytest.fixture
    def own(self, engine: Engine) -> Engine:
        filled(engine)
        fit_scores(engine)
        return engine

    def test_a_score_that_came_since_is_measured(self, own: Engine) -> None:
        name = NAMES[hidden(NAMES, "alpha")[0]]
        with own.begin() as connection:
            before = predicted(connection, name, "alpha")
            part = run(name, score=0.9, complete=False)
            write(connection, Block(benchmark=Benchmark(name="alpha"), items=[], runs=[part]))
            assert predicted(connection, name, "alpha") == before
            whole = run(name, score=0.4321)
            write(connection, Block(benchmark=Benchmark(name="alpha"), items=[], runs=[whole]))
            row = predicted(connection, name, "alpha")
            assert (row["kind"], row["score"]) == ("measured", 0.4321)
            assert row["predicted"] == before["score"]
            (board,) = rows(
                connection,
                "SELECT kind, score FROM registry.leaderboard(ARRAY['alpha'], true)"
                " WHERE model = :name",
                name=name,
            )
            assert board == ("measured", 0.4321)

    def test_a_model_that_came_since_is_an_error(self, own: Engine) -> None:
        with own.begin() as connection:
            model(connection, "new/one")
            with pytest.raises(Exception, match="new since they last were"):
                predicted(connection, "new/one", "alpha")
        with own.begin() as connection:
            model(connection, "new/one")
            with pytest.raises(RegistryError, match="new since they last were"):
                forecasts.of_model(connection, "new/one")

    def test_a_new_fit_takes_the_place_of_the_one_before(self, own: Engine) -> None:
        assert fit_scores(own, if_changed=True).unchanged
        with own.begin() as connection:
            model(connection, "new/one")
            other = run(NAMES[0], score=0.31)
            write(connection, Block(benchmark=Benchmark(name="alpha"), items=[], runs=[other]))
        report = fit_scores(own, if_changed=True)
        assert (report.version, report.unchanged, report.placed) == (2, False, 3)
        assert fit_scores(own, if_changed=True).unchanged
        with own.begin() as connection:
            model(connection, "newer/one")
        assert fit_scores(own, if_changed=True).version == 3
        with own.begin() as connection:
            connection.execute(
                text("UPDATE store.models SET changed_at = now() WHERE name = 'newer/one'")
            )
        assert fit_scores(own, if_changed=True).version == 4
        with own.connect() as connection:
            assert rows(
                connection, "SELECT version, current FROM registry.prediction_versions ORDER BY 1"
            ) == [(1, False), (2, False), (3, False), (4, True)]
            for table in (
                "abilities", "fitted_scores", "benchmark_loadings", "prediction_intervals",
            ):  # fmt: skip
                assert rows(connection, f"SELECT DISTINCT version_id FROM store.{table}") == [(4,)]
            assert predicted(connection, "new/one", "alpha")["kind"] == "catalog"
            assert predicted(connection, NAMES[0], "alpha")["score"] == 0.31

    def test_outcomes_on_some_items_count_with_their_error(self, engine: Engine) -> None:
        filled(engine)
        rng = np.random.default_rng(3)
        easy = rng.normal(size=40)
        level = np.log(TRUE["beta"] / (1 - TRUE["beta"]))
        right = rng.random((len(level), 40)) < 1 / (1 + np.exp(-level[:, None] - easy))
        runs = [run(NAMES[place], right[place].astype(float).tolist()) for place in range(40)]
        few: list[float | None] = [float(each) for each in right[40][:12]] + [None] * 28
        limited = run(NAMES[40], few, complete=False)
        with engine.begin() as connection:
            write(connection, block("asked", *runs, limited))
        fit_scores(engine)
        with engine.connect() as connection:
            row = predicted(connection, NAMES[40], "asked")
            assert row["kind"] == "outcomes"
            assert row["lower"] < row["score"] < row["upper"]
            assert row["lower"] <= right[40].mean() <= row["upper"]
            ((value, variance),) = rows(
                connection,
                """SELECT f.value, f.variance FROM store.fitted_scores f
                     JOIN store.models m USING (model_id)
                     JOIN store.benchmarks b USING (benchmark_id)
                    WHERE m.name = :name AND b.name = 'asked'""",
                name=NAMES[40],
            )
            assert variance > 0
            assert np.isfinite(value)
            other = predicted(connection, NAMES[41], "asked")
            assert other["kind"] == "scores"
            assert row["upper"] - row["lower"] < other["upper"] - other["lower"]
            assert "asked" not in {each["benchmark"] for each in row["evidence"]["scores"]}
            (board,) = rows(
                connection,
                "SELECT kind FROM registry.leaderboard(ARRAY['asked'], true) WHERE model = :name",
                name=NAMES[40],
            )
            assert board == ("outcomes",)

    def test_runs_on_the_same_part_of_a_benchmark_are_evidence(self, engine: Engine) -> None:
        filled(engine)
        rng = np.random.default_rng(4)
        chosen = [*range(20), len(NAMES) - 1]
        runs = [
            run(NAMES[place], (rng.random(60) < TRUE["alpha"][place]).astype(float).tolist(),
                complete=False, setup=setup(items="some"))
            for place in chosen
        ]  # fmt: skip
        with engine.begin() as connection:
            write(connection, block("alpha", *runs))
            table = read(connection)
        assert [each.name for each in table.benchmarks if each.key < 0] == ["alpha (part 1)"]
        report = fit_scores(engine)
        assert report.benchmarks == 6
        with engine.connect() as connection:
            row = predicted(connection, NAMES[-1], "alpha")
            assert row["kind"] == "outcomes"
            other = predicted(connection, NAMES[-2], "alpha")
            assert other["kind"] == "catalog"
            counts = "SELECT DISTINCT model, model_scores FROM registry.predictions"
            scores = dict(rows(connection, counts))
            assert (scores[NAMES[-1]], scores[NAMES[-2]]) == (1, 0)
            assert row["lower"] <= TRUE["alpha"][-1] <= row["upper"]
            # A part is no benchmark that is predicted.
            found = rows(connection, "SELECT DISTINCT benchmark FROM registry.predictions")
            assert {name for (name,) in found} == {*SHARES, "arena", "wiki"}

    def test_a_part_of_few_models_does_not_count(self, engine: Engine) -> None:
        filled(engine)
        part = setup(items="some")
        runs = [run(NAMES[place], [1.0, 0.0], complete=False, setup=part) for place in range(19)]
        with engine.begin() as connection:
            write(connection, block("alpha", *runs))
            assert all(each.key > 0 for each in read(connection).benchmarks)
            one_more = run(NAMES[19], [0.0, 0.0], complete=False, setup=part)
            write(connection, block("alpha", one_more))
            assert any(each.key < 0 for each in read(connection).benchmarks)

    def test_a_score_unlike_all_others_of_its_model_surprises(self, own: Engine) -> None:
        with own.begin() as connection:
            place = int(np.argmin(TRUE["beta"][:-2]))
            odd = run(NAMES[place], score=0.999)
            write(connection, Block(benchmark=Benchmark(name="gamma"), items=[], runs=[odd]))
        fit_scores(own)
        with own.connect() as connection:
            found = [
                dict(row)
                for row in connection.execute(
                    text("SELECT * FROM registry.surprises ORDER BY distance DESC")
                ).mappings()
            ]
        first = found[0]
        assert (first["model"], first["benchmark"]) == (NAMES[place], "gamma")
        assert (first["direction"], first["source"]) == ("higher", "tests")
        assert first["score"] == pytest.approx(0.999)
        assert first["predicted_upper"] < 0.9
        assert first["distance"] > 1
        assert 0 < first["probability"] < 0.01
        scores = sum(len(NAMES) - len(hidden(NAMES, each)) for each in TRUE)
        assert first["expected"] == pytest.approx(
            first["probability"] * (scores + (place in hidden(NAMES, "gamma")))
        )
        assert len(found) <= 5


def test_scores_of_two_directions_and_scales(engine: Engine) -> None:
    filled(engine)
    with engine.connect() as connection:
        table = read(connection)
    assert [each.key for each in table.benchmarks] == sorted(each.key for each in table.benchmarks)
    names = [each.name for each in table.benchmarks]
    assert sorted(names) == ["alpha", "arena", "beta", "delta", "gamma", "wiki"]
    shares = [name in SHARES for name in names]
    assert table.links.bounded.tolist() == shares
    assert (table.links.spreads > 0).tolist() == [name != "wiki" for name in names]
    assert PERPLEXITY.higher_is_better is False
    assert np.isfinite(table.values).all()
    assert table.fingerprint() == table.fingerprint()
    changed = table._replace(values=table.values + 1e-9)
    assert changed.fingerprint() != table.fingerprint()


def test_too_few_scores_are_no_failure(engine: Engine) -> None:
    assert fit_scores(engine).version is None
    with engine.connect() as connection, pytest.raises(RegistryError, match="registry train"):
        forecasts.of_model(connection, "any")
    with engine.connect() as connection, pytest.raises(Exception, match="registry train"):
        connection.execute(text("SELECT * FROM registry.predict('a', 'b')"))


class TestCommand:
    """`registry predict`."""

    @pytest.fixture
    def commands(self, fitted: Engine) -> Commands:
        return Commands(fitted.url.render_as_string(hide_password=False))

    def test_holes_as_csv(self, commands: Commands) -> None:
        out = commands.done("predict", "--missing", "--benchmark", "alpha", "--format", "csv")
        table = list(csv.DictReader(io.StringIO(out)))
        assert list(table[0]) == ["model", "benchmark", "score", "lower", "upper", "kind"]
        assert {row["model"] for row in table} == {
            NAMES[place] for place in hidden(NAMES, "alpha")[:-2]
        }
        assert all(float(row["lower"]) < float(row["score"]) < float(row["upper"]) for row in table)

    def test_holes_of_the_usual_benchmarks(self, commands: Commands) -> None:
        out = commands.done("predict", "--missing", "--format", "csv")
        found = {row["benchmark"] for row in csv.DictReader(io.StringIO(out))}
        assert found == set(SHARES)

    def test_holes_of_some_models(self, commands: Commands) -> None:
        out = commands.done(
            "predict", "--missing", "--only", NAMES[-1], "--benchmark", "wiki", "--format", "csv"
        )
        (row,) = csv.DictReader(io.StringIO(out))
        assert (row["model"], row["benchmark"], row["kind"]) == (NAMES[-1], "wiki", "catalog")

    def test_one_forecast_for_people(self, commands: Commands) -> None:
        out = commands.done("predict", NAMES[0], "--benchmark", "alpha", "--format", "table")
        assert f"{NAMES[0]} on alpha: " in out
        assert "is predicted" in out
        assert "from its scores on other benchmarks." in out
        assert "Models like it with a score there:" in out
        measured = commands.done("predict", NAMES[1], "--benchmark", "alpha", "--format", "table")
        assert f"{NAMES[1]} scores {TRUE['alpha'][1]:.3f} on alpha, measured; " in measured

    def test_one_forecast_for_programs(self, commands: Commands) -> None:
        document = commands.json("predict", NAMES[0], "--benchmark", "alpha")
        assert document["kind"] == "scores"
        assert document["evidence"]["scores"]

    def test_all_benchmarks_of_a_model(self, commands: Commands) -> None:
        out = commands.done("predict", NAMES[0], "--format", "csv")
        found = [row["benchmark"] for row in csv.DictReader(io.StringIO(out))]
        assert found == ["alpha", "arena", "beta", "delta", "gamma", "wiki"]

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ([], "Give a MODEL, or --missing"),
            ([NAMES[0], "--missing"], "Give a MODEL, or --missing"),
            ([NAMES[0], "--only", NAMES[1]], "--only chooses models of --missing"),
            ([NAMES[0], "--level", "0.8"], "--level needs --benchmark"),
            ([NAMES[0], "--level", "0.3"], "0.3 is not in the range"),
            (["--missing", "--benchmark", "alfa"], "did you mean alpha"),
            ([NAMES[0], "--benchmark", "alfa"], "did you mean alpha"),
        ],
    )
    def test_usage(self, commands: Commands, arguments: list[str], said: str) -> None:
        assert said in commands.refused(2, "predict", *arguments)

    def test_a_benchmark_of_few_scores(self, commands: Commands) -> None:
        for arguments in ([NAMES[0], "--benchmark", "rare"], ["--missing", "--benchmark", "rare"]):
            said = commands.refused(1, "predict", *arguments)
            assert said.startswith("Error: Scores on benchmark 'rare' are not predicted: it has ")
            assert said.endswith("at the time of the last `registry train`.\n")

    def test_an_unknown_model(self, commands: Commands) -> None:
        assert "nobody" in commands.refused(1, "predict", "nobody/x", "--benchmark", "alpha")


def test_names_are_checked_before_anything_is_read(reading: Connection) -> None:
    with pytest.raises(ModelNotFoundError):
        forecasts.predict(reading, "nobody/x", ["alpha"])
    with pytest.raises(UsageError, match=r"from 0.5 to 0.99"):
        forecasts.predict(reading, NAMES[0], ["alpha"], level=0.2)
    with pytest.raises(ModelNotFoundError):
        list(forecasts.missing(reading, models=["nobody/x"]))


def test_a_catalog_of_scores_alone_is_trained(commands: Commands, engine: Engine) -> None:
    assert "no outcomes" in commands.refused(2, "train").lower()
    filled(engine)
    result = commands("train")
    err = result.stderr
    assert result.exit_code == 0
    assert "No outcomes are stored, so no embeddings were trained." in err
    assert "Scores of 48 models on 6 benchmarks are predicted from" in err
    assert "held-out ones" in err
    result = commands("train", "--if-changed")
    assert (result.exit_code, "are predicted from" in result.stderr) == (0, False)
    commands.refused(2, "train", "--no-promote")
    commands.refused(2, "train", "--benchmark", "alpha")


def test_every_large_group_of_held_out_scores_decides_on_a_version() -> None:
    held: dict[str, dict[str, float | int | None]] = {
        "all": {"scores": 50, "coverage": 0.9},
        "few": {"scores": 99, "coverage": 0.2},
        "many": {"scores": 100, "coverage": 0.85},
    }
    assert storage.reliable(held)
    assert not storage.reliable({**held, "many": {"scores": 100, "coverage": 0.84}})
    assert not storage.reliable({**held, "many": {"scores": 100, "coverage": 0.96}})
    assert not storage.reliable({**held, "all": {"scores": 50, "coverage": 0.84}})


def test_blocks_have_a_bit_each_as_far_as_there_are_bits() -> None:
    found = storage.bits(np.array([0, 1, 61, 62, 63, 200])).tolist()
    assert found == [1, 2, 1 << 61, 1 << 62, 1 << 62, 1 << 62]
