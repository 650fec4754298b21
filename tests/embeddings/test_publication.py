"""Versions that become current: whole, whatever readers do, and after interruptions too."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from clans import learn
from cli_commands import Commands
from databases import Databases
from evaluated import block, run, write
from factories import model, rows
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from registry.db import connection as database
from registry.db.jobs import Lock, exclusive
from registry.embeddings import (
    partitions,
    placement,
    placement_state,
    publication,
    training,
    versions,
)
from registry.embeddings.training import TrainingOptions
from registry.errors import LockHeldError, RegistryError, UsageError

IRT = TrainingOptions(method="irt")
COUNTS = "SELECT version, count(*) FROM registry.embeddings GROUP BY version"


@pytest.fixture
def trained(databases: Databases) -> Iterator[Engine]:
    """Give version 1 of 60 models, and three more that only the catalog knows."""
    with databases.made(template=databases.filled("placement", learn)) as url:
        engine = database.create_engine(url)
        with engine.begin() as connection:
            for number in range(3):
                model(connection, f"falconlab/falcon-7b-w{number}", model_type="falcon")
        yield engine


@pytest.fixture
def trained_commands(trained: Engine) -> Commands:
    return Commands(trained.url.render_as_string(hide_password=False))


class StoppedError(Exception):
    """Ends a training at a stage."""


class Meanwhile:
    """Does something once, when a stage of a training or a placement begins."""

    def __init__(self, stage: str, act: Callable[[], object]) -> None:
        self._stage, self._act = stage, act
        self.done = False

    def __call__(self, what: str, done: int, total: int) -> None:
        del done, total
        if what.startswith(self._stage) and not self.done:
            self.done = True
            self._act()


class Recorder:
    """Records the stages of a training, and ends it at one of them."""

    def __init__(self, last: str | None = None) -> None:
        self.stages: list[str] = []
        self._last = last

    def __call__(self, what: str, done: int, total: int) -> None:
        del done, total
        self.stages.append(what)
        if self._last is not None and what.startswith(self._last):
            raise StoppedError

    def began(self, stage: str) -> bool:
        return any(each.startswith(stage) for each in self.stages)


def counts(connection: Connection) -> list[tuple[object, ...]]:
    return rows(connection, COUNTS)


@contextmanager
def reader(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that has read vectors, and stays open, as that of a dump does."""
    with engine.connect() as connection:
        connection.execution_options(isolation_level="REPEATABLE READ")
        counts(connection)
        yield connection


def number_of(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def test_readers_see_one_whole_version_or_the_other(trained: Engine) -> None:
    placement.place(trained)
    seen = []

    def on_progress(what: str, done: int, total: int) -> None:
        with trained.connect() as connection:
            seen.append((what, counts(connection)))

    report = training.train_and_place(trained, IRT, on_progress=on_progress)
    assert report.version is not None
    assert report.version.current
    assert report.placement is not None
    assert report.placement.cold == 3
    assert {what for what, _ in seen} >= {"judging the version", "placing models"}
    assert {tuple(found) for _, found in seen} == {((1, 63),)}
    with trained.connect() as connection:
        assert counts(connection) == [(2, 63)]


def test_a_reader_in_a_transaction_holds_nothing_up_and_keeps_its_version(trained: Engine) -> None:
    placement.place(trained)
    with reader(trained) as connection:
        report = training.train_and_place(trained, IRT)
        assert report.version is not None
        assert report.version.current
        assert counts(connection) == [(1, 63)]
        with trained.connect() as another:
            assert counts(another) == [(2, 63)]


@pytest.mark.parametrize("indexed", [False, True])
def test_a_reader_in_a_transaction_does_not_hold_placing_up(
    trained: Engine, monkeypatch: pytest.MonkeyPatch, *, indexed: bool
) -> None:
    if indexed:
        monkeypatch.setattr(partitions, "INDEXED_FROM", 50)
        monkeypatch.setattr(partitions, "ATTEMPTS", 2)
    placement.place(trained)
    with reader(trained) as connection:
        with trained.begin() as writer:
            model(writer, "falconlab/falcon-7b-w3", model_type="falcon")
        assert placement.place(trained).cold == 4
        assert counts(connection) == [(1, 63)]
    with trained.connect() as connection:
        assert counts(connection) == [(1, 64)]
        tables = rows(
            connection,
            """SELECT relname::text FROM pg_class
                WHERE relname LIKE 'embeddings\\_1%' AND relkind = 'r'""",
        )
        index = connection.scalar(
            text("SELECT to_regclass('store.embeddings_1_hnsw_idx') IS NOT NULL")
        )
    assert tables == [("embeddings_1",)]
    assert index is indexed


def test_readers_wait_a_moment_for_an_indexed_version_to_be_placed_again(
    trained: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "INDEXED_FROM", 50)
    placement.place(trained)
    before = _file(trained)
    placement.place(trained)
    # Nobody reads, so the table that was filled and indexed beside it took its place.
    assert _file(trained) != before
    assert number_of(trained, "store.embeddings_1") == 63


def _file(engine: Engine) -> object:
    with engine.connect() as connection:
        return connection.scalar(text("SELECT 'store.embeddings_1'::regclass::oid"))


def test_a_version_that_was_not_placed_is_placed_before_it_is_promoted(
    trained: Engine, trained_commands: Commands
) -> None:
    placement.place(trained)
    version = training.train(trained, replace(IRT, promote=False, seed=1))
    assert version is not None
    assert version.reason is None
    seen = []

    def on_progress(what: str, done: int, total: int) -> None:
        with trained.connect() as connection:
            seen.append(counts(connection))

    done = publication.promote(trained, version.version, on_progress=on_progress)
    assert (done.before, done.version.version) == (1, 2)
    assert done.placement is not None
    assert done.placement.cold == 3
    assert seen
    assert all(each == [(1, 63)] for each in seen)
    with trained.connect() as connection:
        assert counts(connection) == [(2, 63)]
    result = trained_commands("embeddings", "promote", "2")
    assert result.exit_code == 0
    assert "Version 2 is current already." in result.stderr


def test_what_came_since_is_placed_before_a_rollback(
    trained: Engine, trained_commands: Commands
) -> None:
    placement.place(trained)
    training.train_and_place(trained, IRT)
    with trained.begin() as connection:
        model(connection, "falconlab/falcon-7b-w3", model_type="falcon")
    placement.place_pending(trained)
    said = trained_commands("embeddings", "rollback").stderr
    assert "Version 1 is current again, instead of 2." in said
    assert "1 from what is known of them" in said
    with trained.connect() as connection:
        assert counts(connection) == [(1, 64)]


def test_a_rollback_waits_for_no_placement(trained: Engine) -> None:
    placement.place(trained)
    training.train_and_place(trained, IRT)
    with trained.begin() as connection:
        model(connection, "falconlab/falcon-7b-w3", model_type="falcon")
    with exclusive(trained, Lock.PLACEMENT):
        done = publication.rollback(trained)
    assert (done.version.version, done.placement) == (1, None)


def test_two_rollbacks_at_once_go_back_one_version(trained: Engine) -> None:
    for _ in range(2):
        training.train_and_place(trained, IRT)
    with trained.begin() as connection:
        model(connection, "falconlab/falcon-7b-w3", model_type="falcon")
    other = Meanwhile("placing", lambda: publication.rollback(trained))
    done = publication.rollback(trained, on_progress=other)
    assert other.done
    assert (done.version.version, done.before) == (2, 3)
    with trained.connect() as connection:
        assert counts(connection) == [(2, 64)]


def test_a_rollback_of_another_version_than_was_current_is_refused(trained: Engine) -> None:
    for _ in range(2):
        training.train_and_place(trained, IRT)
    training.train(trained, replace(IRT, promote=False))
    with trained.begin() as connection:
        model(connection, "falconlab/falcon-7b-w3", model_type="falcon")
    other = Meanwhile("placing", lambda: _promoted(trained, 4))
    with pytest.raises(RegistryError, match="version 4 is current now, and 3 was when"):
        publication.rollback(trained, on_progress=other)
    with trained.connect() as connection:
        assert versions.current_number(connection) == 4


def _promoted(engine: Engine, number: int) -> None:
    with engine.begin() as connection:
        versions.promote(connection, number)


@pytest.mark.parametrize("stage", ["learning to predict", "placing models"])
def test_a_version_that_is_dropped_before_it_is_placed_is_named(
    trained: Engine, stage: str
) -> None:
    training.train(trained, replace(IRT, promote=False))

    def drop() -> None:
        with trained.begin() as connection:
            versions.drop(connection, 2)

    with pytest.raises(UsageError, match=r"There is no version 2 of embeddings; there is 1\."):
        publication.promote(trained, 2, on_progress=Meanwhile(stage, drop))


def test_a_version_that_is_being_placed_is_not_dropped(
    trained: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.train(trained, replace(IRT, promote=False))
    monkeypatch.setattr(versions, "PATIENCE", "50ms")
    dropped: list[BaseException] = []

    def drop(*_: object) -> None:
        with pytest.raises(DBAPIError) as refused, trained.begin() as connection:
            versions.drop(connection, 2)
        dropped.append(refused.value)

    monkeypatch.setattr(placement_state, "save", _after(drop, placement_state.save))
    placed = placement.complete(trained, 2)
    assert placed is not None
    assert len(dropped) == 1


def _after(first: Callable[..., object], then: Callable[..., object]) -> Callable[..., object]:
    def both(*arguments: object) -> object:
        first()
        return then(*arguments)

    return both


def test_a_refused_version_is_placed_only_when_it_is_forced(trained: Engine) -> None:
    placement.place(trained)
    report = training.train_and_place(trained, replace(IRT, margin=-0.1))
    assert report.version is not None
    assert (report.version.state, report.placement, report.unchanged) == ("refused", None, False)
    assert report.version.placed_at is None
    assert number_of(trained, "store.embeddings_2") == 60
    with pytest.raises(UsageError, match="was refused"):
        publication.promote(trained, 2)
    assert number_of(trained, "store.embeddings_2") == 60
    done = publication.promote(trained, 2, force=True)
    assert done.placement is not None
    assert done.version.current


def test_a_training_waits_for_a_placement_that_runs(trained: Engine) -> None:
    stages = Recorder()
    with ThreadPoolExecutor(1) as pool:
        with exclusive(trained, Lock.PLACEMENT):
            found = pool.submit(training.train_and_place, trained, IRT, on_progress=stages)
            while not stages.began("waiting for another placement"):
                assert not found.done()
                time.sleep(0.05)
        report = found.result(60)
    assert report.placement is not None
    assert report.version is not None
    assert report.version.current
    version = training.train(trained, replace(IRT, promote=False, seed=2))
    assert version is not None
    with exclusive(trained, Lock.PLACEMENT), pytest.raises(LockHeldError, match="place"):
        publication.promote(trained, version.version, patience=0.0)
    with trained.connect() as connection:
        assert counts(connection) == [(2, 63)]


def test_a_version_is_judged_beside_the_one_that_is_current_then(trained: Engine) -> None:
    other = training.train(trained, replace(IRT, promote=False, seed=1))
    assert other is not None
    stages = Recorder()

    def on_progress(what: str, done: int, total: int) -> None:
        stages(what, done, total)
        if what == "reading the catalog" and stages.stages.count("judging the version") == 1:
            with trained.begin() as connection:
                versions.promote(connection, other.version)

    report = training.train_and_place(
        trained, replace(IRT, seed=2, margin=1), on_progress=on_progress
    )
    assert stages.stages.count("judging the version") == 2
    assert report.version is not None
    assert report.version.current
    with trained.connect() as connection:
        assert versions.previous(connection) == other.version


def test_a_version_that_is_promoted_by_hand_while_it_is_placed_stays_so(trained: Engine) -> None:
    def on_progress(what: str, done: int, total: int) -> None:
        del done, total
        if what == "reading the catalog":
            with trained.begin() as connection:
                versions.promote(connection, 2)

    report = training.train_and_place(trained, replace(IRT, margin=1), on_progress=on_progress)
    assert report.version is not None
    assert (report.version.version, report.version.current) == (2, True)
    with trained.connect() as connection:
        assert counts(connection) == [(2, 63)]


@pytest.mark.parametrize("stage", ["judging the version", "placing models"])
def test_a_version_whose_training_was_interrupted_is_judged_by_the_next(
    trained: Engine, trained_commands: Commands, stage: str
) -> None:
    with pytest.raises(StoppedError):
        training.train_and_place(trained, IRT, on_progress=Recorder(stage))
    with trained.connect() as connection:
        version = versions.read_version(connection, 2)
        assert (version.state, version.reason) == ("candidate", "not judged yet")
        assert counts(connection) == [(1, 60)]
    stages = Recorder()
    report = training.train_and_place(trained, replace(IRT, if_changed=True), on_progress=stages)
    assert not stages.began("choosing settings")
    assert report.version is not None
    assert (report.version.version, report.version.current) == (2, True)
    assert report.note == "Version 2 was trained before, and is judged now."
    assert str(report.version.reason).startswith("held-out log loss")
    with trained.connect() as connection:
        assert counts(connection) == [(2, 63)]
    assert (
        "Nothing changed since version 2"
        in trained_commands("train", "--method", "irt", "--encoder", "none", "--if-changed").stderr
    )


def test_an_interrupted_version_that_is_refused_is_reported(
    trained: Engine, trained_commands: Commands
) -> None:
    with pytest.raises(StoppedError):
        training.train_and_place(trained, IRT, on_progress=Recorder("judging the version"))
    said = trained_commands.refused(
        3, "train", "--method", "irt", "--encoder", "none", "--margin", "-0.1"
    )
    assert "Version 2 was trained before, and is judged now." in said
    assert "no gain of 0.1" in said


@pytest.mark.parametrize("other", [{"seed": 1}, {"method": "rasch"}, {"outcomes": True}])
def test_an_interrupted_training_of_something_else_is_left(
    trained: Engine, other: dict[str, object]
) -> None:
    with pytest.raises(StoppedError):
        training.train(trained, IRT, on_progress=Recorder("judging the version"))
    options = IRT
    if other.pop("outcomes", None):
        with trained.begin() as connection:
            write(connection, block("new", run("falconlab/falcon-7b-v1", [1.0, 0.0, 1.0])))
    else:
        options = replace(IRT, **other)  # type: ignore[arg-type]
    version = training.train(trained, options)
    assert version is not None
    assert version.version == 3
    with trained.connect() as connection:
        assert versions.read_version(connection, 2).state == "candidate"


def test_a_model_that_comes_while_others_are_placed_has_a_vector_in_the_next_version(
    trained: Engine,
) -> None:
    placement.place(trained)
    name = "falconlab/falcon-7b-w3"

    def on_progress(what: str, done: int, total: int) -> None:
        # All of the catalog has been read by then.
        if what == "placing models" and done == total == 63:
            with trained.begin() as connection:
                model(connection, name, model_type="falcon")
            assert placement.place_pending(trained) is None, "another is running"

    report = training.train_and_place(trained, IRT, on_progress=on_progress)
    assert report.version is not None
    assert report.version.current
    assert report.placement is not None
    assert report.placement.cold == 3, "of the first placement"
    with trained.connect() as connection:
        assert counts(connection) == [(2, 64)]


def test_settings_that_an_interrupted_training_chose_are_not_chosen_again(
    trained: Engine,
) -> None:
    whole = training.train(trained, replace(IRT, promote=False))
    with pytest.raises(StoppedError):
        training.train(trained, IRT, on_progress=Recorder("final fit"))
    assert number_of(trained, "store.training_choices") == 1
    stages = Recorder()
    version = training.train(trained, replace(IRT, promote=False), on_progress=stages)
    assert not stages.began("choosing settings")
    assert stages.began("final fit")
    assert whole is not None
    assert version is not None
    assert version.settings == whole.settings
    assert version.metrics == whole.metrics
    assert [each["settings"] for each in version.trials] == [
        each["settings"] for each in whole.trials
    ]
    assert number_of(trained, "store.training_choices") == 0


@pytest.mark.parametrize("other", [{"seed": 1}, {"method": "rasch"}])
def test_settings_of_another_training_are_chosen(trained: Engine, other: dict[str, object]) -> None:
    with pytest.raises(StoppedError):
        training.train(trained, IRT, on_progress=Recorder("final fit"))
    stages = Recorder()
    options = replace(IRT, promote=False, **other)  # type: ignore[arg-type]
    training.train(trained, options, on_progress=stages)
    assert stages.began("choosing settings")
    # Those of the other training wait for it, for a week.
    assert number_of(trained, "store.training_choices") == 1
    with trained.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE store.training_choices SET made_at = now() - interval '8 days'"
        )
        connection.exec_driver_sql("""
            INSERT INTO store.training_choices (choice_key, made_at, choice)
            SELECT 'younger', now() - interval '6 days', choice FROM store.training_choices""")
    training.train(trained, options)
    with trained.connect() as connection:
        assert rows(connection, "SELECT choice_key FROM store.training_choices") == [("younger",)]
