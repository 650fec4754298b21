"""Plans and estimates from stored outcomes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson
import pytest
from banks import planted
from evaluated import array, block, run, write
from factories import model
from sqlalchemy import Connection, text

from registry.errors import ModelNotFoundError, UnreadableFileError, UsageError
from registry.evaluations.records import Item
from registry.prediction import item_bank
from registry.prediction.estimate import EstimateReport, estimate_scores, partial_scores
from registry.prediction.item_bank import read_bank
from registry.prediction.plan import EvaluationPlan, PlanOptions, plan_evaluation
from registry.prediction.plan_files import lm_eval_samples

MODELS, ITEMS = 300, 40
OUTCOMES = planted(MODELS, ITEMS)
TEXTS = [Item(str(place), "x" * (10 + 5 * (place % 7))) for place in range(ITEMS)]


def names(count: int = MODELS) -> list[str]:
    return [f"org/m{place}" for place in range(count)]


@pytest.fixture
def bank(connection: Connection) -> Connection:
    """300 models on 40 items of benchmark math, the first one on its first 15 only."""
    part = OUTCOMES.copy()
    part[0, 15:] = np.nan
    runs = [run(name, row.tolist()) for name, row in zip(names(), part, strict=True)]
    write(connection, block("math", *runs, version="2", asked=TEXTS))
    return connection


def plan(connection: Connection, name: str = "org/new", **options: object) -> EvaluationPlan:
    values = {"budget": 8, **options}
    return plan_evaluation(connection, name, ["math"], PlanOptions(**values))  # type: ignore[arg-type]


def chosen(made: EvaluationPlan) -> list[str]:
    return [each.item for each in made.items]


def answered(path: Path, rows: Sequence[tuple[str, object]]) -> Path:
    path.write_text("item,outcome\n" + "".join(f"{item},{outcome}\n" for item, outcome in rows))
    return path


def test_a_plan_names_items_in_order(bank: Connection) -> None:
    made = plan(bank)
    assert len(set(chosen(made))) == 8
    assert chosen(plan(bank, budget=3)) == chosen(made)[:3]
    first = made.items[0]
    assert (first.benchmark, first.version) == ("math", "2")
    assert first.ordinal == int(first.item)
    assert first.characters == 10 + 5 * (first.ordinal % 7)
    [row] = made.benchmarks
    # The model that ran 15 of 40 items says too little.
    assert (row.items, row.known_models, row.planned, row.answered) == (40, 299, 8, 0)
    assert 0.05 < row.width < 0.6
    assert made.enough is None
    assert any("org/new is not in the catalog" in note for note in made.notes)


def test_own_outcomes_are_answers_and_not_among_the_known(bank: Connection) -> None:
    read = read_bank(bank, "org/m0", ["math"])
    assert len(read.known.rows) == 299
    np.testing.assert_array_equal(read.own[:15], OUTCOMES[0, :15])
    assert np.isnan(read.own[15:]).all()
    made = plan(bank, "org/m0")
    assert made.answered == 15
    assert all(each.ordinal >= 15 for each in made.items)
    assert len(made.items) == 8
    assert any("15 of these items" in note for note in made.notes)
    assert len(read_bank(bank, "org/m5", ["math"]).known.rows) == 298
    made = plan(bank, "org/m5")
    assert made.answered == 0
    assert any("its scores are measured" in note for note in made.notes)


def test_an_estimate_stands_beside_the_measured_score(bank: Connection, tmp_path: Path) -> None:
    rows = [(str(place), int(OUTCOMES[5, place])) for place in range(0, 40, 2)]
    path = answered(tmp_path / "a.csv", rows)
    [found] = estimate_scores(bank, "org/m5", ["math"], answers=path, stop_at=0.9).rows
    assert found.measured == pytest.approx(OUTCOMES[5].mean())
    assert (found.answers, found.items, found.enough) == (20, 40, True)
    assert found.lower <= found.score <= found.upper
    assert abs(found.score - OUTCOMES[5].mean()) < 0.15
    [tight] = estimate_scores(bank, "org/m5", ["math"], answers=path, stop_at=0.01).rows
    assert tight.enough is False


def test_a_new_model_is_estimated_from_its_answers_alone(bank: Connection, tmp_path: Path) -> None:
    means = OUTCOMES.mean(axis=1)
    for outcome, low, high in ((1, 0.6, 1), (0, 0, 0.4)):
        items = [(str(place), outcome) for place in range(0, 20, 2)]
        report = estimate_scores(bank, "who/knows", ["math@2"], answers=answered(
            tmp_path / f"{outcome}.csv", items))  # fmt: skip
        [found] = report.rows
        assert low <= found.score <= high
        assert found.measured is None
        assert "who/knows is not in the catalog" in report.notes[0]
    assert 0.4 < means.mean() < 0.6


def test_stored_outcomes_of_a_part_are_enough_for_an_estimate(bank: Connection) -> None:
    [found] = estimate_scores(bank, "org/m0", ["math"]).rows
    assert found.answers == 15
    assert found.measured is None
    assert abs(found.score - OUTCOMES[0].mean()) < 0.15
    with pytest.raises(ModelNotFoundError, match="No model named 'org/zzz'"):
        estimate_scores(bank, "org/zzz", ["math"])
    model(bank, "org/empty")
    with pytest.raises(UsageError, match=r"no outcomes of org/empty on math@2; .*--answers"):
        estimate_scores(bank, "org/empty", ["math"])


def test_adaptive_plans_go_on_from_answers(bank: Connection, tmp_path: Path) -> None:
    first = plan(bank, adaptive=True, batch=4)
    assert len(first.items) == 4
    right = answered(tmp_path / "right.csv", [(item, 1) for item in chosen(first)])
    wrong = answered(tmp_path / "wrong.csv", [(item, 0) for item in chosen(first)])
    after = [plan(bank, adaptive=True, batch=3, answers=path) for path in (right, wrong)]
    assert chosen(after[0]) != chosen(after[1])
    for each in after:
        assert len(each.items) == 3
        assert not set(chosen(each)) & set(chosen(first))
        assert (each.answered, each.benchmarks[0].answered) == (4, 4)
    # The budget counts answers of the file.
    assert len(plan(bank, adaptive=True, batch=10, answers=right, budget=6).items) == 2
    assert not plan(bank, adaptive=True, answers=right, budget=4).items
    fixed = plan(bank, answers=right, budget=6)
    assert len(fixed.items) <= 2
    assert set(chosen(fixed)) <= set(chosen(plan(bank, budget=10))) - set(chosen(first))


def test_plans_stop_where_intervals_are_narrow_enough(bank: Connection, tmp_path: Path) -> None:
    widths = {budget: plan(bank, budget=budget).benchmarks[0].width for budget in (5, 15, 30)}
    assert widths[5] > widths[15] > widths[30] > 0
    made = plan(bank, budget=30, stop_at=widths[15])
    assert made.enough is True
    assert 5 < len(made.items) <= 15
    assert made.benchmarks[0].width <= widths[15]
    assert plan(bank, budget=len(made.items) - 1).benchmarks[0].width > widths[15]
    assert plan(bank, budget=5, stop_at=widths[15]).enough is False
    path = answered(tmp_path / "a.csv", [(item, 1) for item in chosen(plan(bank, budget=30))])
    done = plan(bank, budget=40, adaptive=True, answers=path, stop_at=0.5)
    assert done.enough is True
    assert not done.items
    more = plan(bank, budget=40, adaptive=True, answers=path, stop_at=0.0)
    assert more.enough is False
    assert more.items


def test_items_are_chosen_by_length(bank: Connection) -> None:
    by_length = plan(bank, budget=6, by_length=True)
    assert sum(each.characters or 0 for each in by_length.items) < sum(
        each.characters or 0 for each in plan(bank, budget=6).items
    )
    write(bank, block("bare", *(run(name, row) for name, row in zip(
        names(20), OUTCOMES[:20, :9].tolist(), strict=True))))  # fmt: skip
    options = PlanOptions(budget=3, by_length=True)
    with pytest.raises(UsageError, match="no text of bare:i0, bare:i1, bare:i2 and 6 more items"):
        plan_evaluation(bank, "org/new", ["bare"], options)
    made = plan_evaluation(bank, "org/new", ["bare"], PlanOptions(budget=3))
    assert made.items[0].characters is None
    assert any("Only 20 models" in note for note in made.notes)


def test_several_benchmarks_are_planned_together(bank: Connection) -> None:
    other = planted(MODELS, 12, seed=4)
    rows = zip(names(), other, strict=True)
    write(bank, block("code", *(run(name, row.tolist()) for name, row in rows)))
    options = PlanOptions(budget=12)
    made = plan_evaluation(bank, "org/new", ["code", "math"], options)
    assert [each.benchmark for each in made.benchmarks] == ["code", "math"]
    assert [each.items for each in made.benchmarks] == [12, 40]
    assert sum(each.planned for each in made.benchmarks) == 12
    assert min(each.planned for each in made.benchmarks) >= 2
    of_code = {each.item for each in made.items if each.benchmark == "code"}
    assert of_code <= {f"i{place}" for place in range(12)}
    assert all(int(each.item.removeprefix("i")) == each.ordinal for each in made.items)
    report = estimate_scores(bank, "org/m0", ["code", "math"])
    assert [each.answers for each in report.rows] == [12, 15]
    assert report.rows[0].lower == report.rows[0].score == pytest.approx(other[0].mean())
    with pytest.raises(UsageError, match="named twice"):
        plan_evaluation(bank, "org/new", ["math", "math@2"], options)


def test_what_nothing_can_be_learned_from_is_refused(connection: Connection) -> None:
    rows = OUTCOMES[:8, :6].tolist()
    few = [run(name, row) for name, row in zip(names(), rows, strict=False)]
    write(
        connection,
        block("few", *few[:7]),
        block("enough", *few),
        block("scored", run("org/m1", score=0.5)),
        block("two", *few, version="1"),
        block("two", *few, version="2"),
    )
    options = PlanOptions(budget=3)
    refused = {
        "fwe": "no benchmark 'fwe'; did you mean few",
        "few": "few: too few other models .* Only 7 models",
        "scored": "'scored' has no outcomes by item",
        "two": "'two' is several benchmarks .*: two@1, two@2; name one",
    }
    for name, problem in refused.items():
        with pytest.raises(UsageError, match=problem):
            plan_evaluation(connection, "org/new", [name], options)
    assert len(plan_evaluation(connection, "org/new", ["two@2"], options).items) == 3
    assert len(plan_evaluation(connection, "org/new", ["enough"], options).items) == 3
    # The model itself is not one of the eight.
    with pytest.raises(UsageError, match="Only 7 models"):
        plan_evaluation(connection, "org/m1", ["enough"], options)


def test_of_too_many_models_some_are_read(
    bank: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_bank, "MOST_CELLS", 50 * ITEMS)
    read = read_bank(bank, "org/m0", ["math"])
    assert 45 <= len(read.known.rows) <= 50
    assert not np.isnan(read.own[:15]).any()


FAULTS = {
    "item,outcome\n99,1\n": r"line 2, field 'item': there is no item '99' in math@2",
    "item,outcome\n1,1\n1,0\n": r"line 3, field 'outcome': item '1' has outcome 0 here and 1 in "
    "line 2",
    "item,outcome\n1,1.5\n": r"line 2, field 'outcome': '1.5' is not an outcome",
    "item,outcome\n1,nan\n": "'nan' is not an outcome",
    "item,outcome\n1,yes\n": "'yes' is not an outcome",
    "item,score\n1,1\n": "line 1: there is no column 'outcome'",
    "item,outcome\n1,1,3\n": "line 2: it has 3 cells where there are 2 columns",
    "item,outcome,outcome\n1,1,0\n": "line 1: there are several columns 'outcome'",
    "item,outcome\n": "has no answers",
    "item,outcome\n1,\n": "has no answers",
}


@pytest.mark.parametrize("content", FAULTS)
def test_faulty_answers_are_refused(bank: Connection, tmp_path: Path, content: str) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(content)
    with pytest.raises((UnreadableFileError, UsageError), match=FAULTS[content]):
        estimate_scores(bank, "org/new", ["math"], answers=path)


def test_answers_in_every_form_are_read_alike(bank: Connection, tmp_path: Path) -> None:
    forms = {
        "a.csv": "item,outcome\n3,1\n5,0\n8,0.25\n8,0.25\n",
        "b.tsv": "outcome\tbenchmark\titem\n1\tmath\t3\n0\tmath\t5\n0.25\tmath\t8\n",
        "c.csv": "item,outcome\nmath:3,true\nmath@2:5,False\nmath:8,0.25\n",
        "d.csv": "item,benchmark,version,ordinal,outcome\n3,math,2,3,1\n5,math,2,5,0\n"
        "8,math,2,8,.25\n9,math,2,9,\n",
    }
    lines = [
        {"item": "3", "outcome": True},
        {"item": 5, "outcome": 0},
        {"item": "8", "outcome": 0.25},
    ]
    forms["e.jsonl"] = "\n".join(orjson.dumps(each).decode() for each in lines)
    found: list[EstimateReport] = []
    for name, content in forms.items():
        path = tmp_path / name
        path.write_text(content)
        found.append(estimate_scores(bank, "org/new", ["math"], answers=path))
    assert len({report.rows[0].score for report in found}) == 1
    assert found[0].rows[0].answers == 3
    assert any("1 rows have no outcome yet" in note for note in found[3].notes)
    with pytest.raises(UnreadableFileError, match="answers.csv"):
        estimate_scores(bank, "org/new", ["math"], answers=tmp_path / "answers.csv")
    (tmp_path / "f.jsonl").write_text('{"item": "3"}')
    with pytest.raises(UnreadableFileError, match="line 1, field 'outcome'"):
        estimate_scores(bank, "org/new", ["math"], answers=tmp_path / "f.jsonl")


def test_graded_outcomes_are_learned_from(connection: Connection, tmp_path: Path) -> None:
    grades = planted(120, 20, graded=True)
    rows = zip(names(120), grades, strict=True)
    write(connection, block("graded", *(run(name, row.tolist()) for name, row in rows)))
    made = plan_evaluation(connection, "org/m3", ["graded"], PlanOptions(budget=6))
    path = answered(
        tmp_path / "a.csv", [(each.item, grades[3, each.ordinal]) for each in made.items]
    )
    [found] = estimate_scores(connection, "org/m3", ["graded"], answers=path).rows
    assert found.measured == pytest.approx(grades[3].mean(), abs=1e-6)
    assert abs(found.score - grades[3].mean()) < 0.12


def test_partial_scores_are_of_models_with_a_part_of_the_items(bank: Connection) -> None:
    key = bank.scalar(text("SELECT benchmark_id FROM store.benchmarks"))
    assert isinstance(key, int)
    other = array([*OUTCOMES[7, :30].tolist(), *[None] * 10])
    write(bank, block("math", run("org/seventh", other.tolist()), version="2", asked=TEXTS))
    found = partial_scores(bank, key)
    assert [each.model for each in found] == ["org/m0", "org/seventh"]
    assert [each.answers for each in found] == [15, 30]
    assert {each.items for each in found} == {40}
    for each, truth in zip(found, (OUTCOMES[0].mean(), OUTCOMES[7].mean()), strict=True):
        assert each.lower <= each.score <= each.upper
        assert 0 < each.deviation < 0.2
        assert abs(each.score - truth) < 0.15
    assert found[0].deviation > found[1].deviation
    assert bank.scalar(
        text("SELECT name FROM store.models WHERE model_id = :key"), {"key": found[1].model_id}
    ) == "org/seventh"  # fmt: skip
    [same] = estimate_scores(bank, "org/m0", ["math"]).rows
    assert found[0].score == pytest.approx(same.score, abs=0.03)


def test_partial_scores_need_models_with_all_items(connection: Connection) -> None:
    values = OUTCOMES[:8].copy()
    values[0, 0] = np.nan
    rows = zip(names(8), values, strict=True)
    write(connection, block("math", *(run(name, row.tolist()) for name, row in rows)))
    key = connection.scalar(text("SELECT benchmark_id FROM store.benchmarks"))
    assert isinstance(key, int)
    assert partial_scores(connection, key) == []


def test_a_plan_as_samples_of_lm_eval(bank: Connection, tmp_path: Path) -> None:
    made = plan(bank, budget=3)
    file = lm_eval_samples(made, task="math_hard")
    assert orjson.loads(file.content) == {"math_hard": [each.ordinal for each in made.items]}
    assert file.tasks == ["math_hard"]
    assert "compare one" in file.notes[0]
    assert lm_eval_samples(made).tasks == ["math"]
    # Documents named by hashes are in the order of whichever file was imported first.
    lines = [{"doc_id": 100 + place, "doc_hash": str(place), "acc": 1} for place in range(40)]
    samples = tmp_path / "samples_math.jsonl"
    samples.write_text("\n".join(orjson.dumps(each).decode() for each in lines))
    known = lm_eval_samples(made, documents=[samples])
    assert orjson.loads(known.content) == {"math": [100 + each.ordinal for each in made.items]}
    assert not known.notes
    samples.write_text("\n".join(orjson.dumps(each).decode() for each in lines[:1]))
    with pytest.raises(UsageError, match=r"places .* not known of .* of math\. .* --doc-ids"):
        lm_eval_samples(made, documents=[samples])


def test_hashes_need_a_file_of_samples(connection: Connection) -> None:
    rows = [run(name, row) for name, row in zip(names(20), OUTCOMES[:20, :5].tolist(), strict=True)]
    write(connection, block("hashed", *rows))
    made = plan_evaluation(connection, "org/new", ["hashed"], PlanOptions(budget=2))
    with pytest.raises(UsageError, match="not known of i. and|not known of i., i."):
        lm_eval_samples(made)
