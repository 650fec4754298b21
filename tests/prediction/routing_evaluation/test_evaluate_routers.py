"""The workflow of evaluations of routers, on generated outcomes with a model good at each task."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_commands import Commands
from evaluated import block, run, write
from factories import rows
from numpy.typing import NDArray
from sqlalchemy import Engine, text

from registry.enums import RoutingSplit
from registry.errors import RegistryError, UsageError
from registry.evaluations.records import Item
from registry.learning.factorization.problem import Matrix
from registry.learning.routing.similar_items import SimilarItems
from registry.learning.routing_evaluation.contest import contender
from registry.prediction.domains.domain_sets import DomainSet, Subject
from registry.prediction.domains.domain_storage import write_set
from registry.prediction.routing_evaluation import evaluate_routers as workflow
from registry.prediction.routing_evaluation.compared_routers import BASELINES, ROUTERS
from registry.prediction.routing_evaluation.evaluate_routers import EvaluationOptions
from registry.prediction.routing_evaluation.robustness import measure_robustness, read_texts
from registry.prediction.routing_evaluation.routing_data import PoolOptions, read_routing_data
from registry.prediction.routing_evaluation.routing_results import read_evaluation

WORDS = {"algebra": "solve the equation", "history": "which king ruled", "code": "write a function"}
ITEMS = 180
SUBJECTS = DomainSet(
    "modem", ["numbers", "past", "rest"],
    {
        Subject("", "algebra"): "numbers", Subject("", "history"): "past",
        Subject("quiz", "code"): "rest",
    },
    fallback="rest",
)  # fmt: skip
PRICES = {"org/m0": 1.0, "org/m1": 1.0, "org/m2": 1.0, "org/m3": 8.0}


def generated(benchmark: str, seed: int, count: int = ITEMS) -> Any:
    """Return a block of four models: three good at one subject each, the last middling at all."""
    rng = np.random.default_rng(seed)
    subjects = rng.integers(0, 3, count)
    names = list(WORDS)
    asked = [
        Item(f"i{n}", f"{WORDS[names[s]]} {seed} {n}", domain=names[s])
        for n, s in enumerate(subjects)
    ]
    runs = []
    for model in range(4):
        good = np.where(subjects == model, 0.9, 0.3) if model < 3 else np.full(count, 0.6)
        right = rng.random(count) < good
        answers = np.where(right, "A", rng.choice(list("BCDE"), count)).tolist()
        tokens = np.full(count, 100, np.int32)
        runs.append(
            run(
                f"org/m{model}",
                right.astype(float).tolist(),
                answers=answers,
                input_tokens=tokens,
                output_tokens=tokens * (model + 1),
            )
        )
    # Too few outcomes to be in the pool.
    runs.append(run("org/rare", [1.0] * (count // 2) + [None] * (count - count // 2)))
    return block(benchmark, *runs, asked=asked)


def price(engine: Engine, prices: dict[str, float]) -> None:
    with engine.begin() as connection:
        for name, dollars in prices.items():
            connection.execute(
                text("""
                WITH offer AS (
                    INSERT INTO store.price_offers
                           (source, provider, name, model_id, method, confidence, seen_at)
                    SELECT 'list', 'them', name, model_id, 'exact', 1, now()
                      FROM store.models WHERE name = :name
                    RETURNING offer_id)
                INSERT INTO store.prices
                       (offer_id, valid_from, input_per_million, output_per_million, currency,
                        tiered)
                SELECT offer_id, now(), :dollars, :dollars, 'USD', false FROM offer"""),
                {"name": name, "dollars": dollars},
            )


@pytest.fixture
def filled(engine: Engine) -> Engine:
    with engine.begin() as connection:
        write(connection, generated("quiz", 0), generated("exam", 1, 60))
        write_set(connection, SUBJECTS)
    price(engine, PRICES)
    return engine


def options(**chosen: Any) -> EvaluationOptions:
    values: dict[str, Any] = {"seeds": 2, "replicates": 50, "routers": list(BASELINES), **chosen}
    pool = values.pop("pool", PoolOptions(encoder="hashing"))
    return EvaluationOptions(pool=pool, **values)


def value(evaluation: Any, router: str, metric: str, split: str = "item") -> float:
    (found,) = [
        each.value
        for each in evaluation.figures
        if (each.split, each.router, each.metric) == (split, router, metric)
    ]
    return float(found)


def test_data_are_outcomes_subjects_answers_and_costs(filled: Engine) -> None:
    data = read_routing_data(filled, PoolOptions(encoder="hashing"))
    assert list(data.models) == ["org/m0", "org/m1", "org/m2", "org/m3"]
    assert [each.benchmark for each in data.columns] == ["exam"] * 60 + ["quiz"] * 180
    assert data.problem.outcomes.shape == (4, 240)
    assert data.subjects == sorted(f"{b}: {w}" for b in ("exam", "quiz") for w in WORDS)
    assert data.benchmarks.tolist() == [0] * 60 + [1] * 180
    assert data.answers is not None
    with filled.connect() as connection:
        stored = rows(
            connection,
            """SELECT benchmark, item, model, answer, is_right FROM registry.answers
                WHERE model <> 'org/rare'""",
        )
    places = {(each.benchmark, each.item): place for place, each in enumerate(data.columns)}
    texts: dict[tuple[str, int], str] = {}
    for benchmark, item, model, answer, is_right in stored:
        place, row = places[benchmark, item], data.models.index(model)
        assert data.problem.outcomes[row, place] == is_right
        code = int(data.answers.codes[place, row])
        assert texts.setdefault((benchmark, code), answer) == answer
    assert len(texts) == 10
    assert set(data.answers.choices) == {5.0}
    # 100 tokens of the prompt and 100 to 400 of the answer.
    assert data.problem.costs[:, 0] == pytest.approx([2e-4, 3e-4, 4e-4, 40e-4])
    assert data.cost_basis == {"stated": 960, "estimated": 0, "unknown": 0}
    assert data.notes == ["Models with outcomes on less than 90% of the items, left out: 1."]
    assert data.unpriced == []
    domains = {data.subjects[group]: domain for group, domain in data.domains.items()}
    assert domains == {
        "exam: algebra": 0, "exam: history": 1, "exam: code": -1,
        "quiz: algebra": 0, "quiz: history": 1, "quiz: code": 2,
    }  # fmt: skip
    assert data.fallback == 2


def test_where_no_set_is_stored_the_shipped_one_counts_and_may_name_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        write(connection, generated("exam", 1, 60), generated("gsm8k", 2, 30))
    pool = PoolOptions(encoder="hashing", benchmarks=["gsm8k"])
    assert set(read_routing_data(engine, pool).domains.values()) == {0}
    # The subject of a benchmark is that of its items which state none, under any name of the set.
    with engine.begin() as connection:
        asked = [Item(f"i{n}", f"how many is {n}") for n in range(20)]
        runs = [run(f"org/m{m}", [float(n % 2 == m) for n in range(20)]) for m in range(2)]
        whole = block("mmlu", *runs, asked=asked)
        subject = replace(whole.benchmark, domain="anatomy")
        write(connection, replace(whole, benchmark=subject))
    of_subject = PoolOptions(encoder="hashing", benchmarks=["mmlu"])
    assert set(read_routing_data(engine, of_subject).domains.values()) == {1}
    pool = replace(pool, benchmarks=["exam"])
    assert set(read_routing_data(engine, pool).domains.values()) == {-1}
    for router, said in (("domain", True), ("neighbours", False)):
        found = workflow.evaluate_routers(engine, options(routers=[router], seeds=1, pool=pool))
        notes = found.evaluation.settings["notes"]
        assert any("sends all prompts to the best general" in note for note in notes) == said
        if said:
            assert value(found.evaluation, "domain", "over_best_single") == 0


def test_the_fingerprint_changes_with_the_data(filled: Engine) -> None:
    pool = PoolOptions(encoder="hashing")
    first = read_routing_data(filled, pool).fingerprint()
    assert read_routing_data(filled, pool).fingerprint() == first
    some = PoolOptions(encoder="hashing", models=["org/m0", "org/m1"])
    assert read_routing_data(filled, some).fingerprint() != first
    with filled.begin() as connection:
        connection.execute(text("UPDATE store.prices SET output_per_million = 2"))
    assert read_routing_data(filled, pool).fingerprint() != first


def test_a_router_is_measured_beside_baselines_and_oracles(filled: Engine) -> None:
    steps: list[tuple[str, int, int]] = []
    result = workflow.evaluate_routers(
        filled, options(), on_progress=lambda *step: steps.append(step)
    )
    found = result.evaluation
    assert not result.stored_before
    best, router = value(found, "best-single", "avg_acc"), value(found, "neighbours", "avg_acc")
    oracle = value(found, "oracle-by-instance", "avg_acc")
    assert value(found, "random", "avg_acc") < best < oracle
    assert value(found, "avengers-pro", "avg_acc") > best
    assert value(found, "neighbours", "gap_closed") == pytest.approx(
        (router - best) / (oracle - best)
    )
    assert value(found, "avengers-pro", "cost_save") > 0.5
    assert value(found, "cascade:avengers-pro", "cost_per_1000") > 0
    assert value(found, "avengers-pro", "models_dominated") > 0
    assert 0 <= value(found, "avengers-pro", "pareto_dist") < value(found, "random", "pareto_dist")
    assert value(found, "avengers-pro", "vote_3") <= 1
    assert value(found, "model:org/m3", "avg_acc") == pytest.approx(0.6, abs=0.15)
    assert value(found, "model:org/m3", "cost_per_1000") == pytest.approx(4)
    details = found.details["item"]["avengers-pro"]
    assert sum(details["picks"].values()) == found.figures[0].n
    errors = details["calibration"]
    assert list(errors) == found.settings["models"]
    assert value(found, "avengers-pro", "worst_calibration_error") == pytest.approx(
        max(errors.values()), abs=1e-5
    )
    assert value(found, "avengers-pro", "model_calibration_error") == pytest.approx(
        np.median(list(errors.values())), abs=1e-5
    )
    assert sum(each["prompts"] for each in details["pick_rates"]) == found.figures[0].n
    assert details["confusion"][0]["routed"] != details["confusion"][0]["should"]
    drawn = {each.router for each in found.figures if each.metric == "pareto_dist"}
    assert not any(router.startswith("oracle") for router in drawn)
    with filled.connect() as connection:
        shown = rows(
            connection,
            """SELECT right_models, prompts, picked, chance FROM registry.routing_pick_rates
                WHERE router = 'avengers-pro' AND split = 'item'""",
        )
        mistakes = rows(
            connection,
            """SELECT routed, should, prompts FROM registry.routing_confusions
                WHERE router = 'avengers-pro' AND split = 'item'""",
        )
    keys = ("right", "prompts", "picked", "chance")
    assert shown == [tuple(each[key] for key in keys) for each in details["pick_rates"]]
    named = ("routed", "should", "prompts")
    assert sorted(mistakes) == sorted(
        tuple(each[key] for key in named) for each in details["confusion"]
    )
    assert found.settings["models"] == ["org/m0", "org/m1", "org/m2", "org/m3"]
    assert ("by item: fitting routers", 0, 22) in steps
    assert steps[-1] == ("measuring routers", 11, 11)


@pytest.mark.parametrize("name", ROUTERS)
def test_every_router_can_be_evaluated(filled: Engine, name: str) -> None:
    pool = PoolOptions(encoder="hashing", benchmarks=["exam" if name != "domain" else "quiz"])
    found = workflow.evaluate_routers(filled, options(routers=[name], seeds=1, pool=pool))
    assert 0 < value(found.evaluation, name, "avg_acc") <= 1
    assert value(found.evaluation, name, "within_prompt_auc") > 0.5


def test_the_same_data_are_not_evaluated_twice(filled: Engine) -> None:
    chosen = options(routers=["neighbours"])
    first = workflow.evaluate_routers(filled, chosen).evaluation
    again = workflow.evaluate_routers(filled, chosen)
    assert again.stored_before
    assert again.evaluation == first
    other = workflow.evaluate_routers(filled, options(routers=["neighbours"], seed=7))
    assert not other.stored_before
    anew = workflow.evaluate_routers(filled, options(routers=["neighbours"], again=True))
    assert anew.evaluation.evaluation == first.evaluation + 2
    assert [each.value for each in anew.evaluation.figures] == pytest.approx(
        [each.value for each in first.figures]
    )
    with filled.connect() as connection:
        assert read_evaluation(connection).evaluation == first.evaluation + 2
        assert read_evaluation(connection, first.evaluation) == first
        shown = rows(
            connection,
            """SELECT DISTINCT evaluation, seed, seeds, encoder FROM registry.routing_results
                ORDER BY evaluation""",
        )
    assert shown[0] == (first.evaluation, 0, 2, "hashing-512")
    assert [each[1] for each in shown] == [0, 7, 0]


def test_subjects_and_benchmarks_are_left_out_whole(filled: Engine) -> None:
    data = read_routing_data(filled, PoolOptions(encoder="hashing"))
    for held in workflow.folds(data, RoutingSplit.SUBJECT, options(seeds=4)):
        groups = set(data.problem.groups[held])
        assert len(held) == np.isin(data.problem.groups, list(groups)).sum()
        assert len(groups) < 6
    for held in workflow.folds(data, RoutingSplit.BENCHMARK, options(seeds=4)):
        assert len(set(data.benchmarks[held])) == 1
        assert len(held) == (data.benchmarks == data.benchmarks[held[0]]).sum()
    for held in workflow.folds(data, RoutingSplit.ITEM, options(seeds=4)):
        assert len(held) == pytest.approx(48, abs=4)
    one = read_routing_data(filled, PoolOptions(encoder="hashing", benchmarks=["quiz"]))
    with pytest.raises(UsageError, match="one benchmark only"):
        workflow.folds(one, RoutingSplit.BENCHMARK, options())


def test_intervals_are_over_what_a_split_has_drawn(filled: Engine) -> None:
    data = read_routing_data(filled, PoolOptions(encoder="hashing"))
    both = options(
        routers=["best-single"], splits=(RoutingSplit.ITEM, RoutingSplit.BENCHMARK), seeds=4
    )
    figures, _ = workflow.evaluate_data(data, both)
    found = {
        each.split: each
        for each in figures
        if (each.router, each.metric) == ("best-single", "avg_acc")
    }
    by_benchmark = found["benchmark"]
    assert by_benchmark.lower is not None
    assert by_benchmark.upper is not None
    # Of two benchmarks there are three resamples: the one, the other, both.
    held = workflow.folds(data, RoutingSplit.BENCHMARK, both)
    ends = []
    for benchmark in (0, 1):
        known = data.problem.outcomes[:, data.benchmarks != benchmark].mean(axis=1)
        best = int(known.argmax())
        ends.append(float(data.problem.outcomes[best, data.benchmarks == benchmark].mean()))
    assert {int(data.benchmarks[each[0]]) for each in held} == {0, 1}
    assert [by_benchmark.lower, by_benchmark.upper] == pytest.approx(sorted(ends))


def test_without_all_prices_costs_are_left_out_and_said(filled: Engine) -> None:
    with filled.begin() as connection:
        connection.execute(
            text("""DELETE FROM store.price_offers o USING store.models m
                     WHERE m.model_id = o.model_id AND m.name = 'org/m3'""")
        )
    found = workflow.evaluate_routers(filled, options(routers=["neighbours"])).evaluation
    metrics = {each.metric for each in found.figures}
    assert "cost_save" not in metrics
    assert "avg_acc" in metrics
    assert found.settings["unpriced"] == ["org/m3"]
    assert not any(each.router.startswith("cascade") for each in found.figures)
    with pytest.raises(UsageError, match="cheapest model is not known"):
        workflow.evaluate_routers(filled, options(routers=["cheapest"]))
    cheap = options(pool=PoolOptions(encoder="hashing", max_price=1.0), routers=["neighbours"])
    kept = workflow.evaluate_routers(filled, cheap).evaluation
    assert kept.settings["models"] == ["org/m0", "org/m1", "org/m2"]
    assert (
        "Models that cost more than the limit or have no price, left out: 1."
        in kept.settings["notes"]
    )
    assert "cost_save" in {each.metric for each in kept.figures}


def test_what_cannot_be_evaluated_is_said(filled: Engine, engine: Engine) -> None:
    with pytest.raises(UsageError, match=r"No router is named 'neighbors'; did you mean neighb"):
        workflow.evaluate_routers(filled, options(routers=["neighbors"]))
    with pytest.raises(UsageError, match="1 of 1 models can be compared"):
        workflow.evaluate_routers(
            filled, options(pool=PoolOptions(encoder="hashing", models=["org/m0"]))
        )
    with pytest.raises(UsageError, match="no outcomes on a benchmark named 'quizz'"):
        workflow.evaluate_routers(
            filled, options(pool=PoolOptions(encoder="hashing", benchmarks=["quizz"]))
        )


def test_too_few_items_with_a_text_are_said(engine: Engine) -> None:
    with pytest.raises(UsageError, match="no outcomes by item yet"):
        workflow.evaluate_routers(engine, options())
    with engine.begin() as connection:
        write(
            connection,
            block("bare", run("org/a", [1.0] * 40), run("org/b", [0.0, 1.0] * 20)),
        )
    with pytest.raises(UsageError, match=r"0 of 40 items can be .* without a text, left out: 40"):
        workflow.evaluate_routers(engine, options())
    with engine.connect() as connection, pytest.raises(RegistryError, match="no evaluation of ro"):
        read_evaluation(connection)


def test_answers_that_cannot_be_compared_are_said(engine: Engine) -> None:
    asked = [Item(f"i{n}", f"say something of {n}") for n in range(40)]
    with engine.begin() as connection:
        write(
            connection,
            block(
                "essays",
                *(
                    run(f"org/{m}", [1.0] * 40, answers=[f"{m} says {n}" for n in range(40)])
                    for m in "abc"
                ),
                asked=asked,
            ),
        )
    data = read_routing_data(engine, PoolOptions(encoder="hashing"))
    assert data.answers is None
    assert "hardly ever equal" in data.notes[-1]


def test_the_command_prints_and_draws(filled: Engine, commands: Commands, tmp_path: Path) -> None:
    asked = (
        "route", "evaluate", "--encoder", "hashing", "--seeds", "1", "--router", "neighbours",
        "--router", "best-single",
    )  # fmt: skip
    page, picture = tmp_path / "a.html", tmp_path / "a.png"
    result = commands(*asked, "--format", "table", "--plot", str(page), "--plot", str(picture))
    assert result.exit_code == 0, result.output
    assert "neighbours" in result.stdout
    assert "model:org/m0" not in result.stdout
    assert "4 models on 240 items, 1 split, 20% held out each." in result.stderr
    assert "outcomes on less than 90% of the items, left out: 1." in result.stderr
    assert page.read_text().startswith("<!doctype html>")
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = commands.json(*asked)
    assert [each["router"] for each in found][:2] == ["oracle-by-cost", "oracle-by-instance"]
    assert found[0]["split"] == "item"
    assert {"mean", "lower", "upper"} == set(found[0]["avg_acc"])
    assert found[2]["avg_acc"]["mean"] >= found[3]["avg_acc"]["mean"]
    again = commands(*asked)
    assert "as stored; --again evaluates anew" in again.stderr
    assert "a plot is a .png or an .html" in commands.refused(2, *asked, "--plot", "x.svg")
    assert "No router is named 'nothing'" in commands.refused(2, *asked, "--router", "nothing")


def test_without_prices_there_is_no_plot_but_all_else(
    filled: Engine, commands: Commands, tmp_path: Path
) -> None:
    with filled.begin() as connection:
        connection.execute(text("DELETE FROM store.prices WHERE input_per_million = 8"))
    page = tmp_path / "a.html"
    result = commands(
        "route", "evaluate", "--encoder", "hashing", "--seeds", "1", "--router", "neighbours",
        "--plot", str(page),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "1 model has no price (org/m3)" in result.stderr
    assert "a.html is not drawn: quality against cost needs a price of each" in result.stderr
    assert not page.exists()


def test_items_that_a_model_did_not_take_are_left_out(engine: Engine) -> None:
    asked = [Item(f"i{n}", f"question {n}") for n in range(40)]
    gaps = [None if n in {3, 30} else float(n % 2) for n in range(40)]
    with engine.begin() as connection:
        runs = (run("org/a", [1.0] * 40), run("org/b", gaps))
        write(connection, block("quiz", *runs, asked=asked))
    data = read_routing_data(engine, PoolOptions(encoder="hashing"))
    assert {"i3", "i30"}.isdisjoint(each.item for each in data.columns)
    assert data.problem.outcomes.shape == (2, 38)
    assert data.problem.outcomes[1].tolist() == [each for each in gaps if each is not None]
    assert data.notes == ["Items without outcomes of a model of the pool, left out: 2."]
    assert data.answers is None


class Echo:
    """An encoder of one word a dimension, whatever stands around it."""

    name, dimension = "echo", 3

    def encode(self, texts: Sequence[str]) -> Matrix:
        found = [[float(word in text.lower()) for word in WORDS.values()] for text in texts]
        return np.array(found, np.float32)

    def cuts(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        return np.zeros(len(texts), np.bool_)


def test_robustness_is_the_share_of_picks_that_stay(filled: Engine) -> None:
    pool = PoolOptions(encoder="hashing", benchmarks=["quiz"])
    asked = options(routers=["neighbours", "best-single"], seeds=1, rewordings=12, pool=pool)
    found = workflow.evaluate_routers(filled, asked).evaluation
    assert value(found, "best-single", "robustness") == 1
    stays = value(found, "neighbours", "robustness")
    assert 0 < stays < 1
    assert {each.n for each in found.figures if each.metric == "robustness"} == {12}
    assert not any(
        each.metric == "robustness" and each.router.startswith("oracle") for each in found.figures
    )
    # By an encoder that rewordings hardly touch, picks hardly change.
    data = read_routing_data(filled, pool)
    with filled.connect() as connection:
        texts = read_texts(connection, data.columns)
    assert texts[7] == f"{WORDS[data.subjects[data.problem.groups[7]].partition(': ')[2]]} 0 7"
    vectors = Echo().encode(texts)
    problem = replace(data.problem, vectors=vectors)
    held = np.arange(0, 60, 2)
    chosen = [contender(SimilarItems(30))]
    robust = measure_robustness(problem, held, [texts[at] for at in held], Echo(), chosen)
    assert robust["neighbours"].value >= 0.75
