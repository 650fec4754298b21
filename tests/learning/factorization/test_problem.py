"""Parts of a problem."""

import numpy as np
import pytest

from registry.learning.factorization.problem import ItemTexts, Problem

sparse = pytest.importorskip("scipy.sparse")


def test_a_part_has_what_is_known_of_its_models_and_items() -> None:
    outcomes = (np.arange(20).reshape(4, 5) / 20).astype(np.float32)
    vectors = np.eye(5, 3, dtype=np.float32)
    traits = np.arange(10, dtype=np.float32).reshape(5, 2)
    texts = ItemTexts(vectors, traits, sparse.csr_array(np.eye(5)))
    catalog = np.arange(12, dtype=np.float32).reshape(4, 3)
    problem = Problem(outcomes, texts, np.array([0, 0, 1, 1, 2]), catalog)
    rows, columns = np.array([1, 3]), np.array([0, 2, 4])
    part = problem.part(rows, columns)
    np.testing.assert_array_equal(part.outcomes, outcomes[[1, 3]][:, [0, 2, 4]])
    assert part.texts is not None
    np.testing.assert_array_equal(part.texts.vectors, vectors[columns])
    np.testing.assert_array_equal(part.texts.traits, traits[columns])
    np.testing.assert_array_equal(part.texts.words.toarray(), np.eye(5)[columns])
    assert part.groups is not None
    assert part.groups.tolist() == [0, 1, 2]
    assert part.catalog is not None
    np.testing.assert_array_equal(part.catalog, catalog[rows])
    bare = Problem(outcomes).part(rows, columns)
    assert (bare.texts, bare.groups, bare.catalog) == (None, None, None)


def test_a_part_of_all_keeps_the_order_that_was_asked_for() -> None:
    problem = Problem(np.array([[0, 1], [1, 1]], np.float32))
    assert problem.part(np.arange(2), np.arange(2)) is problem
    np.testing.assert_array_equal(
        problem.part(np.array([1, 0]), np.arange(2)).outcomes, [[1, 1], [0, 1]]
    )
    np.testing.assert_array_equal(
        problem.part(np.arange(2), np.array([1, 0])).outcomes, [[1, 0], [1, 1]]
    )
