from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from databases import Databases
from evaluated import block, generated, run, setup, write
from factories import alias, family, model, rows
from learned import drawn, kept, names
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from registry.db import connection as database
from registry.embeddings import partitions
from registry.evaluations.records import Item

NEAREST = "SELECT name, distance FROM registry.nearest_models(:model, :k)"


def distances(vectors: NDArray[np.float32], place: int) -> dict[str, float]:
    """Euclidean distances of a vector to all others, the obvious way."""
    of = vectors.astype(np.float64)
    distance = np.linalg.norm(of - of[place], axis=1)
    return {f"org/m{at}": float(distance[at]) for at in range(len(of)) if at != place}


def test_the_nearest_come_first(connection: Connection) -> None:
    vectors = drawn(50, 8)
    kept(connection, vectors)
    found = rows(connection, NEAREST, model="org/m7", k=12)
    expected = sorted(distances(vectors, 7).items(), key=lambda pair: pair[1])[:12]
    assert [name for name, _ in found] == [name for name, _ in expected]
    assert [much for _, much in found] == pytest.approx([much for _, much in expected], abs=1e-6)


def test_any_name_and_any_version_will_do(connection: Connection) -> None:
    first = kept(connection, drawn(5), kinds=["cold"] * 5, uncertainties=np.ones(5, np.float32))
    second = kept(connection, drawn(4, 7))
    alias(connection, "org/m0", "zero")
    query = "SELECT count(*), min(kind), min(uncertainty), min(of_version)"
    assert rows(connection, f"{query} FROM registry.nearest_models('ZERO')") == [
        (3, "trained", None, second)
    ]
    assert rows(connection, f"{query} FROM registry.nearest_models('ZERO', 10, {first})") == [
        (4, "cold", 1, first)
    ]


@pytest.mark.parametrize(("k", "number"), [(2, 2), (0, 0), (-1, 0), (None, 10), (1000, 19)])
def test_not_more_come_than_wanted(connection: Connection, k: int | None, number: int) -> None:
    kept(connection, drawn(20))
    assert len(rows(connection, NEAREST, model="org/m0", k=k)) == number


def test_zero_is_a_place_like_others(connection: Connection) -> None:
    """A vector of zeros has no direction, but a place."""
    vectors = drawn(4)
    vectors[2] = 0
    kept(connection, vectors)
    for place in range(4):
        near = distances(vectors, place)
        assert [name for name, _ in rows(connection, NEAREST, model=f"org/m{place}", k=9)] == (
            sorted(near, key=lambda name: near[name])
        )


def test_of_models_in_one_direction_the_level_decides(connection: Connection) -> None:
    kept(connection, np.array([[1, 1], [9, 9], [1.5, 1], [2, 2]], np.float32))
    assert [name for name, _ in rows(connection, NEAREST, model="org/m0", k=3)] == [
        "org/m2", "org/m3", "org/m1"]  # fmt: skip


def test_equally_near_models_come_by_name(connection: Connection) -> None:
    """Those with one vector have one distance; which of them are left out does not change."""
    vectors = np.repeat(drawn(3, 8), 10, axis=0)
    order = np.random.default_rng(4).permutation(30)
    kept(connection, vectors, [f"org/m{at:02}" for at in order])
    alike = sorted(f"org/m{order[at]:02}" for at in range(10))
    found = rows(connection, NEAREST, model=alike[3], k=9)
    assert found == [(name, 0) for name in alike if name != alike[3]]
    some = rows(connection, NEAREST, model=alike[3], k=4)
    assert [much for _, much in some] == [0] * 4
    assert [name for name, _ in some] == sorted(name for name, _ in some)
    assert some == rows(connection, NEAREST, model=alike[3], k=4)


@pytest.mark.parametrize(
    ("model", "expected"),
    [("org/m0", ["both", "both", "one", "one"]), ("org/m1", ["both", "both", "one", "one"]),
     ("org/m4", ["one", "one", "one", "none"])],
)  # fmt: skip
def test_the_basis_is_whose_outcomes_a_distance_rests_on(
    connection: Connection, model: str, expected: list[str]
) -> None:
    kept(connection, drawn(5), kinds=["trained", "folded", "trained", "cold", "cold"])
    query = "SELECT basis FROM registry.nearest_models(:model) ORDER BY name"
    assert rows(connection, query, model=model) == [(each,) for each in expected]


def shared(connection: Connection, a: str, b: str) -> int:
    """Count the items that both have an outcome on in their preferred runs, row by row."""
    (found,) = rows(
        connection,
        """
        WITH seen AS (
            SELECT o.model, o.benchmark, o.version, o.item
              FROM registry.outcomes o
              JOIN store.models m ON m.name = o.model
              JOIN store.benchmarks b ON (b.name, b.version) = (o.benchmark, o.version)
             WHERE o.run IN (SELECT p.run_id FROM store.preferred_runs(b.benchmark_id) p
                              WHERE p.model_id = m.model_id))
        SELECT count(*) FROM seen x JOIN seen y USING (benchmark, version, item)
         WHERE x.model = :a AND y.model = :b""",
        a=a,
        b=b,
    )
    return int(found[0])


def test_shared_items_are_counted_over_benchmarks(connection: Connection) -> None:
    kept(connection, drawn(9), kinds=["trained"] * 5 + ["cold"] * 4)
    asked = [Item(f"i{place}") for place in range(70)]
    longer = [*asked, *(Item(f"late{place}") for place in range(5))]
    few = dict(list(generated(1, 4, 70).items())[:3])
    write(
        connection,
        block("a", *(run(*each) for each in generated(2, 9, 70).items()), asked=asked),
        block("b", *(run(*each) for each in few.items()), asked=asked),
        # The same benchmark in another version is another one, and one grows at its end.
        block("b", run("org/m0", [1.0] * 70), asked=asked, version="2"),
        block("b", run("org/m5", [0.0] * 75), asked=longer),
        # Of a run with a score alone no item is known, and of two runs one is preferred.
        block("c", run("org/m0", score=0.5), run("org/m1", [1.0, 0.0]), asked=asked[:2]),
        block("a", run("org/m1", [1.0] * 9, setup=setup(seed="2")), asked=asked[:9]),
        block("d", run("org/nobody", [1.0]), asked=asked[:1]),
    )
    counted = set()
    for name in names(9):
        found = rows(
            connection, "SELECT name, shared_items FROM registry.nearest_models(:m)", m=name
        )
        assert len(found) == 8
        for other, items in found:
            assert items == shared(connection, name, other), (name, other)
            agreed = "SELECT coalesce(sum(items), 0) FROM registry.agreement(:a, :b)"
            assert rows(connection, agreed, a=name, b=other) == [(items,)]
            counted.add(items)
    assert len(counted) > 5


def test_without_outcomes_no_items_are_shared(connection: Connection) -> None:
    kept(connection, drawn(3))
    query = "SELECT shared_items FROM registry.nearest_models('org/m0')"
    assert rows(connection, query) == [(0,), (0,)]


def refused(connection: Connection, message: str, name: str | None, **told: Any) -> None:
    arguments = "".join(f", {each} => :{each}" for each in told)
    with pytest.raises(DBAPIError, match=message), connection.begin_nested():
        rows(connection, f"SELECT registry.nearest_models(:name{arguments})", name=name, **told)


def test_what_cannot_be_answered_is_said(connection: Connection) -> None:
    model(connection, "org/bare")
    refused(connection, "no embeddings yet", "org/bare")
    kept(connection, drawn(3), current=False)
    refused(connection, "no embeddings yet: no version is current", "org/m0")
    version = kept(connection, drawn(3, seed=1))
    refused(
        connection, f"'org/bare' has no vector in version {version}.*similar_models", "org/bare"
    )
    refused(connection, "No model named 'org/nobody'", "org/nobody")
    refused(connection, "There is no version 99 of embeddings", "org/m0", version=99)
    refused(connection, "No family is known for a model named 'x'", "org/m0", family="x")
    assert rows(connection, NEAREST, model=None, k=3) == []


@pytest.mark.parametrize("kinds", [["trained"], ["folded", "trained"], ["cold"], [], None])
def test_kinds_of_vectors_are_left_out(connection: Connection, kinds: list[str] | None) -> None:
    told = [("trained", "folded", "cold")[at % 3] for at in range(30)]
    vectors = drawn(30, 8)
    kept(connection, vectors, kinds=told)
    found = rows(
        connection,
        "SELECT name, kind FROM registry.nearest_models('org/m2', 100, kinds => :kinds)",
        kinds=kinds,
    )
    near = distances(vectors, 2)
    passing = [(f"org/m{at}", kind) for at, kind in enumerate(told) if at != 2]
    passing = [each for each in passing if kinds is None or each[1] in kinds]
    assert found == sorted(passing, key=lambda each: near[each[0]])


@pytest.fixture
def sorted_out(connection: Connection) -> Connection:
    for number, name in enumerate(names(40)):
        model(
            connection,
            name,
            license="mit" if number % 2 else "apache-2.0",
            pipeline_tag="text-generation" if number < 20 else "fill-mask",
            parameters=None if number == 39 else number * 10**9,
        )
    for number in range(40):
        family(connection, f"org/m{number}", "org/m0" if number < 10 else f"org/m{number}")
    kept(connection, drawn(40, 8))
    return connection


@pytest.mark.parametrize(
    ("filters", "passing"),
    [
        ({"license": "MIT"}, {at for at in range(40) if at % 2}),
        ({"task": "fill-mask"}, set(range(20, 40))),
        ({"min_parameters": 30 * 10**9}, set(range(30, 39))),
        ({"max_parameters": 5 * 10**9}, set(range(6))),
        ({"family": "org/m4"}, set(range(10))),
        ({"license": "mit", "task": "text-generation", "family": "org/m0"}, {1, 3, 5, 7, 9}),
        ({"license": "gpl"}, set()),
    ],
    ids=str,
)
def test_filters_leave_out_and_nothing_else(
    sorted_out: Connection, filters: dict[str, Any], passing: set[int]
) -> None:
    check_filters(sorted_out, filters, passing)


def check_filters(connection: Connection, filters: dict[str, Any], passing: set[int]) -> None:
    arguments = "".join(f", {name} => :{name}" for name in filters)
    query = f"SELECT name, distance FROM registry.nearest_models('org/m3', 100{arguments})"
    found = rows(connection, query, **filters)
    near = distances(drawn(40, 8), 3)
    expected = sorted((near[f"org/m{at}"], f"org/m{at}") for at in passing - {3})
    assert [name for name, _ in found] == [name for _, name in expected]


COUNT = 8_000

TRAINED = set(range(5, COUNT, 64))
"""The places of few trained models among many cold ones."""

KINDS = ["trained" if at in TRAINED else "cold" for at in range(COUNT)]


@pytest.fixture(scope="module")
def with_index(databases: Databases) -> Iterator[Engine]:
    """A version with an HNSW index; one model in 1,000 is under a rare licence, one is alone."""
    with (
        databases.made(template=databases.template()) as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(partitions, "INDEXED_FROM", COUNT)
        engine = database.create_engine(url)
        with engine.begin() as connection:
            connection.execute(
                text("""
                INSERT INTO store.models (name, state, license, parameters, first_seen, changed_at)
                SELECT 'org/m' || i, 'available',
                       CASE WHEN i = 77 THEN 'lone' WHEN i % 1000 = 5 THEN 'rare'
                            WHEN i % 2 = 0 THEN 'mit' END, i, now(), now()
                  FROM generate_series(0, :last) AS i"""),
                {"last": COUNT - 1},
            )
            kept(connection, clustered(), names(COUNT), kinds=KINDS)
        yield engine


@pytest.fixture
def indexed(with_index: Engine) -> Iterator[Connection]:
    with with_index.connect() as connection:
        yield connection


def clustered() -> NDArray[np.float32]:
    places = np.random.default_rng(1).integers(0, 50, COUNT)
    return np.asarray(drawn(50, 16, seed=2)[places] + 0.5 * drawn(COUNT, 16, seed=3), np.float32)


def test_an_index_finds_nearly_all(indexed: Connection) -> None:
    vectors = clustered()
    hits = 0
    before = scans(indexed)
    for place in range(0, COUNT, 400):
        found = rows(indexed, NEAREST, model=f"org/m{place}", k=10)
        near = distances(vectors, place)
        assert [much for _, much in found] == pytest.approx(
            [near[name] for name, _ in found], abs=1e-5
        )
        assert [much for _, much in found] == sorted(much for _, much in found)
        expected = sorted(near, key=lambda name: near[name])[:10]
        hits += len(set(expected) & {name for name, _ in found})
    assert hits >= 0.97 * 10 * 20
    assert scans(indexed) == before + 20, "the index was used by each"


def scans(connection: Connection) -> int:
    """Return how often the index was used in this transaction."""
    found = connection.scalar(
        text("SELECT pg_stat_get_xact_numscans(to_regclass(:name))"),
        {"name": index_of(connection)},
    )
    return int(found or 0)


def index_of(connection: Connection) -> str:
    (name,) = connection.scalars(
        text("SELECT 'store.' || indexname FROM pg_indexes WHERE indexname LIKE '%hnsw_idx'"
             " AND tablename LIKE 'embeddings%'")
    ).all()  # fmt: skip
    return str(name)


@pytest.mark.parametrize("k", [1, 10, 30, 250, 300, 301, 2_000])
@pytest.mark.parametrize(
    ("filters", "passing"),
    [({}, COUNT), ({"license": "rare"}, 8), ({"license": "lone"}, 1), ({"license": "mit"}, 4_000),
     ({"license": "none"}, 0), ({"max_parameters": 15}, 16),
     ({"kinds": ["trained"]}, len(TRAINED)), ({"kinds": ["cold"]}, COUNT - len(TRAINED)),
     ({"kinds": ["trained", "cold"]}, COUNT), ({"kinds": ["folded"]}, 0),
     ({"kinds": ["trained"], "license": "rare"}, len(TRAINED & set(range(5, COUNT, 1000))))],
    ids=str,
)  # fmt: skip
def test_with_an_index_filters_never_cost_rows(
    indexed: Connection, k: int, filters: dict[str, Any], passing: int
) -> None:
    """However rare what passes is: as many as there are, and where they are few, exactly they."""
    arguments = "".join(f", {name} => :{name}" for name in filters)
    query = f"SELECT name, distance FROM registry.nearest_models('org/m4999', :k{arguments})"
    found = rows(indexed, query, k=k, **filters)
    assert len(found) == min(k, passing - (passing > COUNT / 2))
    assert "org/m4999" not in {name for name, _ in found}
    if filters == {"license": "rare"}:
        near = distances(clustered(), 4999)
        rare = sorted((near[f"org/m{at}"], f"org/m{at}") for at in range(5, COUNT, 1000))[:k]
        assert [name for name, _ in found] == [name for _, name in rare]


def test_few_trained_among_many_cold_are_found_with_an_index(indexed: Connection) -> None:
    vectors = clustered()
    query = "SELECT name FROM registry.nearest_models(:model, 10, kinds => ARRAY['trained'])"
    hits = 0
    for place in range(0, COUNT, 400):
        near = distances(vectors, place)
        passing = [f"org/m{at}" for at in TRAINED - {place}]
        expected = sorted(passing, key=lambda name: near[name])[:10]
        found = rows(indexed, query, model=f"org/m{place}")
        hits += len(set(expected) & {name for (name,) in found})
    assert hits >= 0.99 * 10 * 20


def test_settings_of_the_caller_stay(indexed: Connection) -> None:
    indexed.exec_driver_sql("SET LOCAL hnsw.ef_search = 77")
    indexed.exec_driver_sql("SET LOCAL enable_seqscan = on")
    rows(indexed, NEAREST, model="org/m0", k=200)
    for name, value in {"hnsw.ef_search": "77", "enable_seqscan": "on",
                        "hnsw.iterative_scan": "off"}.items():  # fmt: skip
        assert indexed.scalar(text(f"SHOW {name}")) == value


def test_of_similarity_learned_falls_with_the_distance(connection: Connection) -> None:
    query = "SELECT learned FROM registry.similarity(:a, :b)"
    for name in names(5):
        model(connection, name)
    model(connection, "org/bare")
    assert rows(connection, query, a="org/m0", b="org/m1") == [(None,)]
    vectors = drawn(5, 8)
    vectors[2], vectors[3], vectors[4] = 0, vectors[0], 1e6
    kept(connection, vectors)
    for name, near in distances(vectors, 0).items():
        found = rows(connection, query, a="org/m0", b=name)
        assert found == [(pytest.approx(np.exp(-near), abs=1e-6),)]
        assert rows(connection, query, a=name, b="org/m0") == found
    assert rows(connection, query, a="org/m0", b="org/m0") == [(1,)]
    assert rows(connection, query, a="org/m0", b="org/m3") == [(1,)]
    assert rows(connection, query, a="org/m0", b="org/bare") == [(None,)]
    assert rows(connection, query, a="org/bare", b="org/bare") == [(None,)]


@pytest.mark.parametrize(
    ("filters", "passing", "k"),
    [
        ({"kinds": ["trained"]}, TRAINED, 10),
        ({"max_parameters": 299}, set(range(300)), 50),
        ({"license": "rare"}, set(range(5, COUNT, 1000)), 5),
    ],
    ids=str,
)
def test_an_index_that_gives_up_early_costs_no_rows(
    indexed: Connection, filters: dict[str, Any], passing: set[int], k: int
) -> None:
    """It brings some of what passes, but less than is asked for."""
    indexed.exec_driver_sql("SET LOCAL hnsw.max_scan_tuples = 1")
    arguments = "".join(f", {name} => :{name}" for name in filters)
    query = f"SELECT name FROM registry.nearest_models('org/m4999', :k{arguments})"
    near = distances(clustered(), 4999)
    expected = sorted((near[f"org/m{at}"], f"org/m{at}") for at in passing)[:k]
    assert rows(indexed, query, k=k, **filters) == [(name,) for _, name in expected]
