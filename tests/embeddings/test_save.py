"""Versions of embeddings: kept whole or not at all, promoted, rolled back, dropped, read."""

import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import orjson
import psycopg
import pytest
from evaluated import grid, write
from factories import alias, model, rows
from learned import drawn, kept, names, trained
from sqlalchemy import Connection, Engine, text

import registry
from registry.catalog.merge import merge_stub
from registry.db import binary_copy, migrate
from registry.embeddings import read as vectors
from registry.embeddings import save, versions
from registry.embeddings.version_uncertainty import VersionUncertainty, read_uncertainty
from registry.embeddings.versions import Verdict
from registry.errors import ModelNotFoundError, RegistryError, UsageError
from registry.evaluations.outcomes import Column
from registry.learning.axes import Axes

PARTITIONS = """
SELECT count(*) FROM pg_class
 WHERE relnamespace = 'store'::regnamespace AND relispartition AND relkind = 'r'"""


def test_a_version_is_kept_with_all_that_tells_how(connection: Connection) -> None:
    items = [Column("arc", "", "i1"), Column("arc", "", "i0")]
    write(connection, grid("arc", {"org/m0": [1, 0], "org/m1": [0, 1]}))
    number = kept(
        connection,
        drawn(2),
        current=False,
        serving=drawn(2, 4),
        items=items,
        item_vectors=drawn(2, 4, seed=5),
        uncertainties=np.array([0.5, 0.25], np.float32),
        kinds=["cold", "trained"],
        settings={"rate": np.float32(0.5)},
        trials=[{"rate": 0.25, "log_loss": float("nan")}],
    )
    found = versions.read_version(connection, number)
    assert (found.method, found.state, found.current) == ("mf", "candidate", False)
    assert (found.models, found.items, found.outcomes) == (2, 2, 100)
    assert (found.dimension, found.serving_dimension, found.encoder) == (4, 4, "test-encoder")
    assert (found.settings, found.trials) == ({"rate": 0.5}, [{"rate": 0.25, "log_loss": None}])
    assert (found.data_fingerprint, found.code_version) == ("abc", "0.1")
    assert (found.device, found.seed, found.seconds) == ("cpu", 7, 1.5)
    assert (found.aligned_to, found.alignment_residual, found.churn) == (None, None, None)
    read = vectors.read_embeddings(connection, number)
    assert read.models == ["org/m0", "org/m1"]
    assert (read.vectors == drawn(2)).all()
    assert read.kind.tolist() == ["cold", "trained"]
    assert read.uncertainty.tolist() == [0.5, 0.25]
    assert rows(
        connection,
        """SELECT item, vector::text FROM store.item_embeddings JOIN store.items
           USING (benchmark_id, ordinal) ORDER BY item DESC""",
    ) == [
        ("i1", vector_text(drawn(2, 4, seed=5)[0])),
        ("i0", vector_text(drawn(2, 4, seed=5)[1])),
    ]  # fmt: skip
    serving_models, serving = vectors.read_serving(connection, number)
    assert serving_models == read.models
    assert (serving == drawn(2, 4)).all()


def vector_text(vector: Any) -> str:
    return "[" + ",".join(np.format_float_positional(each, trim="-") for each in vector) + "]"


def test_a_large_version_comes_back_as_it_was(connection: Connection) -> None:
    """More rows than are encoded at once, whose models' keys are in another order."""
    count = 2 * binary_copy.ROWS_AT_ONCE + 1
    connection.execute(
        text("""
        INSERT INTO store.models (name, state, first_seen, changed_at)
        SELECT 'org/m' || i, 'available', now(), now()
          FROM generate_series(0, :last) AS i ORDER BY md5(i::text)"""),
        {"last": count - 1},
    )
    models = names(count)
    number = save.save(connection, trained(models, drawn(count, 3)))
    read = vectors.read_embeddings(connection, number)
    assert list(read.models) == sorted(models)
    place = {name: at for at, name in enumerate(models)}
    assert (read.vectors == drawn(count, 3)[[place[name] for name in read.models]]).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"models": []}, "has no models"),
        ({"vectors": drawn(3)}, r"vectors are of shape \(3, 4\); for 2 models it must be \(2, d\)"),
        ({"vectors": drawn(2)[0]}, "vectors are of shape"),
        ({"vectors": drawn(2, 0)}, "vectors are of shape"),
        ({"vectors": drawn(2).astype(float)}, "vectors are float64; they must be float32"),
        ({"vectors": np.full((2, 4), np.nan, np.float32)}, "2 are not finite .* at place 0"),
        ({"vectors": np.array([[1, 2], [np.inf, 1]], np.float32)}, "1 are not finite .*place 1"),
        ({"vectors": drawn(2, 16_001)}, "16,001 dimensions; 16,000 can be stored"),
        ({"serving": drawn(1)}, "serving vectors are of shape"),
        ({"serving": drawn(2), "encoder": None}, "no encoder of prompts"),
        ({"uncertainties": drawn(2)}, "uncertainties are of shape"),
        ({"uncertainties": np.array([1, -1], np.float32)}, "negative"),
        ({"item_vectors": drawn(2)}, "item vectors are of shape .* for 0 items"),
        (
            {"item_vectors": drawn(1), "items": [Column("arc", "1", "i0")]},
            "no item 'i0' of benchmark 'arc', version '1'",
        ),
        ({"kinds": ["trained"]}, "Each of the 2 models needs one of the kinds"),
        ({"kinds": ["trained", "guessed"]}, "guessed"),
        ({"models": ["org/m0", "org/nobody"]}, "1 of the models are not .* 'org/nobody'"),
        ({"models": ["org/m0", "ORG/M0"]}, "'org/m0' and 'ORG/M0' are the same model"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    connection: Connection, wrong: dict[str, Any], message: str
) -> None:
    for name in names(2):
        model(connection, name)
    told: dict[str, Any] = {"models": names(2), "vectors": drawn(2), "encoder": "e", **wrong}
    with pytest.raises(RegistryError, match=message):
        save.save(connection, trained(told.pop("models"), told.pop("vectors"), **told))
    assert versions.list_versions(connection) == []
    assert rows(connection, PARTITIONS) == [(0,)]


def test_any_name_of_a_model_will_do(connection: Connection) -> None:
    model(connection, "org/m0")
    alias(connection, "org/m0", "m-zero")
    save.save(connection, trained(["M-ZERO"], drawn(1)))
    assert vectors.read_embeddings(connection, versions.list_versions(connection)[0].version).models


def test_vectors_are_turned_onto_the_current_version(connection: Connection) -> None:
    first, second = drawn(30), drawn(30)
    turn = np.linalg.qr(drawn(4, seed=3))[0]
    write(connection, grid("arc", {"org/m0": [1, 0, 1]}))
    items = [Column("arc", "", f"i{number}") for number in range(3)]
    one = kept(connection, first)
    serving = drawn(30, 6)
    two = kept(
        connection,
        np.asarray(second @ turn, np.float32),
        serving=serving,
        items=items,
        item_vectors=np.asarray(drawn(3, seed=8) @ turn, np.float32),
    )
    found = versions.read_version(connection, two)
    assert found.aligned_to == one
    assert found.alignment_residual == pytest.approx(0, abs=1e-5)
    read = {name: at for at, name in enumerate(vectors.read_embeddings(connection).models)}
    turned = vectors.read_embeddings(connection).vectors[[read[name] for name in names(30)]]
    assert np.allclose(turned, first, atol=1e-5)
    stored = connection.scalars(
        text("SELECT vector::text FROM store.item_embeddings ORDER BY ordinal")
    ).all()
    read_items = [np.fromstring(each[1:-1], sep=",") for each in stored]
    assert np.allclose(read_items, drawn(3, seed=8), atol=1e-5)
    assert (vectors.read_serving(connection)[1][read["org/m3"]] == serving[3]).all()


def test_vectors_are_not_turned_onto_predicted_ones(connection: Connection) -> None:
    turn = np.linalg.qr(drawn(4, seed=3))[0]
    predicted = np.concatenate([drawn(30)[:20], drawn(10, seed=9)])
    kept(connection, predicted, kinds=["trained"] * 20 + ["cold"] * 10)
    found = versions.read_version(
        connection, kept(connection, np.asarray(drawn(30) @ turn, np.float32))
    )
    assert found.alignment_residual == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("dimension", [3, 6])
def test_other_dimensions_are_padded_with_zeros(connection: Connection, dimension: int) -> None:
    """A version of 3 dimensions after one of 4, or of 6: what both have lies in the same place."""
    write(connection, grid("arc", {"org/m0": [1, 0, 1]}))
    items = [Column("arc", "", f"i{number}") for number in range(3)]
    flat = np.concatenate([drawn(30, 3), np.zeros((30, 1), np.float32)], axis=1)
    one = kept(connection, np.asarray(flat @ np.linalg.qr(drawn(4, seed=3))[0], np.float32))
    small = drawn(30, 3)
    turn = np.linalg.qr(drawn(dimension, dimension, seed=5))[0][:3]
    new = np.asarray(small @ turn, np.float32)
    sides = np.concatenate([drawn(3, dimension, seed=8), drawn(3, 1, seed=9)], axis=1)
    two = kept(
        connection,
        new,
        items=items,
        item_vectors=sides,
        uncertainties=np.full(30, 0.5, np.float32),
    )
    found = versions.read_version(connection, two)
    assert found.aligned_to == one
    assert found.alignment_residual == pytest.approx(0, abs=1e-5)
    assert found.dimension == max(dimension, 4)
    before, after = (vectors.read_embeddings(connection, each) for each in (one, two))
    padding = ((0, 0), (0, found.dimension - 4))
    assert np.allclose(after.vectors, np.pad(before.vectors, padding), atol=1e-5)
    _, stored = vectors.read_items(connection, two)
    place = {name: at for at, name in enumerate(after.models)}
    ours = after.vectors[[place[name] for name in names(30)]]
    logits = ours @ stored[:, :-1].T + stored[:, -1]
    assert np.allclose(logits, new @ sides[:, :-1].T + sides[:, -1], atol=1e-4)
    # The mean square of all coordinates: there is none in padding.
    variance = after.uncertainty**2 * found.dimension
    assert variance == pytest.approx(0.25 * dimension)


@pytest.mark.parametrize("dimension", [3, 4, 6])
def test_what_the_catalog_does_not_explain_is_turned_as_the_vectors_are(
    connection: Connection, dimension: int
) -> None:
    """The variance along any difference of two models stays, whatever the coordinates."""
    kept(connection, drawn(30))
    new, root = drawn(30, dimension, seed=5), drawn(dimension, dimension, seed=6)
    covariance = root.astype(np.float64).T @ root
    version = kept(connection, new, unexplained=covariance)
    stored = versions.read_unexplained(connection, version)
    assert stored is not None
    found = vectors.read_embeddings(connection, version)
    ours = found.vectors[[list(found.models).index(name) for name in names(30)]]
    before, after = new[1:] - new[0], ours[1:] - ours[0]
    np.testing.assert_allclose(
        np.einsum("md,de,me->m", after, stored, after),
        np.einsum("md,de,me->m", before, covariance, before),
        rtol=1e-4,
    )
    assert versions.read_unexplained(connection, kept(connection, new)) is None


def test_variances_need_axes_and_are_not_negative(connection: Connection) -> None:
    axes = VersionUncertainty(Axes(np.eye(4)[:, :2]))
    made = np.full((3, 2), 0.5, np.float32)
    for variances, kept_, problem in (
        (made, VersionUncertainty(), "a variance of each model along each axis"),
        (None, axes, "a variance of each model along each axis"),
        (made[:, :1], axes, "a variance of each model along each axis"),
        (-made, axes, "A variance is negative"),
        (made * np.float32(np.nan), axes, "not finite"),
    ):
        with pytest.raises(RegistryError, match=problem):
            kept(connection, drawn(3), variances=variances, uncertainty=kept_)
    large = made * np.float32(1e9)
    version = kept(connection, drawn(3), variances=large, uncertainty=axes)
    found = vectors.read_embeddings(connection, version).variances
    assert found is not None
    assert np.isfinite(found).all()
    back = read_uncertainty(connection, version)
    assert back.axes is not None
    np.testing.assert_allclose(back.axes.directions, np.eye(4)[:, :2])
    assert (back.item_variance, back.texts) == (0, None)
    assert vectors.read_embeddings(connection, kept(connection, drawn(3))).variances is None


def test_the_newest_version_of_a_method_and_outcomes_is_found(connection: Connection) -> None:
    made = [("mf", "a"), ("mf", "a"), ("irt", "a"), ("mf", "b")]
    numbers = [
        kept(connection, drawn(3), method=method, data_fingerprint=outcomes)
        for method, outcomes in made
    ]

    def found(outcomes: str, method: str) -> int | None:
        version = versions.trained_on(connection, outcomes, method)
        return None if version is None else version.version

    assert [found("a", "mf"), found("a", "irt"), found("b", "mf")] == numbers[1:]
    assert found("b", "irt") is None


def test_a_version_of_many_dimensions_makes_no_later_one_as_large(connection: Connection) -> None:
    kept(connection, drawn(10, save.MOST_PADDED + 1))
    found = versions.read_version(connection, kept(connection, drawn(10)))
    assert (found.aligned_to, found.alignment_residual, found.dimension) == (None, None, 4)
    assert (vectors.read_embeddings(connection).vectors == drawn(10)).all()


def test_models_in_common_with_none_are_not_turned(connection: Connection) -> None:
    kept(connection, drawn(10))
    found = kept(connection, drawn(5), [f"other/m{number}" for number in range(5)])
    assert versions.read_version(connection, found).aligned_to is None


def test_one_version_is_current_and_going_back_goes_back(connection: Connection) -> None:
    one, two, three = (kept(connection, drawn(3, seed=seed)) for seed in range(3))
    assert states(connection) == {one: "retired", two: "retired", three: "current"}
    assert versions.rollback(connection).version == two
    assert versions.rollback(connection).version == one
    assert versions.read_version(connection, three).reason == f"rolled back to version {two}"
    with pytest.raises(RegistryError, match=f"none was current before {one}"):
        versions.rollback(connection)
    with pytest.raises(UsageError, match=f"refused: rolled back to version {two}"):
        versions.promote(connection, three)
    versions.promote(connection, three, force=True)
    assert versions.rollback(connection).version == one
    assert versions.promote(connection, one).version == one, "nothing to do"


def states(connection: Connection) -> dict[int, str]:
    return {each.version: each.state for each in versions.list_versions(connection)}


def test_a_refused_version_is_kept_with_its_reason(connection: Connection) -> None:
    one = kept(connection, drawn(3))
    two = kept(connection, drawn(3, seed=1), current=False)
    found = versions.finalize(connection, two, Verdict(False, "worse", 0.75))  # noqa: FBT003
    assert (found.state, found.reason, found.churn) == ("refused", "worse", 0.75)
    with pytest.raises(UsageError, match=r"Version \d+ was refused: worse. --force"):
        versions.promote(connection, two)
    assert versions.promote(connection, two, force=True).current
    assert states(connection)[one] == "retired"
    with pytest.raises(UsageError, match="is current; it is not judged again"):
        versions.finalize(connection, two, Verdict(True, "better", None))  # noqa: FBT003


def test_a_verdict_promotes(connection: Connection) -> None:
    one = kept(connection, drawn(3), current=False)
    found = versions.finalize(connection, one, Verdict(True, "the first", None))  # noqa: FBT003
    assert (found.current, found.reason) == (True, "the first")


def test_what_is_not_there_is_told(connection: Connection) -> None:
    with pytest.raises(RegistryError, match="no embeddings yet"):
        versions.read_version(connection)
    with pytest.raises(RegistryError, match="no version 3 of embeddings; there is none"):
        versions.promote(connection, 3)
    one, two = (kept(connection, drawn(2, seed=seed)) for seed in range(2))
    with pytest.raises(UsageError, match=f"no version 99 of embeddings; there are {one}, {two}"):
        vectors.read_embeddings(connection, 99)
    with pytest.raises(UsageError, match="is current and cannot be dropped"):
        versions.drop(connection, two)
    with pytest.raises(RegistryError, match="has no serving vectors"):
        vectors.read_serving(connection)
    model(connection, "org/bare")
    with pytest.raises(ModelNotFoundError, match="nobody"):
        vectors.nearest_models(connection, "org/nobody-at-all")
    with pytest.raises(ModelNotFoundError, match="nobody"):
        vectors.nearest_models(connection, "org/m0", family="org/nobody-at-all")
    with pytest.raises(RegistryError, match="'org/bare' has no vector in version .*similar"):
        vectors.nearest_models(connection, "org/bare")


def test_a_dropped_version_leaves_nothing(connection: Connection) -> None:
    one = kept(connection, drawn(3), serving=drawn(3))
    two = kept(connection, drawn(3, seed=1))
    versions.drop(connection, one)
    assert states(connection) == {two: "current"}
    assert rows(connection, PARTITIONS) == [(1,)]


def test_a_merged_stub_leaves_its_vectors_to_the_model(connection: Connection) -> None:
    both = kept(connection, drawn(2), ["org/model", "stub"], serving=drawn(2))
    alone = kept(connection, drawn(1, 5, seed=2), ["stub"], serving=drawn(1, seed=3))
    before = vectors.read_embeddings(connection, alone).vectors
    keys = dict(rows(connection, "SELECT name, model_id FROM store.models"))
    merge_stub(
        connection, keys["stub"], into=keys["org/model"], source="user", as_of=_now(connection)
    )
    assert (vectors.read_embeddings(connection, both).vectors == drawn(2)[:1]).all()
    assert (vectors.read_embeddings(connection, alone).vectors == before).all()
    assert vectors.read_serving(connection, alone)[0] == ["org/model"]


def _now(connection: Connection) -> Any:
    return connection.scalar(text("SELECT now()"))


def test_partitions_are_no_drift_and_belong_to_the_owner(engine: Engine) -> None:
    with engine.begin() as connection:
        kept(connection, drawn(3), serving=drawn(3))
        owners = rows(
            connection,
            "SELECT DISTINCT tableowner FROM pg_tables WHERE tablename LIKE '%embeddings%'",
        )
    assert len(owners) == 1
    assert migrate.drift(engine) is None
    migrate.downgrade(engine, "base")


def test_a_version_that_is_not_committed_was_never_there(engine: Engine) -> None:
    with engine.connect() as connection:
        kept(connection, drawn(3))
        connection.rollback()
        assert rows(connection, PARTITIONS) == [(0,)]
        assert versions.list_versions(connection) == []


def test_readers_see_one_version_whole_while_others_are_promoted(engine: Engine) -> None:
    """Readers on connections of their own, while versions of different sizes come and go."""
    sizes: dict[int, int] = {}
    with engine.begin() as connection:
        for count in (20, 30):
            sizes[kept(connection, drawn(count, 8, seed=count))] = count
    stop, seen, errors = threading.Event(), set(), []

    def read() -> None:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as own:
            while not stop.is_set():
                found = own.execute(
                    text("SELECT version, count(*) FROM registry.embeddings GROUP BY version")
                ).all()
                if len(found) != 1 or sizes[found[0][0]] != found[0][1]:
                    errors.append(found)
                near = own.execute(
                    text("SELECT of_version, count(*) FROM registry.nearest_models('org/m1', 1000)"
                         " GROUP BY 1")
                ).all()  # fmt: skip
                if len(near) != 1 or sizes[near[0][0]] - 1 != near[0][1]:
                    errors.append(near)
                seen.add(found[0][0])

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            with engine.begin() as connection:
                count = 20 + len(sizes)
                # Known before it can be read.
                made = kept(connection, drawn(count, 8, seed=count), current=False)
                sizes[made] = count
            versions.wait_for_readers(engine)
            with engine.begin() as connection:
                versions.promote(connection, made)
            with engine.begin() as connection:
                versions.rollback(connection)
            with engine.begin() as connection:
                versions.promote(connection, made, force=True)
            with engine.begin() as connection:
                *_, oldest = versions.list_versions(connection)
                if oldest.version < made - 3:
                    versions.drop(connection, oldest.version)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert errors == []
    assert len(seen) > 2


def test_a_promotion_waits_for_who_reads_now_and_for_nobody_else(engine: Engine) -> None:
    waited = threading.Event()

    def wait() -> None:
        versions.wait_for_readers(engine)
        waited.set()

    with engine.connect() as early, engine.connect() as late:
        early.execute(text("SELECT FROM registry.embeddings"))
        waiter = threading.Thread(target=wait)
        waiter.start()
        assert not waited.wait(0.3)
        late.execute(text("SELECT FROM registry.embeddings"))
        early.rollback()
        assert waited.wait(1)
        waiter.join()


def test_listeners_are_told_at_the_commit(engine: Engine) -> None:
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as listener, engine.connect() as connection:
        listener.execute(f"LISTEN {versions.CHANNEL}")
        one = kept(connection, drawn(3))
        assert list(listener.notifies(timeout=0.1)) == []
        connection.commit()
        two = kept(connection, drawn(3))
        connection.commit()
        told = [each.payload for each in listener.notifies(timeout=5, stop_after=2)]
    assert told == [
        f'{{"version":{one},"previous":null}}',
        f'{{"version":{two},"previous":{one}}}',
    ]


def test_load_embeddings(engine: Engine, database_url: str) -> None:
    with pytest.raises(RegistryError, match="no embeddings yet"):
        registry.load_embeddings(database_url)
    with engine.begin() as connection:
        one = kept(connection, drawn(3), uncertainties=np.array([1, 2, 3], np.float32))
        two = kept(connection, drawn(2, 5))
    found = registry.load_embeddings(database_url)
    assert (found.version, found.vectors.shape) == (two, (2, 5))
    assert found.vectors.dtype == np.float32
    former = registry.load_embeddings(database_url, version=one)
    table = former.to_arrow()
    assert table["model"].to_pylist() == names(3)
    assert table["uncertainty"].to_pylist() == [1, 2, 3]
    assert np.allclose(table["vector"].to_pylist(), drawn(3))
    assert table.schema.metadata[b"version"] == str(one).encode()
    assert found.to_arrow()["uncertainty"].null_count == 2
    frame = former.to_pandas()
    assert frame.columns.tolist() == ["kind", "uncertainty", "support", 0, 1, 2, 3]
    assert frame[range(4)].to_numpy() == pytest.approx(drawn(3))
    assert frame["kind"].tolist() == ["trained"] * 3
    assert frame["uncertainty"].tolist() == [1, 2, 3]
    assert frame.attrs["method"] == "mf"


def test_vectors_come_with_what_they_rest_on(connection: Connection) -> None:
    metrics = {"held_out": {"auc": 0.9}, "reference": ["arc:i0", "arc:i2"]}
    version = kept(connection, drawn(3), metrics=metrics, settings={"rank": 4}, seed=11)
    connection.execute(
        text("""
        UPDATE store.embeddings SET kind = 'cold', support = 0.25
         WHERE model_id = registry.model_id('org/m1')""")
    )
    read = vectors.read_embeddings(connection, version)
    assert read.provenance["settings"] == {"rank": 4}
    assert read.provenance["seed"] == 11
    assert read.provenance["metrics"] == metrics
    assert read.provenance["reference"] == metrics["reference"]
    assert {"encoder", "data_fingerprint"} < read.provenance.keys()
    assert read.to_pandas()["kind"].tolist() == ["trained", "cold", "trained"]
    assert read.to_pandas()["support"].tolist() == pytest.approx(
        [np.nan, 0.25, np.nan], nan_ok=True
    )
    table = read.to_arrow()
    assert table["support"].to_pylist() == [None, 0.25, None]
    written = table.schema.metadata
    assert orjson.loads(written[b"metrics"]) == metrics
    assert orjson.loads(written[b"settings"]) == {"rank": 4}
    without = vectors.read_embeddings(connection, kept(connection, drawn(3)))
    assert without.provenance["reference"] is None
    assert b"reference" not in without.to_arrow().schema.metadata


def test_importing_the_package_loads_little() -> None:
    program = """
import sys
from registry import load_embeddings
print(sorted({"torch", "pandas", "numpy", "sqlalchemy", "pyarrow"} & set(sys.modules)))"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
