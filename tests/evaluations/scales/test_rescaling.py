"""Stored scores that a new version reads otherwise, with their old and new values."""

import json
from datetime import timedelta
from pathlib import Path

import factories
import pytest
from cli_commands import Commands
from evaluated import block, run, write
from factories import rows
from sqlalchemy import Connection, Engine, text

from registry.evaluations.importer import ImportOptions, import_files
from registry.evaluations.records import Measure
from registry.evaluations.scales.rescaling import forget_directions, rescale_stored

CHANGES = """
SELECT model, benchmark, metric, round(old_score::numeric, 6)::float,
       round(new_score::numeric, 6)::float, reason
  FROM registry.score_changes ORDER BY benchmark, metric"""

# As versions before read it: metrics by their names alone.
OLD_SCALES = """
UPDATE store.measures
   SET lower = CASE WHEN metric = 'exact' THEN NULL ELSE 0 END,
       upper = CASE WHEN metric = 'exact' THEN NULL ELSE 1 END, unit = NULL,
       higher_is_better = metric <> 'brier_score'
 WHERE metric IN ('NoAns_f1', 'exact', 'brier_score')"""


def results(path: Path) -> Path:
    path.write_text(
        json.dumps(
            {
                "results": {
                    "squad2": {"NoAns_f1": 0.8, "exact": 7.5},
                    "letters": {"brier_score": 0.5, "acc": 0.25},
                },
                "versions": {},
                "config": {"model": "hf", "model_args": "pretrained=acme/weak"},
            }
        )
    )
    return path


EXPECTED = [
    ("acme/weak", "letters", "brier_score", 0.5, 0.75,
     "brier_score is read from 0 to 2, lower is better, not from 0 to 1, lower is better."),
    ("acme/weak", "squad2", "NoAns_f1", 0.8, 0.008,
     "NoAns_f1 is read from 0 to 100, not from 0 to 1."),
    ("acme/weak", "squad2", "exact", 7.5, 0.075,
     "exact is read from 0 to 100, not without bounds."),
]  # fmt: skip


@pytest.fixture
def old(engine: Engine, tmp_path: Path) -> Path:
    """A file that is stored as earlier versions read it."""
    path = results(tmp_path / "results.json")
    [report] = import_files(engine, [path], ImportOptions())
    assert report.error is None
    with engine.begin() as connection:
        connection.execute(text(OLD_SCALES))
    return path


def test_an_upgrade_lists_the_scores_that_are_read_otherwise(engine: Engine, old: Path) -> None:
    with engine.begin() as connection:
        assert rescale_stored(connection, factories.NOON) == 3
    with engine.connect() as connection:
        assert rows(connection, CHANGES) == EXPECTED
        scores = "SELECT metric, score FROM registry.runs ORDER BY metric"
        assert rows(connection, scores) == [
            ("NoAns_f1", 0.008), ("acc", 0.25), ("brier_score", 0.75), ("exact", 0.075),
        ]  # fmt: skip
    with engine.begin() as connection:
        assert rescale_stored(connection, factories.NOON + timedelta(days=1)) == 0
    [report] = import_files(engine, [old], ImportOptions())
    assert (report.status, report.written.rescored) == ("unchanged", 0)


def test_the_import_of_an_unchanged_file_lists_them(engine: Engine, old: Path) -> None:
    [report] = import_files(engine, [old], ImportOptions())
    assert report.written.rescored == 3
    with engine.connect() as connection:
        assert rows(connection, CHANGES) == EXPECTED
    [report] = import_files(engine, [old], ImportOptions())
    assert (report.status, report.written.rescored) == ("unchanged", 0)


def test_a_score_that_its_file_changes_is_not_listed(engine: Engine, old: Path) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM store.score_changes"))
    old.write_text(old.read_text().replace("0.25", "0.5"))
    [report] = import_files(engine, [old], ImportOptions())
    assert (report.written.changed, report.written.rescored) == (4, 0)


def test_a_score_that_was_none_before_is_listed(engine: Engine, old: Path) -> None:
    """A score outside its bounds was not measured, and the same file states one now."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE store.runs SET score = -1 WHERE score = 0.25"))
    [report] = import_files(engine, [old], ImportOptions())
    assert report.written.rescored == 4
    with engine.connect() as connection:
        query = "SELECT old_score, new_score, reason FROM registry.score_changes WHERE metric = "
        assert rows(connection, f"{query}'acc'") == [
            (None, 0.25, "The file says 0.25, which was read as -1.")
        ]


def test_what_was_clipped_was_not_measured(connection: Connection) -> None:
    percent = Measure(metric="acc", lower=0.0, upper=100.0, unit="%")
    error = Measure(metric="error", higher_is_better=False)
    write(
        connection,
        block("a", run("none", score=-1.0), run("some", score=0.1), run("much", score=999.0)),
        block("b", run("none", score=-1.0, measure=percent), run("some", score=1.0)),
        block("c", run("none", score=-1.0, measure=error)),
    )
    assert rescale_stored(connection, factories.NOON) == 4
    listed = (
        "SELECT model, benchmark, old_score, new_score FROM registry.score_changes ORDER BY 2, 1"
    )
    assert rows(connection, listed) == [
        ("much", "a", 1, None), ("none", "a", 0, None), ("none", "b", 0, None),
        ("none", "c", 1, None),
    ]  # fmt: skip
    board = "SELECT model, benchmark FROM registry.leaderboard ORDER BY benchmark, model"
    assert rows(connection, board) == [("some", "a"), ("some", "b")]
    assert rescale_stored(connection, factories.NOON + timedelta(days=1)) == 0


def test_scores_of_the_hub_are_read_on_this_version_s_scale(connection: Connection) -> None:
    """They are of no file, and so of no format."""
    brier = Measure(metric="brier_score", higher_is_better=False)
    write(connection, block("b", run("org/m", score=0.4, measure=brier)))
    assert rows(connection, "SELECT file FROM registry.runs") == [(None,)]
    assert rescale_stored(connection, factories.NOON) == 1
    assert rows(connection, "SELECT score FROM registry.leaderboard") == [(pytest.approx(0.8),)]
    assert rows(connection, "SELECT old_score, new_score FROM registry.score_changes") == [
        (pytest.approx(0.6), pytest.approx(0.8))
    ]


def test_a_direction_that_nothing_states_is_forgotten(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("name,zonk\nacme/a,3\n")
    table = {"model": "name", "score": "zonk", "metric": "=zonk"}
    import_files(engine, [path], ImportOptions(roles=table, benchmark="z"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE store.measures SET higher_is_better = true"))
    direction = "SELECT higher_is_better FROM registry.benchmarks"
    with engine.begin() as connection:
        rescale_stored(connection, factories.NOON)
        assert rows(connection, direction) == [(True,)]
        forget_directions(connection)
        assert rows(connection, direction) == [(None,)]


def test_an_import_says_where_the_changes_are_listed(commands: Commands, old: Path) -> None:
    result = commands("evals", "import", str(old))
    assert "3 scores are read otherwise than by an earlier version" in result.stderr
    assert "registry query 'TABLE score_changes'" in result.stderr
    listed = commands.json("query", "TABLE score_changes")
    assert {each["metric"] for each in listed} == {"NoAns_f1", "exact", "brier_score"}
