"""Upgrades of catalogs that an earlier version filled: no score changes without being listed."""

from collections.abc import Iterator

import pytest
from factories import NOON, rows
from sqlalchemy import Connection, Engine, text

from registry.db import connection as database
from registry.db import migrate
from registry.db.jobs import Lock, exclusive
from registry.db.revisions import current_revision
from registry.errors import LockHeldError
from registry.evaluations import upgrades
from registry.evaluations.removal import remove_readings

BEFORE = "0010"

# What the version before had, of which the code of this one has neither views nor functions.
LEADERBOARD = """
CREATE VIEW registry.leaderboard AS
SELECT DISTINCT ON (m.name, b.name) m.name AS model, b.name AS benchmark, b.version, k.metric,
       k.filter, (r.score - k.lower) / (k.upper - k.lower) AS score, r.score AS raw_score,
       r.run_id AS run
  FROM store.runs r JOIN store.models m USING (model_id)
  JOIN store.benchmarks b USING (benchmark_id)
  JOIN store.measures k ON k.measure_id = r.measure_id AND k.measure_id = b.measure_id
"""
INSTALLED = """
INSERT INTO store.sql_objects (ordinal, kind, identity, fingerprint)
VALUES (1, 'VIEW', 'registry.leaderboard', 'of the version before')"""

CARD = """
{"model-index": [{"results": [
  {"dataset": {"name": "GPQA (0-shot)", "type": "Idavidrein/gpqa"},
   "metrics": [{"type": "acc_norm", "value": 5.03}],
   "source": {"name": "Open LLM Leaderboard"}},
  {"dataset": {"name": "IFEval (0-Shot)", "type": "HuggingFaceH4/ifeval"},
   "metrics": [{"type": "acc", "value": 61.5}],
   "source": {"name": "Open LLM Leaderboard"}}]}]}"""

FILLED = (
    """INSERT INTO store.models (name, hub_id, state, first_seen, changed_at)
       VALUES ('acme/carded', '1', 'available', :t, :t), ('plain', NULL, 'stub', :t, :t)""",
    "INSERT INTO store.documents VALUES (1, CAST(:card AS jsonb), '{}')",
    """INSERT INTO store.benchmarks (name, version)
       VALUES ('alpaca_eval', ''), ('Idavidrein/gpqa', ''), ('cais/hle', '')""",
    """INSERT INTO store.measures (benchmark_id, metric, filter, lower, upper, higher_is_better,
                                   unit)
       VALUES (1, 'win_rate', 'weighted_alpaca_eval_gpt4_turbo', 0, 100, true, '%'),
              (1, 'length_controlled_win_rate', 'weighted_alpaca_eval_gpt4_turbo', 0, 100, true,
               '%'),
              (2, 'acc_norm', '', 0, 100, true, '%'),
              (3, 'score', '', NULL, NULL, true, NULL)""",
    """UPDATE store.benchmarks b SET measure_id = (
           SELECT min(measure_id) FROM store.measures k WHERE k.benchmark_id = b.benchmark_id)""",
    "INSERT INTO store.setups (fingerprint, details) VALUES (gen_random_uuid(), '{}')",
    "INSERT INTO store.sources (name) VALUES ('AlpacaEval'), ('Open LLM Leaderboard')",
    """INSERT INTO store.imports (path, format, bytes, sha256, imported_at, summary)
       VALUES ('/data/alpaca/board.csv', 'table', 1, 'ab', :t, '{"runs": 2}')""",
    """INSERT INTO store.evaluated_names (name, model_id, method, confidence)
       VALUES ('acme/carded', 1, 'exact', 1), ('plain', 2, 'unresolved', 0)""",
    """INSERT INTO store.runs (run_id, model_id, benchmark_id, measure_id, source_id, name_id,
                               import_id, score, setup_id, complete, verified)
       SELECT run_id, model_id, benchmark_id, measure_id, source_id, model_id, import_id, score, 1,
              true, false
         FROM (VALUES (11, 2, 1, 1, 1, 1, 31.2), (12, 2, 1, 2, 1, 1, 27.2),
                      (21, 1, 2, 3, 2, NULL, 5.03), (22, 1, 3, 4, 2, NULL, 20.9))
              AS v (run_id, model_id, benchmark_id, measure_id, source_id, import_id, score)""",
    LEADERBOARD,
    INSTALLED,
)

FILTER = "weighted_alpaca_eval_gpt4_turbo"
CHANGES = """
SELECT model, benchmark, metric, round(old_score::numeric, 4)::float,
       round(new_score::numeric, 4)::float, reason
  FROM registry.score_changes ORDER BY run"""
EXPECTED = [
    ("plain", "alpaca_eval", "win_rate", 0.312, 0.272,
     f"Leaderboards show length_controlled_win_rate, {FILTER}, not win_rate, {FILTER}."),
    ("acme/carded", "Idavidrein/gpqa", "acc_norm", 0.0503, None,
     "read as Idavidrein/gpqa by acc_norm_above_chance"),
]  # fmt: skip


@pytest.fixture
def former(empty_database_url: str) -> Iterator[Engine]:
    """A catalog that the version before filled."""
    engine = database.create_engine(empty_database_url)
    migrate.upgrade(engine, BEFORE)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS registry")
        for statement in FILLED:
            connection.execute(text(statement), {"t": NOON, "card": CARD})
        connection.exec_driver_sql(
            "ALTER VIEW registry.leaderboard OWNER TO registry_owner;"
            "ALTER SCHEMA registry OWNER TO registry_owner"
        )
    yield engine
    engine.dispose()


def test_every_score_that_changes_is_listed(former: Engine) -> None:
    steps: list[str] = []
    report = upgrades.upgrade(former, on_progress=lambda what, *_: steps.append(what))
    assert (report.before, report.changed) == (BEFORE, 2)
    assert report.earlier == ("/data/alpaca/",)
    assert list(dict.fromkeys(steps)) == list(upgrades.STEPS)
    with former.connect() as connection:
        assert rows(connection, CHANGES) == EXPECTED
        scores = "SELECT benchmark, metric, raw_score FROM registry.runs"
        assert set(rows(connection, scores)) == {
            ("alpaca_eval", "length_controlled_win_rate", 27.2),
            ("alpaca_eval", "win_rate", 31.2),
            ("HuggingFaceH4/ifeval", "acc", 61.5),
            ("Idavidrein/gpqa", "acc_norm_above_chance", 5.03),
            # Of .eval_results, which no card has.
            ("cais/hle", "score", 20.9),
        }
    again = upgrades.upgrade(former)
    assert (again.before, again.changed, again.earlier) == (report.after, 0, ("/data/alpaca/",))
    migrate.check(former)


@pytest.mark.parametrize("step", upgrades.STEPS)
def test_an_interrupted_upgrade_changes_nothing_and_can_be_repeated(
    former: Engine, step: str
) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if what == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upgrades.upgrade(former, on_progress=interrupt)
    with former.connect() as connection:
        assert current_revision(connection) == BEFORE
    assert upgrades.upgrade(former).changed == 2
    with former.connect() as connection:
        assert rows(connection, CHANGES) == EXPECTED


@pytest.mark.parametrize("lock", [Lock.CATALOG, Lock.EVALUATIONS])
def test_an_upgrade_waits_for_no_job(former: Engine, lock: Lock) -> None:
    with exclusive(former, lock), pytest.raises(LockHeldError, match=f"Another {lock} is running"):
        upgrades.upgrade(former)
    with former.connect() as connection:
        assert current_revision(connection) == BEFORE


def test_a_change_outlives_the_model_that_nothing_names_any_more(former: Engine) -> None:
    upgrades.upgrade(former)
    with former.begin() as connection:
        runs = connection.execute(text("SELECT model_id, run_id FROM store.runs WHERE name_id = 2"))
        remove_readings(connection, [(*row, "read as plain, concise") for row in runs], NOON)
        assert _stubs(connection) == 0
        listed = (
            "SELECT model, benchmark, metric FROM registry.score_changes WHERE reason LIKE '%,%'"
        )
        assert ("plain", "alpaca_eval", "length_controlled_win_rate") in rows(connection, listed)


def _stubs(connection: Connection) -> int:
    return int(
        connection.scalar(text("SELECT count(*) FROM store.models WHERE name = 'plain'")) or 0
    )
