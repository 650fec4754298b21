"""Which benchmarks are one exam."""

import numpy as np
import pytest

from registry.learning.factorization.problem import Problem
from registry.learning.space.exams import exams_of, unlinked

pytest.importorskip("scipy")


def problem(took: dict[str, range], items: int = 4) -> Problem:
    """Return outcomes of the models that took each benchmark; nobody else's."""
    models = max(each.stop for each in took.values())
    outcomes = np.full((models, items * len(took)), np.nan, np.float32)
    draw = np.random.default_rng(0)
    for place, rows in enumerate(took.values()):
        part = draw.integers(0, 2, (len(rows), items))
        part[0], part[1] = 0, 1
        outcomes[rows.start : rows.stop, place * items : (place + 1) * items] = part
    return Problem(outcomes, groups=np.repeat(np.arange(len(took)), items))


def test_benchmarks_that_mostly_the_same_models_took_are_one_exam() -> None:
    exams = exams_of(problem({"a": range(40), "b": range(10, 50), "c": range(45, 85)}))
    assert [each.columns.tolist() for each in exams] == [list(range(8)), list(range(8, 12))]
    assert [each.rows.tolist() for each in exams] == [list(range(50)), list(range(45, 85))]


@pytest.mark.parametrize(("shared", "exams"), [(11, 2), (12, 1)])
def test_three_in_ten_shared_models_make_one_exam(shared: int, exams: int) -> None:
    """Of 26 models each, 12 shared are 0.3 of all 40, 11 of 41 are 0.27."""
    found = exams_of(problem({"a": range(26), "b": range(26 - shared, 52 - shared)}))
    assert len(found) == exams


def test_an_exam_of_more_models_comes_first() -> None:
    exams = exams_of(problem({"a": range(6), "b": range(20, 50)}))
    assert [len(each.rows) for each in exams] == [30, 6]
    assert exams[0].columns.tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize("models", [1, 4])
def test_too_few_models_join_the_largest_exam(models: int) -> None:
    exams = exams_of(problem({"a": range(30), "b": range(40, 40 + max(models, 2))}))
    assert len(exams) == 1
    assert exams[0].columns.tolist() == list(range(8))
    assert len(exams[0].rows) == 30 + max(models, 2)


def test_a_benchmark_whose_outcomes_are_all_the_same_joins_the_largest_exam() -> None:
    learned = problem({"a": range(30), "b": range(40, 60)})
    learned.outcomes[40:60, 4:] = 1
    assert len(exams_of(learned)) == 1


def test_a_benchmark_of_one_item_joins_the_largest_exam() -> None:
    learned = problem({"a": range(30), "b": range(40, 60)})
    one = Problem(learned.outcomes[:, :5], groups=np.array([0, 0, 0, 0, 1]))
    assert [each.columns.tolist() for each in exams_of(one)] == [[0, 1, 2, 3, 4]]


def test_a_benchmark_without_outcomes_joins_the_largest_exam() -> None:
    learned = problem({"a": range(6), "b": range(20, 50), "c": range(60, 62)})
    learned.outcomes[60:, 8:] = np.nan
    assert exams_of(learned)[0].columns.tolist() == list(range(4, 12))


def test_every_item_is_in_one_exam_and_no_small_problem_is_refused() -> None:
    tiny = problem({"a": range(2), "b": range(2, 4)})
    exams = exams_of(tiny)
    assert sorted(np.concatenate([each.columns for each in exams]).tolist()) == list(range(8))


def test_without_benchmarks_all_is_one_exam() -> None:
    outcomes = problem({"a": range(6), "b": range(20, 50)}).outcomes
    (exam,) = exams_of(Problem(outcomes))
    assert exam.columns.tolist() == list(range(8))
    assert len(exam.rows) == 36


def test_a_part_of_an_exam_that_shares_no_model_is_found() -> None:
    made = problem({"a": range(30), "b": range(20, 33), "c": range(40, 43), "d": range(42, 44)})
    (exam,) = exams_of(made)
    assert exam.columns.tolist() == list(range(16))
    (part,) = unlinked(made, exam)
    assert (part.groups.tolist(), part.rows.tolist()) == ([2, 3], list(range(40, 44)))
    assert unlinked(Problem(made.outcomes), exam) == [], "of one benchmark"
