import itertools
import math
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from evaluated import Grid, block, generated, run, write
from factories import rows
from sqlalchemy import Connection

from registry.evaluations.records import Item

COUNT = 70
DOMAINS = ["algebra", "biology", None]


def asked() -> list[Item]:
    return [Item(f"i{place}", domain=DOMAINS[place % 3]) for place in range(COUNT)]


@pytest.fixture(params=[False, True], ids=["binary", "graded"])
def made(request: pytest.FixtureRequest, connection: Connection) -> Grid:
    """Outcomes of models on one benchmark, as they are stored."""
    outcomes = generated(11, 9, COUNT, graded=request.param)
    write(connection, block("b", *(run(*each) for each in outcomes.items()), asked=asked()))
    return outcomes


def both(made: Grid, a: str, b: str) -> list[tuple[int, float, float]]:
    return [
        (place, one, other)
        for place, (one, other) in enumerate(zip(made[a], made[b], strict=True))
        if one is not None and other is not None
    ]


def naive(made: Grid, a: str, b: str) -> tuple[Any, ...] | None:
    pairs = [(one >= 0.5, other >= 0.5) for _, one, other in both(made, a, b)]
    n = len(pairs)
    if n == 0:
        return None
    one, other = (sum(each) / n for each in zip(*pairs, strict=True))
    agree = sum(x == y for x, y in pairs) / n
    chance = one * other + (1 - one) * (1 - other)
    kappa = None if math.isclose(chance, 1) else pytest.approx((agree - chance) / (1 - chance))
    counts = [pairs.count(each) for each in ((True, True), (True, False), (False, True))]
    return (
        n, pytest.approx(agree), kappa, pytest.approx(one), pytest.approx(other), *counts,
        pairs.count((False, False)),
    )  # fmt: skip


def test_agreements(connection: Connection, made: Grid) -> None:
    found = {
        other: told
        for other, *told in rows(
            connection,
            "SELECT other, items, agreement, kappa, accuracy, other_accuracy, both_right,"
            " only_model, only_other, both_wrong FROM registry.agreements('org/m1', 'b')",
        )
    }
    expected = {each: naive(made, "org/m1", each) for each in made if each != "org/m1"}
    assert {each: tuple(told) for each, told in found.items()} == {
        each: told for each, told in expected.items() if told is not None
    }
    agreed = [row[0] for row in rows(
        connection, "SELECT agreement FROM registry.agreements('org/m1', 'b')")]  # fmt: skip
    assert agreed == sorted(agreed, reverse=True)


def test_agreement_of_two(connection: Connection, made: Grid) -> None:
    for a, b in (("org/m0", "org/m1"), ("org/m4", "org/m3"), ("org/m5", "org/m5")):
        found = rows(
            connection,
            "SELECT items, agreement, kappa, accuracy_a, accuracy_b, both_right, only_a, only_b,"
            " both_wrong FROM registry.agreement(:a, :b)",
            a=a,
            b=b,
        )
        expected = naive(made, a, b)
        assert found == ([] if expected is None else [expected])


def test_separating_items(connection: Connection, made: Grid) -> None:
    values = np.array([[np.nan if e is None else e for e in each] for each in made.values()])
    means = np.nanmean(values, axis=0)
    a, b = "org/m1", "org/m4"
    differ = {place: (x, y) for place, x, y in both(made, a, b) if x != y}
    found = rows(
        connection,
        "SELECT item, domain, outcome_a, outcome_b, models, mean_outcome"
        "  FROM registry.separating_items(:a, :b, 'b', 1000)",
        a=a,
        b=b,
    )
    assert {row[0]: row[1:] for row in found} == {
        f"i{place}": (
            DOMAINS[place % 3],
            pytest.approx(x, rel=1e-5),
            pytest.approx(y, rel=1e-5),
            int((~np.isnan(values[:, place])).sum()),
            pytest.approx(means[place], rel=1e-5),
        )
        for place, (x, y) in differ.items()
    }
    order = [(-abs(row[2] - row[3]), row[5]) for row in found]
    assert all(
        one[0] < two[0] + 1e-6 and (one[0] < two[0] - 1e-6 or one[1] <= two[1] + 1e-6)
        for one, two in itertools.pairwise(order)
    )
    limited = rows(connection, "SELECT item FROM registry.separating_items(:a, :b, 'b', 3)",
                   a=a, b=b)  # fmt: skip
    assert limited == [row[:1] for row in found[:3]]


def test_limits_of_null_are_the_defaults_and_negative_ones_nothing(
    connection: Connection, made: Grid
) -> None:
    def count(call: str) -> int:
        return int(rows(connection, f"SELECT count(*) FROM registry.{call}")[0][0])

    assert made
    for call, default in (
        ("hardest_items('b', {})", count("hardest_items('b')")),
        ("separating_items('org/m1', 'org/m4', 'b', {})",
         count("separating_items('org/m1', 'org/m4', 'b')")),
    ):  # fmt: skip
        assert (count(call.format("NULL")), count(call.format(-2))) == (default, 0)
        assert default > 0
    assert count("hardest_items('b', 2, NULL)") == 2


def test_hardest_items(connection: Connection, made: Grid) -> None:
    values = np.array([[np.nan if e is None else e for e in each] for each in made.values()])
    seen = (~np.isnan(values)).sum(axis=0)
    found = rows(
        connection,
        "SELECT item, models, mean_outcome FROM registry.hardest_items('b', 1000, 4)",
    )
    assert {row[0]: row[1:] for row in found} == {
        f"i{place}": (int(seen[place]), pytest.approx(np.nanmean(values[:, place]), rel=1e-5))
        for place in range(COUNT)
        if seen[place] >= 4
    }
    means = [row[2] for row in found]
    assert means == sorted(means)
    assert rows(connection, "SELECT count(*) FROM registry.hardest_items('b')") == [(20,)]


def test_accuracy_by_domain(connection: Connection, made: Grid) -> None:
    values = np.array([[np.nan if e is None else e for e in each] for each in made.values()])
    means = np.nanmean(values, axis=0)
    for model in ("org/m0", "org/m1", "org/m2"):
        domains: dict[str | None, list[int]] = defaultdict(list)
        for place, outcome in enumerate(made[model]):
            if outcome is not None:
                domains[DOMAINS[place % 3]].append(place)
        expected = {}
        for domain, places in domains.items():
            own = np.array([made[model][place] for place in places], float)
            error = own.std(ddof=1) / math.sqrt(len(own)) if len(own) > 1 else None
            expected[domain] = (
                len(places),
                pytest.approx(own.mean(), rel=1e-5),
                None if error is None else pytest.approx(error, rel=1e-5, abs=1e-9),
                pytest.approx(means[places].mean(), rel=1e-5),
            )
        found = rows(
            connection,
            "SELECT domain, items, accuracy, standard_error, all_models"
            "  FROM registry.accuracy_by_domain(:model, 'b')",
            model=model,
        )
        assert {row[0]: row[1:] for row in found} == expected


def test_versions_and_names_of_a_benchmark(connection: Connection) -> None:
    for version in ("1", "2"):
        write(connection, block("b", run("m", [1, 0]), run("n", [1, 1]), version=version))
    versions = "SELECT version FROM registry.agreements('m', :benchmark) ORDER BY 1"
    assert rows(connection, versions, benchmark="b") == [("1",), ("2",)]
    assert rows(connection, versions, benchmark="b@2") == [("2",)]
    assert rows(connection, versions, benchmark="b@3") == []
    assert rows(connection, "SELECT version FROM registry.agreement('m', 'n', 'b@1')") == [("1",)]
    assert rows(connection, "SELECT other FROM registry.agreements('nobody', 'b')") == []
