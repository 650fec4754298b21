import pytest
from factories import rows
from sqlalchemy import Connection

from registry.embeddings.comparing import comparison_results
from registry.embeddings.comparing.comparison_results import Figure
from registry.errors import RegistryError

FIGURES = [
    Figure(split="B", method="mf", metric="rmse", mean=0.25, lower=0.2, upper=0.3, seeds=5),
    Figure(split="A", method="means", metric="rmse", mean=0.5),
]


def test_comparisons_come_back_the_newest_first(connection: Connection) -> None:
    first = comparison_results.save(
        connection, FIGURES, data_fingerprint="ab", settings={"seeds": 5}, seconds=2
    )
    second = comparison_results.save(
        connection, FIGURES[:1], data_fingerprint="cd", settings={}, seconds=1
    )
    newest, oldest = comparison_results.list_comparisons(connection)
    assert (newest.comparison, oldest.comparison) == (second, first)
    assert list(oldest.figures) == [FIGURES[1], FIGURES[0]]
    assert (oldest.settings, oldest.seconds, oldest.data_fingerprint) == ({"seeds": 5}, 2, "ab")
    query = "SELECT comparison, split, method, mean, lower, seeds FROM registry.training_results"
    assert rows(connection, query) == [
        (second, "B", "mf", 0.25, 0.2, 5),
        (first, "A", "means", 0.5, None, 1),
        (first, "B", "mf", 0.25, 0.2, 5),
    ]


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ([], "has no figures"),
        ([*FIGURES, FIGURES[0]], "two figures of B / mf / rmse"),
        ([Figure(split="A", method="m", metric="r", mean=float("nan"))], "A / m / r is nan"),
    ],
)
def test_what_is_wrong_is_said(connection: Connection, figures: list[Figure], message: str) -> None:
    with pytest.raises(RegistryError, match=message):
        comparison_results.save(connection, figures, data_fingerprint="", settings={}, seconds=0)
    assert comparison_results.list_comparisons(connection) == []
