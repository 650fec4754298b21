"""`registry.board` against a plain computation of it, and what its filters select."""

import random
from collections import defaultdict
from typing import Any

import factories
import pytest
from evaluated import block, day, run, write
from factories import rows
from scipy import stats
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from registry.enums import LicenseClass
from registry.errors import ModelNotFoundError, UsageError
from registry.evaluations import benchmarks
from registry.evaluations.leaderboard import BoardFilters, rank
from registry.evaluations.records import Block, Measure, Setup, Source

F1 = Measure(metric="f1")
STRICT = Measure(metric="acc", filter="strict")
PERPLEXITY = Measure(metric="word_perplexity", lower=None, upper=None, higher_is_better=False)
ELO = Measure(metric="elo", lower=None, upper=None)
UNKNOWN = Measure(metric="odd", lower=None, upper=None, higher_is_better=None)
BOARD = Source(name="board")


def stored(connection: Connection, *blocks: Block) -> None:
    counts = write(connection, *blocks)
    benchmarks.choose_measures(connection, sorted(counts.benchmarks))


def found(connection: Connection, arguments: str, **values: Any) -> list[tuple[Any, ...]]:
    return rows(connection, f"SELECT model, average FROM registry.board({arguments})", **values)


def models(connection: Connection, **filters: Any) -> list[str]:
    """Names of the models of a board of `b`, in order, by the command's function and in SQL."""
    chosen = BoardFilters(**filters)
    ranked = [
        row.model for row in rank(connection, benchmarks=["b"], filters=chosen, limit=99).rows
    ]
    arguments = chosen.arguments()
    given = "".join(f", {name} => :{name}" for name in arguments)
    assert [row[0] for row in found(connection, f"ARRAY['b']{given}", **arguments)] == ranked
    return ranked


@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_mean_of_each_model_s_shown_scores(connection: Connection, seed: int) -> None:
    chance = random.Random(seed)
    names = ["b1", "b2", "b3"]
    stored(
        connection,
        *(
            block(
                name,
                *(
                    run(
                        f"m{number}",
                        score=chance.random(),
                        complete=chance.random() < 0.7,
                        measure=chance.choice((Measure(metric="acc"), F1)),
                        setup=Setup(variant=chance.choice((None, "best-of-2")), shots=number),
                    )
                    for number in range(12)
                    if chance.random() < 0.8
                ),
                run("sure", score=chance.random()),
            )
            for name in names
        ),
    )
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    for model, benchmark, score in rows(
        connection, "SELECT model, benchmark, score FROM registry.leaderboard"
    ):
        scores[model][benchmark] = score
    means = {
        (-len(own), -sum(own[each] for each in names if each in own) / len(own), model): own
        for model, own in scores.items()
    }
    ordered = [(key[2], means[key]) for key in sorted(means)]
    columns = "SELECT model, scores, scored, incomplete FROM registry.board(CAST(:names AS text[])"
    partial = rows(connection, f"{columns}, partial => true)", names=names)
    assert [row[:2] for row in partial] == ordered
    whole = [each for each in ordered if len(each[1]) == 3]
    assert [row[:2] for row in rows(connection, f"{columns})", names=names)] == whole
    limited = rows(connection, f'{columns}, "limit" => 2)', names=names)
    assert [row[:2] for row in limited] == whole[:2]
    assert {row[3] for row in partial} == {len(ordered) - len(whole)}


@pytest.fixture
def five(connection: Connection) -> Connection:
    """Five models, best first, that differ in what boards filter by."""
    for number, (license_, parameters) in enumerate(
        [("mit", 1), ("apache-2.0", 2), ("cc-by-nc-4.0", 3), ("llama3", 4), (None, None)]
    ):
        factories.model(
            connection,
            f"org/m{number}",
            license=license_,
            parameters=None if parameters is None else parameters * 10**9,
        )
    shown = [
        run(f"org/m{number}", score=0.9 - number / 10, evaluated_at=day(1)) for number in range(5)
    ]
    stored(
        connection,
        block("b", *shown),
        block("b", run("org/m4", score=0.3, measure=F1), run("org/m3", score=0.4, measure=F1)),
        block("b", run("org/m3", score=0.1, measure=STRICT)),
        block("b", *(run(f"org/m{number}", score=number / 10, source=BOARD) for number in (1, 2))),
        block("b", run("org/m0", score=0.2, setup=Setup(variant="voting"))),
        block("b", run("org/only", score=0.7, setup=Setup(variant="voting"))),
    )
    return connection


def test_filters_of_models(five: Connection) -> None:
    everyone = [f"org/m{number}" for number in range(3)]
    assert models(five)[0] == "org/m0"
    assert models(five, licenses=["MIT", "apache-2.0"]) == everyone[:2]
    assert models(five, license_classes=["permissive"]) == everyone[:2]
    assert models(five, license_classes=["non-commercial"]) == ["org/m2"]
    assert models(five, max_parameters=2 * 10**9) == everyone[:2]
    assert models(five, min_parameters=2 * 10**9, max_parameters=3 * 10**9) == everyone[1:]
    assert models(five, models=["org/m2", "org/m0", "org/none"]) == ["org/m0", "org/m2"]
    assert models(five, models=[]) == []
    factories.alias(five, "org/m1", "one")
    assert models(five, models=["one"]) == ["org/m1"]
    assert models(five, licenses=["mit"], min_parameters=2 * 10**9) == []


def test_a_class_that_no_licence_has_is_named(five: Connection) -> None:
    for known in LicenseClass:
        models(five, license_classes=[known.value])
    for call in ("board", "board_benchmarks"):
        with (
            pytest.raises(DBAPIError, match="There is no licence class 'free'"),
            five.begin_nested(),
        ):
            rows(five, f"SELECT FROM registry.{call}(license_classes => ARRAY['custom', 'free'])")


@pytest.mark.parametrize("source", ["parent", "siblings"])
def test_an_inherited_size_passes_no_limit(five: Connection, source: str) -> None:
    query = "UPDATE store.models SET parameters_source = :source WHERE name = 'org/m1'"
    five.execute(text(query), {"source": source})
    assert models(five, max_parameters=2 * 10**9) == ["org/m0"]
    assert models(five, min_parameters=2 * 10**9, max_parameters=3 * 10**9) == ["org/m2"]
    assert "org/m1" in models(five)
    assert "org/m1" not in models(five, min_parameters=10**9)

    def inherited(**filters: Any) -> int:
        return rank(five, benchmarks=["b"], filters=BoardFilters(**filters)).inherited

    assert inherited(max_parameters=2 * 10**9) == inherited(min_parameters=2 * 10**9) == 1
    assert inherited() == inherited(max_parameters=10**9) == 0
    assert inherited(max_parameters=2 * 10**9, licenses=["mit"]) == 0
    assert inherited(max_parameters=2 * 10**9, models=["org/m0"]) == 0
    assert inherited(max_parameters=2 * 10**9, models=["org/m1"]) == 1
    inherits = "SELECT name FROM registry.models WHERE parameters_inherited"
    assert rows(five, inherits) == [("org/m1",)]
    for sized in ("name", "packed", "leaderboard:Board", "safetensors", "gguf"):
        five.execute(text(query), {"source": sized})
        assert models(five, max_parameters=2 * 10**9) == ["org/m0", "org/m1"]


def test_filters_of_runs(five: Connection) -> None:
    assert models(five, metric="f1") == ["org/m3", "org/m4"]
    assert models(five, metric="acc", filter="strict") == ["org/m3"]
    assert models(five, source="board") == ["org/m2", "org/m1"]
    assert models(five, source="board", licenses=["apache-2.0"]) == ["org/m1"]
    assert models(five, variant="voting") == ["org/only", "org/m0"]
    assert "org/only" not in models(five, variant="plain")
    assert "org/only" in models(five)
    assert models(five, metric="bleu") == []


def test_of_several_measures_of_a_source_one_is_shown(connection: Connection) -> None:
    """That which leaderboards show, or else that of most models: they are not mixed."""
    stored(
        connection,
        block("b", *(run(f"m{number}", score=0.1) for number in range(4))),
        block("b", run("m0", score=0.8, measure=F1, source=BOARD)),
        block("b", run("m1", score=0.9, measure=F1, source=BOARD)),
        block("b", run("m2", score=0.95, measure=STRICT, source=BOARD)),
    )
    assert models(connection, source="board") == ["m1", "m0"]
    stored(connection, block("b", run("m3", score=0.2, source=BOARD)))
    assert models(connection, source="board") == ["m3"]


def test_usual_benchmarks_are_those_of_the_runs_that_count(connection: Connection) -> None:
    for name in ("a", "b"):
        stored(connection, block(name, *(run(f"m{number}", score=0.5) for number in range(5))))
    stored(connection, block("c", *(run(f"m{n}", score=n / 10, source=BOARD) for n in range(2))))
    assert rank(connection).benchmarks == ["a", "b"]
    assert rank(connection, filters=BoardFilters(source="board")).benchmarks == ["c"]
    chosen = rows(connection, "SELECT benchmark FROM registry.board_benchmarks() WHERE chosen")
    assert chosen == [("a",), ("b",)]


@pytest.mark.parametrize(("common", "chosen"), [(4, ["a", "c"]), (5, ["a", "b", "c"])])
def test_usual_benchmarks_have_half_of_the_first_ones_models(
    connection: Connection, common: int, chosen: list[str]
) -> None:
    for name, count in (("a", 10), ("b", common), ("c", 10)):
        stored(connection, block(name, *(run(f"m{number}", score=0.5) for number in range(count))))
    ranking = rank(connection)
    assert sorted(ranking.benchmarks) == chosen
    assert ranking.passed_over == ([] if common == 5 else ["b"])


def test_measures_without_bounds_are_raw(connection: Connection) -> None:
    for name, measure in (("ppl", PERPLEXITY), ("arena", ELO), ("odd", UNKNOWN)):
        runs = [run(f"m{number}", score=10.0 * number, measure=measure) for number in range(3)]
        stored(connection, block(name, *runs))
    stored(connection, block("acc", run("m0", score=0.2), run("m1", score=0.3)))
    assert found(connection, "ARRAY['ppl']") == [("m0", None), ("m1", None), ("m2", None)]
    assert found(connection, "ARRAY['arena']") == [("m2", None), ("m1", None), ("m0", None)]
    assert found(connection, "ARRAY['odd']") == [("m0", None), ("m1", None), ("m2", None)]
    assert found(connection, "ARRAY['ppl', 'acc']") == [("m1", 0.3), ("m0", 0.2)]
    ranking = rank(connection, benchmarks=["ppl", "odd"])
    assert [row.scores for row in ranking.rows] == [[0, 0], [10, 10], [20, 20]]
    assert ranking.raw["odd"].higher_is_better is None


def test_a_limited_board_begins_as_the_whole_does(connection: Connection) -> None:
    """Models whose scores are of unknown direction are after those that are ranked."""
    stored(
        connection,
        block("arena", run("m1", score=10, measure=ELO), run("m2", score=20, measure=ELO)),
        block("odd", *(run(name, score=1, measure=UNKNOWN) for name in ("m0", "m3"))),
    )
    names = "ARRAY['arena', 'odd'], partial => true"
    whole = [model for model, _ in found(connection, names)]
    assert whole == ["m2", "m1", "m0", "m3"]
    for limit in range(1, 5):
        limited = found(connection, f'{names}, "limit" => {limit}')
        assert [model for model, _ in limited] == whole[:limit]


def test_a_partial_board_leaves_none_out(connection: Connection) -> None:
    stored(connection, block("a", run("m0", score=0.5), run("m1", score=0.5)))
    stored(connection, block("b", run("m0", score=0.5)))
    assert rank(connection, benchmarks=["a", "b"]).incomplete == 1
    assert rank(connection, benchmarks=["a", "b"], partial=True).incomplete == 0


def test_what_there_is_none_of(five: Connection) -> None:
    for arguments in ("ARRAY['nope']", "by_source => 'nope'", "by_variant => 'nope'"):
        with pytest.raises(DBAPIError, match="There is no .*'nope'"), five.begin_nested():
            five.execute(text(f"SELECT * FROM registry.board({arguments})"))
    with pytest.raises(UsageError, match="No source is named 'nope'; there are: board, tests"):
        rank(five, filters=BoardFilters(source="nope"))
    with pytest.raises(UsageError, match="variant 'nope'; there are plain, voting"):
        rank(five, filters=BoardFilters(variant="nope"))
    with pytest.raises(ModelNotFoundError):
        rank(five, filters=BoardFilters(family="no/body"))
    assert found(five, "by_family => 'no/body'") == []


RANKS = "rank, tied, rank_lower, rank_upper"


def ranges(scores: list[float], errors: list[Any]) -> list[tuple[Any, ...]]:
    """Return the ranks of scores, and those that simultaneous intervals allow, pair by pair."""
    known = [place for place, error in enumerate(errors) if error is not None]
    z = stats.norm.ppf((1 + 0.95 ** (1 / max(len(known), 1))) / 2)
    ends = {each: (scores[each] - z * errors[each], scores[each] + z * errors[each])
            for each in known}  # fmt: skip
    found = []
    for place, score in enumerate(scores):
        better = sum(ends[each][0] > ends[place][1] for each in known) if place in ends else 0
        worse = sum(ends[each][1] < ends[place][0] for each in known) if place in ends else 0
        found.append((
            1 + sum(each > score for each in scores),
            sum(each == score for each in scores) - 1,
            *((1 + better, len(scores) - worse) if place in ends else (None, None)),
        ))  # fmt: skip
    return found


@pytest.mark.parametrize("seed", range(3))
def test_ranks_have_the_range_that_standard_errors_allow(connection: Connection, seed: int) -> None:
    chance = random.Random(seed)
    percent = Measure(metric="acc", upper=100.0, unit="%")
    scores = {name: [chance.choice((20, 40, 60, 80)) + chance.choice((0, 3, 5)) for _ in range(15)]
              for name in ("b", "c")}  # fmt: skip
    errors = {
        name: [chance.choice((0.5, 2.0, 4.0, 4.0, 8.0)) for _ in range(15)] for name in scores
    }
    unknown = {3, 4} if seed else set()
    for name, of_models in scores.items():
        runs = [
            run(f"m{place:02}", score=float(score), measure=percent,
                standard_error=None if place in unknown and name == "c" else errors[name][place])
            for place, score in enumerate(of_models)
        ]  # fmt: skip
        lacking = [run("partial", score=99.0, measure=percent)] if name == "b" else []
        stored(connection, block(name, *runs, *lacking))
    averages = [round((b + c) / 200, 12) for b, c in zip(*scores.values(), strict=True)]
    of = [
        None if place in unknown else (b**2 + c**2) ** 0.5 / 200
        for place, (b, c) in enumerate(zip(*errors.values(), strict=True))
    ]
    board = f"SELECT {RANKS} FROM registry.board(ARRAY['b', 'c'], partial => true)"
    named = f"SELECT model, standard_error, {RANKS} FROM registry.board(ARRAY['b', 'c'])"
    found = {row[0]: row[1:] for row in rows(connection, named)}
    assert [found[f"m{place:02}"][1:] for place in range(15)] == ranges(averages, of)
    assert [found[f"m{place:02}"][0] for place in range(15)] == pytest.approx(of)
    assert rows(connection, board)[-1] == (None, None, None, None)
    # The range does not depend on how many rows are asked for.
    limited = rows(connection, f'{named[:-1]}, "limit" => 3)')
    assert [row[1:] for row in limited] == [found[row[0]] for row in limited]
    ranked = rank(connection, benchmarks=["b", "c"], limit=99).rows
    assert {
        row.model: (row.standard_error, row.rank, row.tied, row.rank_lower, row.rank_upper)
        for row in ranked
    } == found


def test_errors_are_those_of_outcomes_where_none_is_stated(connection: Connection) -> None:
    outcomes = {"all": [1.0] * 20, "half": [1.0, 0.0] * 10, "graded": [0.5, 0.75] * 10}
    stated = [run(f"s{items}", score=1.0, standard_error=0.0, items=items)
              for items in (None, 16)]  # fmt: skip
    stored(connection, block("b", *(run(name, each) for name, each in outcomes.items()), *stated))
    found = dict(rows(connection, "SELECT model, standard_error FROM registry.board(ARRAY['b'])"))
    assert found["half"] == pytest.approx((0.25 / 19) ** 0.5)
    # That all were right leaves open what the next would be.
    assert found["all"] == pytest.approx((22 * 2 / 24**3) ** 0.5)
    assert found["graded"] == pytest.approx(0.125 / 19**0.5)
    assert found["sNone"] is None
    assert found["s16"] == pytest.approx((18 * 2 / 20**3) ** 0.5)


def test_ranks_of_raw_scores_are_by_the_raw_error(connection: Connection) -> None:
    stated = [(1100.0, 5.0), (1090.0, 5.0), (1000.0, 5.0), (900.0, 0.0)]
    stored(connection, block("b", *(run(f"m{place}", score=score, standard_error=error, measure=ELO)
                                    for place, (score, error) in enumerate(stated))))  # fmt: skip
    assert rows(connection, f"SELECT {RANKS} FROM registry.board(ARRAY['b'])") == [
        (1, 0, 1, 3), (2, 0, 1, 3), (3, 0, 3, 4), (4, 0, None, None),
    ]  # fmt: skip


def test_quantiles_are_those_of_the_normal_distribution(connection: Connection) -> None:
    given = [1e-12, 1e-5, 0.02, 0.3, 0.5, 0.7, 0.925, 0.999, 1 - 1e-12]
    [(found,)] = rows(
        connection,
        "SELECT array_agg(store.normal_quantile(p) ORDER BY p)"
        " FROM unnest(CAST(:given AS float8[])) p", given=given,
    )  # fmt: skip
    assert found == pytest.approx(list(stats.norm.ppf(given)), rel=1e-6, abs=1e-9)
    [none] = rows(connection, "SELECT store.normal_quantile(0), store.normal_quantile(1)")
    assert none == (None, None)
