"""Groups of benchmarks that mostly the same models took."""

import numpy as np
from numpy.typing import NDArray

from registry.learning.exams import exams, takers


def taken(*of: range, models: int = 100) -> NDArray[np.bool_]:
    """Return who took each benchmark, by ranges of models."""
    return np.column_stack([np.isin(np.arange(models), list(each)) for each in of])


def test_benchmarks_of_the_same_models_are_one_exam() -> None:
    found = exams(taken(range(60), range(55, 100), range(2, 60), range(60)))
    assert found == [[0, 2, 3], [1]]


def test_a_few_models_of_a_large_benchmark_are_another_exam() -> None:
    assert exams(taken(range(100), range(10))) == [[0], [1]]
    assert exams(taken(range(40), range(20, 60))) == [[0, 1]], "half of each took both"
    assert exams(taken(range(40), range(21, 61))) == [[0], [1]]


def test_no_chain_joins_what_has_no_model_in_common() -> None:
    found = exams(taken(range(40), range(20, 60), range(40, 80)))
    assert found == [[0, 1], [2]]


def test_what_nobody_took_is_in_no_exam() -> None:
    assert exams(taken(range(0), range(3))) == [[1]]
    assert exams(np.zeros((5, 0), np.bool_)) == []


def test_who_took_an_exam_took_any_of_its_benchmarks() -> None:
    given = taken(range(3), range(2, 4), range(4, 5), models=5)
    found = takers(given, [[0, 1], [2]])
    assert found.tolist() == [[True, False]] * 4 + [[False, True]]
    assert takers(given, []).shape == (5, 0)
