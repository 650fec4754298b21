import itertools
from typing import Any

import factories
import pytest
from evaluated import block, day, generated, grid, run, setup, write
from factories import rows
from sqlalchemy import Connection

from registry.catalog import indexes
from registry.errors import ModelNotFoundError, UsageError
from registry.evaluations.leaderboard import BoardFilters, rank
from registry.evaluations.outcomes import read_outcomes
from registry.evaluations.records import Benchmark, Block, Measure, Setup


def test_one_score_counts_of_every_kind_of_run(connection: Connection) -> None:
    runs: list[dict[str, Any]] = [
        {"complete": complete, "verified": verified, "evaluated_at": moment}
        for complete, verified, moment in itertools.product(
            (True, False), (True, False), (None, day(1), day(2))
        )
    ]
    for number, told in enumerate(runs):
        told["setup"] = setup(number=str(number))
        told["score"] = number / 100
    write(connection, block("b", *(run("m", **told) for told in runs)))
    best = max(
        runs,
        key=lambda told: (
            told["complete"], told["verified"], told["evaluated_at"] or day(1).replace(year=1)
        ),
    )  # fmt: skip
    assert rows(connection, "SELECT score, complete, verified FROM registry.leaderboard") == [
        (best["score"], True, True)
    ]


def test_outcomes_count_before_a_bare_score(connection: Connection) -> None:
    write(connection, block("b", run("m", score=0.9), run("m", [1, 0], setup=setup(number="1"))))
    assert rows(connection, "SELECT score, kind FROM registry.leaderboard") == [(0.5, "measured")]


@pytest.mark.parametrize(
    "preferred_first",
    [
        [{"revision": "main"}, {"revision": "step9", "evaluated_at": day(2)}],
        [{}, {"revision": "step9"}, {"revision": "a-branch", "evaluated_at": day(2)}],
        # A commit tells no branch: lm-eval states it for runs of the model as it is.
        [{"revision": "b" * 40, "evaluated_at": day(1)}, {}, {"revision": "step9"}],
        [{"revision": f"step{number}"} for number in (143000, 9000, 1)],
        [{"revision": "stage1-step10-tokens2B"}, {"revision": "stage1-step9-tokens30B"}],
        [{"revision": "b", "evaluated_at": day(2)}, {"revision": "a", "evaluated_at": day(1)}],
        [{"setup": Setup(shots=shots)} for shots in (0, 5, None)],
        [{"items": 20, "setup": setup(number="1")}, {"items": 10}],
    ],
)
def test_what_tells_checkpoints_and_setups_apart_decides(
    connection: Connection, preferred_first: list[dict[str, Any]]
) -> None:
    """The same one counts in each place that counts one, whatever the fingerprints are."""
    for name in ("m", "n", "o", "p"):
        reported = [
            run(name, score=1 - place / 10, **told) for place, told in enumerate(preferred_first)
        ]
        measured = [
            run(name, [0] * place + [1] * (9 - place), **told)
            for place, told in enumerate(preferred_first)
            if "items" not in told
        ]
        write(connection, block("reported", *reported), block("measured", *measured))
    found = rows(
        connection,
        "SELECT score, revision, shots FROM registry.leaderboard WHERE benchmark = 'reported'",
    )
    first = preferred_first[0]
    shots = first["setup"].shots if "setup" in first else None
    assert found == [(1.0, first.get("revision"), shots)] * 4
    accuracies = rows(
        connection,
        """
        SELECT score FROM registry.leaderboard WHERE benchmark = 'measured'
        UNION ALL
        SELECT accuracy FROM registry.accuracy_by_domain('m', 'measured')
        UNION ALL
        SELECT unnest(ARRAY[accuracy, other_accuracy]) FROM registry.agreements('m', 'measured')
        UNION ALL
        SELECT mean_outcome FROM registry.hardest_items('measured', 9)""",
    )
    assert set(accuracies) <= {(1.0,)}


def test_among_equals_models_are_told_under_the_same_setup(connection: Connection) -> None:
    setups = [setup(suite=suite) for suite in ("v0", "v1", "v2")]
    for name in ("m", "n", "o", "p", "q", "r"):
        runs = [run(name, score=place / 10, setup=each) for place, each in enumerate(setups)]
        right = [
            run(name, [1] * place + [0] * (9 - place), setup=each)
            for place, each in enumerate(setups)
        ]
        write(connection, block("reported", *runs), block("measured", *right))
    told = rows(connection, "SELECT DISTINCT benchmark, score FROM registry.leaderboard")
    assert len(told) == 2
    told = rows(connection, "SELECT other_accuracy FROM registry.agreements('m', 'measured')")
    assert len(told) == 5
    assert len(set(told)) == 1


def test_a_plain_run_counts_before_any_system_around_the_model(connection: Connection) -> None:
    """However good, complete, verified, new, known in detail and of whatever revision it is."""
    better: list[dict[str, Any]] = [
        {"verified": True, "evaluated_at": day(2), "items": 100},
        {"revision": "main", "evaluated_at": day(9)},
        {"complete": True},
    ]
    for name in ("m", "n", "o", "p"):
        runs = [
            run(name, score=0.9, setup=Setup(variant=f"best-of-{number}", shots=0), **told)
            for number, told in enumerate(better)
        ]
        plain = run(name, score=0.2, complete=False, setup=Setup(shots=5), revision="a-branch")
        right = run(name, [1, 1, 1, 1], setup=Setup(variant="voting"), evaluated_at=day(2))
        write(connection, block("reported", plain, *runs))
        write(connection, block("measured", run(name, [1, 0, None, None]), right))
    found = rows(connection, "SELECT benchmark, score, variant FROM registry.leaderboard")
    assert sorted(set(found)) == [("measured", 0.5, None), ("reported", 0.2, None)]
    # Items that the plain run lacks are not filled with what the system got.
    matrix = read_outcomes(connection, benchmarks=["measured"])
    assert matrix.values[matrix.mask].tolist() == [1.0, 0.0] * 4
    accuracies = rows(
        connection, "SELECT accuracy FROM registry.accuracy_by_domain('m', 'measured')"
    )
    assert accuracies == [(0.5,)]


def test_a_model_with_systems_alone_shows_one_and_names_it(connection: Connection) -> None:
    setups = [Setup(variant=variant) for variant in ("best-of-16", "voting")]
    runs = [run("m", score=0.4, setup=setups[0]), run("m", score=0.6, setup=setups[1],
                                                      evaluated_at=day(1))]  # fmt: skip
    write(connection, block("b", *runs, run("n", score=0.5)), block("c", run("m", score=0.7)))
    found = rows(
        connection,
        "SELECT benchmark, model, score, variant FROM registry.leaderboard ORDER BY 1, 2",
    )
    assert found == [("b", "m", 0.6, "voting"), ("b", "n", 0.5, None), ("c", "m", 0.7, None)]
    query = "SELECT score, variant FROM registry.scores WHERE model = 'm' ORDER BY 1"
    assert rows(connection, query) == [(0.4, "best-of-16"), (0.6, "voting"), (0.7, None)]
    ranking = rank(connection, benchmarks=["b"])
    assert [(row.model, list(row.variants)) for row in ranking.rows] == [
        ("m", ["voting"]), ("n", [])
    ]  # fmt: skip


def test_scores_by_another_metric_do_not_count(connection: Connection) -> None:
    other = Measure(metric="other")
    write(connection, block("b", run("m", score=0.25), run("m", score=1.0, measure=other)))
    write(connection, block("b", run("n", score=1.0, measure=other)))
    assert rows(connection, "SELECT model, score FROM registry.leaderboard") == [("m", 0.25)]


def test_a_bounded_measure_is_shown_before_an_unbounded(connection: Connection) -> None:
    loose = Measure(metric="ppl", upper=None, higher_is_better=False)
    write(connection, block("b", run("m", score=9.0, measure=loose), run("m", score=0.5)))
    assert rows(connection, "SELECT metric, score FROM registry.leaderboard") == [("acc", 0.5)]


def test_ranks_are_those_of_plain_means(connection: Connection) -> None:
    made = {name: generated(seed, 10, 25) for seed, name in enumerate(("one", "two", "three"))}
    write(connection, *(grid(name, outcomes) for name, outcomes in made.items()))
    write(connection, grid("two", {"org/part": [1.0]}))

    def mean(name: str, model: str) -> float:
        seen = [each for each in made[name][model] if each is not None]
        return sum(seen) / len(seen)

    expected = sorted(
        ((sum(mean(name, model) for name in ("two", "one")) / 2, model) for model in made["one"]),
        key=lambda pair: (-pair[0], pair[1]),
    )
    ranking = rank(connection, benchmarks=["two", "one"])
    assert [row.model for row in ranking.rows] == [model for _, model in expected]
    assert [row.average for row in ranking.rows] == pytest.approx([mean for mean, _ in expected])
    first = ranking.rows[0]
    assert first.scores == pytest.approx([mean("two", first.model), mean("one", first.model)])
    assert (ranking.benchmarks, ranking.incomplete) == (["two", "one"], 1)
    partial = rank(connection, benchmarks=["two", "one"], partial=True)
    assert (partial.rows[-1].model, partial.rows[-1].scores) == ("org/part", [1.0, None])
    assert partial.incomplete == 0
    assert len(rank(connection, limit=3).rows) == 3
    assert rank(connection).benchmarks == ["one", "three", "two"]


def test_a_benchmark_of_a_few_models_does_not_empty_the_ranking(connection: Connection) -> None:
    many = {f"org/m{number:02}": [1.0, number % 2] for number in range(50)}
    some = {model: outcomes for model, outcomes in many.items() if model < "org/m30"}
    others = {model: outcomes for model, outcomes in many.items() if model >= "org/m25"}
    write(connection, grid("all", many), grid("some", some), grid("others", others))
    write(connection, grid("private", {"org/m00": [1.0], "me/mine": [0.0]}))
    ranking = rank(connection, limit=100)
    # Of 30 models, the five that "others" has as well are too few.
    assert (ranking.benchmarks, ranking.passed_over) == (["all", "some"], ["others", "private"])
    assert {row.model for row in ranking.rows} == set(some)
    assert ranking.incomplete == 20
    named = rank(connection, benchmarks=["all", "private"])
    assert ([row.model for row in named.rows], named.passed_over) == (["org/m00"], [])
    write(connection, *(grid(f"whole{number}", many) for number in range(6)))
    ranking = rank(connection, limit=100)
    assert ranking.benchmarks == ["all", *(f"whole{number}" for number in range(5))]
    assert (len(ranking.rows), ranking.passed_over) == (50, [])


def test_the_usual_benchmarks_are_those_of_the_models_asked_for(connection: Connection) -> None:
    factories.family(connection, "me/mine", "me/mine")
    factories.family(connection, "org/m1", "org/m1")
    write(connection, grid("all", {f"org/m{number}": [1.0] for number in range(9)}))
    write(connection, grid("private", {"org/m0": [1.0], "me/mine": [0.5]}))
    ranking = rank(connection, filters=BoardFilters(family="me/mine"))
    assert ([row.model for row in ranking.rows], ranking.benchmarks) == (["me/mine"], ["private"])
    assert rank(connection, filters=BoardFilters(family="org/m1")).benchmarks == ["all"]
    loose = Measure(metric="ppl", lower=0.0, upper=None, higher_is_better=False)
    write(connection, block("loose", *(run(f"org/m{n}", score=9.0, measure=loose) for n in "0123")))
    assert rank(connection).benchmarks == ["all"]


def test_only_some_models(connection: Connection) -> None:
    factories.family(connection, "org/base", "org/base")
    factories.family(connection, "me/child", "org/base", parent="org/base", generation=1)
    factories.family(connection, "else/where", "else/where")
    # Words find what the Hub lists; a stub is found by its whole name only.
    factories.counters(connection, "some/name", downloads=1)
    indexes.refresh_vocabulary(connection)
    write(
        connection, block("b", run("me/child", [1]), run("else/where", [0]), run("some/name", [0]))
    )
    assert [
        row.model for row in rank(connection, filters=BoardFilters(family="org/base")).rows
    ] == ["me/child"]
    assert [row.model for row in rank(connection, filters=BoardFilters(query="name")).rows] == [
        "some/name"
    ]
    with pytest.raises(UsageError, match="no benchmark 'nope'"):
        rank(connection, benchmarks=["nope"])
    with pytest.raises(ModelNotFoundError):
        rank(connection, filters=BoardFilters(family="no/body"))


@pytest.mark.parametrize("version", ["2", "v@2", ""])
def test_versions_of_a_benchmark(connection: Connection, version: str) -> None:
    write(connection, block("org/b@x", run("m", [1]), version=version))
    told = Block(benchmark=Benchmark(name="org/b@x", version="old"), runs=[run("m", score=0.5)])
    write(connection, told)
    named = rank(connection, benchmarks=[f"org/b@x@{version}"])
    assert [(row.model, row.scores) for row in named.rows] == [("m", [1.0])]
    assert len(rank(connection, benchmarks=["org/b@x"]).benchmarks) == 2


@pytest.mark.parametrize("first", ["strict", "flexible"])
def test_of_one_metric_the_filter_that_the_benchmark_names_is_shown(
    connection: Connection, first: str
) -> None:
    scores = {"strict": 0.2, "flexible": 0.9}
    for name in sorted(scores, key=lambda name: name != first):
        measure = Measure(metric="acc", filter=name)
        write(connection, block("b", run("m", score=scores[name], measure=measure)))
    [(named,)] = rows(connection, "SELECT filter FROM registry.benchmarks")
    assert rows(connection, "SELECT filter, score FROM registry.leaderboard") == [
        (named, scores[named])
    ]


def test_the_standard_error_is_that_of_the_share(connection: Connection) -> None:
    percent = Measure(metric="acc", upper=100.0, unit="%")
    told = run("m", score=75.0, standard_error=0.5, measure=percent)
    write(connection, block("b", told))
    assert rows(connection, "SELECT score, standard_error FROM registry.leaderboard") == [
        (0.75, pytest.approx(0.005))
    ]
