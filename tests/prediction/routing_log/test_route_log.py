"""The log of routers' decisions: off by default, fed back into runs, reported as drift."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_commands import Commands
from factories import alias, model, rows
from learned import drawn, kept
from readers import reader
from sqlalchemy import Engine, text

from registry.catalog.merge import drop_stubs
from registry.db import connection as database
from registry.enums import ReportPeriod
from registry.errors import ModelNotFoundError, RegistryError, UnreadableFileError, UsageError
from registry.learning.encoders import open_encoder
from registry.prediction.routing_log import drift
from registry.prediction.routing_log.decisions import (
    RouteDecision,
    log_decisions,
    of_routes,
    prompt_hash,
)
from registry.prediction.routing_log.feedback import RouteFeedback, feed_back, read_feedback

FLAT = "SELECT decision, router, model, probability, prompt, outcome FROM registry.route_decisions"


def decided(prompt: str, chosen: str = "org/a", **fields: Any) -> RouteDecision:
    return RouteDecision(prompt=prompt, router="knn", model=chosen, **fields)


@pytest.fixture
def models(engine: Engine) -> Engine:
    with engine.begin() as connection:
        for name in ("org/a", "org/b"):
            model(connection, name)
        alias(connection, "org/a", "a-alias")
    return engine


def stored(engine: Engine, query: str = FLAT) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return rows(connection, query)


def test_the_first_offer_is_the_decision() -> None:
    routes = [
        {"model": "org/a", "probability": 0.7, "expected_cost": 0.1, "version": 3, "logit": 1},
        {"model": "org/b", "probability": 0.6},
    ]
    assert of_routes("hi", "knn", routes) == RouteDecision(
        prompt="hi", router="knn", model="org/a", probability=0.7, expected_cost=0.1, version=3,
        alternatives=[
            {"model": "org/a", "probability": 0.7, "expected_cost": 0.1},
            {"model": "org/b", "probability": 0.6},
        ],
    )  # fmt: skip
    assert of_routes("hi", "knn", []) is None


def test_prompts_are_hashed_and_their_texts_kept_only_where_asked(models: Engine) -> None:
    (first,) = log_decisions(models, [decided("secret", "a-alias", probability=0.5)])
    (second,) = log_decisions(models, [decided("plain\0 \ud800", "org/b")], with_text=True)
    assert stored(models) == [
        (first, "knn", "org/a", 0.5, None, None),
        (second, "knn", "org/b", None, "plain\ufffd ?", None),
    ]
    hashes = stored(models, "SELECT prompt_hash FROM registry.route_decisions ORDER BY decision")
    assert hashes[0] == (prompt_hash("secret"),)
    assert prompt_hash("secret") == (
        "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
    )
    assert "secret" not in str(stored(models, "SELECT * FROM store.route_decisions"))


def test_what_is_no_decision_is_refused(models: Engine) -> None:
    with pytest.raises(UsageError, match=r"in \[0, 1\], not 1.5"):
        log_decisions(models, [decided("x"), decided("x", probability=1.5)])
    with pytest.raises(UsageError, match="at least 0, not nan"):
        log_decisions(models, [decided("x", expected_cost=float("nan"))])
    with pytest.raises(ModelNotFoundError, match="org/nobody"):
        log_decisions(models, [decided("x"), decided("x", "org/nobody")])
    assert stored(models) == []


def test_readers_cannot_log(models: Engine) -> None:
    with reader(models) as url:
        opened = database.create_engine(url)
        with pytest.raises(RegistryError, match="Cannot log the decision"):
            log_decisions(opened, [decided("x")])
        with opened.connect() as connection:
            assert rows(connection, FLAT) == []
        opened.dispose()
    assert stored(models) == []


def test_outcomes_become_runs(models: Engine) -> None:
    numbers = log_decisions(
        models,
        [decided("p"), decided("q", "org/b"), decided("p"), decided("r"), decided("p", "org/b")],
    )
    found = feed_back(
        models,
        [
            RouteFeedback(numbers[0], None, 1.0, 1),
            RouteFeedback(None, prompt_hash("q"), 0.0, 2),
            RouteFeedback(numbers[2], None, 0.5, 3),
        ],
    )
    assert (found.outcomes, found.runs, found.benchmark) == (3, 2, "routed-prompts")
    outcomes = """SELECT model, item, outcome FROM registry.outcomes
                   WHERE benchmark = 'routed-prompts' ORDER BY model, outcome"""
    assert stored(models, outcomes) == [
        ("org/a", prompt_hash("p"), 0.75),  # of two decisions
        ("org/b", prompt_hash("q"), 0.0),
    ]
    # Feedback by prompt is for the newest decision on it; what is fed back again replaces.
    later = feed_back(
        models,
        [RouteFeedback(None, prompt_hash("p"), 1.0, 1), RouteFeedback(numbers[0], None, 0.0, 2)],
    )
    assert (later.outcomes, later.runs) == (2, 2)
    assert stored(models, outcomes) == [
        ("org/a", prompt_hash("p"), 0.25),
        ("org/b", prompt_hash("q"), 0.0),
        ("org/b", prompt_hash("p"), 1.0),
    ]
    runs = stored(models, "SELECT source, complete, metric FROM registry.runs")
    assert runs == [("route log", False, "acc")] * 2
    assert stored(models, "SELECT count(*) FROM registry.items") == [(2,)]


def test_a_benchmark_has_the_decisions_that_were_fed_back_to_it(models: Engine) -> None:
    names = ("p", "q", "r", "q")
    first, second, third, again = log_decisions(models, [decided(name) for name in names])
    feed_back(models, [RouteFeedback(first, None, 1.0, 1)])
    other = feed_back(models, [RouteFeedback(second, None, 1.0, 1)], benchmark="other")
    assert (other.outcomes, other.runs) == (1, 1)
    outcomes = "SELECT benchmark, item, outcome FROM registry.outcomes WHERE benchmark = '{}'"
    by_default = [("routed-prompts", prompt_hash("p"), 1.0)]
    assert stored(models, outcomes.format("routed-prompts")) == by_default
    assert stored(models, outcomes.format("other")) == [("other", prompt_hash("q"), 1.0)]
    # Later feedback keeps what the benchmark had.
    feed_back(models, [RouteFeedback(third, None, 0.0, 1)], benchmark="other")
    feed_back(models, [RouteFeedback(again, None, 0.0, 1)], benchmark="other")
    assert stored(models, outcomes.format("routed-prompts")) == by_default
    assert stored(models, outcomes.format("other") + " ORDER BY outcome DESC") == [
        ("other", prompt_hash("q"), 0.5),
        ("other", prompt_hash("r"), 0.0),
    ]


def test_feedback_on_what_is_not_logged_changes_nothing(models: Engine) -> None:
    (number,) = log_decisions(models, [decided("p")])
    for wrong in (RouteFeedback(number + 7, None, 1.0, 2), RouteFeedback(None, "ab", 1.0, 2)):
        with pytest.raises(UsageError, match="Line 2: there is no decision"):
            feed_back(models, [RouteFeedback(number, None, 1.0, 1), wrong])
    assert stored(models)[0][-1] is None
    assert stored(models, "SELECT count(*) FROM registry.runs") == [(0,)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"decision": 1}, "outcome is to be a number"),
        ({"decision": 1, "outcome": 2}, "outcome is to be a number"),
        ({"decision": 1, "outcome": "1"}, "outcome is to be a number"),
        ({"outcome": 1}, "one of decision, prompt and prompt_hash"),
        ({"decision": 1, "prompt": "x", "outcome": 1}, "one of decision, prompt and prompt_hash"),
        ({"decision": True, "outcome": 1}, "the decision is to be its number"),
        ({"decision": 0, "outcome": 1}, "the decision is to be its number"),
        ({"prompt": 3, "outcome": 1}, "the prompt is to be a text"),
    ],
)
def test_lines_that_are_no_feedback_are_named(
    tmp_path: Path, line: dict[str, Any], message: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"decision": 1, "outcome": True}) + "\n" + json.dumps(line) + "\n")
    with pytest.raises(UnreadableFileError, match=message) as error:
        read_feedback(path)
    assert "line 2" in str(error.value)


def test_feedback_is_read_by_number_prompt_or_hash(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [
        {"decision": 4, "outcome": True},
        {"prompt": "p", "outcome": 0},
        {"prompt_hash": "AB", "outcome": 0.5},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    assert read_feedback(path) == [
        RouteFeedback(4, None, 1.0, 1),
        RouteFeedback(None, prompt_hash("p"), 0.0, 2),
        RouteFeedback(None, "ab", 0.5, 3),
    ]


def history(engine: Engine, decisions: list[tuple[date, str, float | None, float | None]]) -> None:
    """Log decisions on days, with probability and outcome."""
    with engine.begin() as connection:
        keys = dict(rows(connection, "SELECT name, model_id FROM store.models"))
        connection.execute(
            text("""
            INSERT INTO store.route_decisions
                   (decided_at, model_id, name, router, prompt_hash, probability, outcome,
                    expected_cost)
            VALUES (:at, :model, 'x', :router, 'h', :p, :y, :cost)"""),
            [
                {
                    "at": datetime(day.year, day.month, day.day, 23, tzinfo=UTC),
                    "model": keys[name],
                    "router": "knn" if name == "org/a" else "best",
                    "p": p,
                    "y": y,
                    "cost": 0.5 if name == "org/a" else None,
                }
                for day, name, p, y in decisions
            ],
        )


def test_a_report_tells_calibrated_from_drifted(models: Engine) -> None:
    good, bad = date(2026, 3, 2), date(2026, 3, 9)
    history(
        models,
        [(good, "org/a", 0.75, float(n % 4 > 0)) for n in range(40)]
        + [(good, "org/b", 1.0, 1.0)] * 2
        + [(good, "org/b", None, 1.0), (good, "org/b", 0.5, None)]
        + [(bad, "org/a", 0.75, float(n % 2)) for n in range(40)]
        + [(bad, "org/b", 0.9, 0.0)] * 5,
    )
    with models.connect() as connection:
        found = drift.report_drift(connection)
        by_name = {(row.period, row.model): row for row in found}
        since = drift.report_drift(connection, since=datetime(2026, 3, 9, tzinfo=UTC))
        by_month = drift.report_drift(connection, period=ReportPeriod.MONTH)
        of_router = drift.report_drift(connection, router="best")
    assert [(row.period, row.model) for row in found] == [
        (good, "all"), (good, "org/a"), (good, "org/b"),
        (bad, "all"), (bad, "org/a"), (bad, "org/b"),
    ]  # fmt: skip
    first = by_name[good, "org/a"]
    assert (first.decisions, first.outcomes, first.drifted) == (40, 40, False)
    assert first.share == pytest.approx(40 / 44)
    assert [first.expected, first.observed, first.difference] == pytest.approx([0.75, 0.75, 0])
    assert first.margin == pytest.approx(1.959964 * np.sqrt(0.75 * 0.25 / 40))
    assert first.calibration_error == pytest.approx(0)
    assert first.expected_cost == pytest.approx(0.5)
    few = by_name[good, "org/b"]
    assert (few.decisions, few.outcomes, few.drifted, few.expected_cost) == (4, 2, None, None)
    both = by_name[good, "all"]
    assert both.expected == pytest.approx((40 * 0.75 + 2) / 42)
    drifted = by_name[bad, "org/a"]
    assert drifted.drifted
    assert drifted.difference == pytest.approx(-0.25)
    assert by_name[bad, "all"].calibration_error == pytest.approx((10 + 4.5) / 45)
    assert by_name[bad, "org/b"].drifted is None
    assert [row.model for row in drift.drifts(found)] == ["all", "org/a"]
    assert [row.period for row in since] == [bad] * 3
    assert (by_month[0].period, by_month[0].decisions) == (date(2026, 3, 1), 89)
    assert {row.model for row in of_router} == {"all", "org/b"}
    assert of_router[0].decisions == 4


def test_days_are_those_of_utc_and_a_certain_answer_is_in_the_last_bin(models: Engine) -> None:
    day = date(2026, 3, 2)
    history(models, [(day, "org/a", 0.95, 1.0), (day, "org/a", 1.0, 0.0)])
    with models.connect() as connection:
        found = drift.report_drift(connection, period=ReportPeriod.DAY)
    assert [row.period for row in found] == [day, day]
    assert found[0].calibration_error == pytest.approx((1.95 - 1) / 2)


def test_decisions_outlive_a_stub(models: Engine) -> None:
    with models.begin() as connection:
        connection.execute(text("UPDATE store.models SET state = 'stub' WHERE name = 'org/b'"))
        key = connection.scalar(text("SELECT model_id FROM store.models WHERE name = 'org/b'"))
    log_decisions(models, [decided("p", "org/b")])
    with models.begin() as connection:
        assert drop_stubs(connection, [key]) == ["org/b"]
    assert [row[2] for row in stored(models)] == ["org/b"]


def test_the_commands(commands: Commands, engine: Engine, tmp_path: Path) -> None:
    encoder = open_encoder("hashing")
    serving = np.zeros((2, encoder.dimension + 1), np.float32)
    serving[1, -1] = 1
    with engine.begin() as connection:
        version = kept(connection, drawn(2), serving=serving, encoder=encoder.name)
    commands.done("route", "hello")
    assert "No decision was logged" in commands("route", "report").stderr
    result = commands("route", "hello", "--log", "--format", "quiet")
    assert (result.stdout, result.exit_code) == ("org/m1\norg/m0\n", 0)
    assert "Logged as decision 1." in result.stderr
    commands.done("route", "hello again", "--log-prompt")
    logged = stored(engine, "SELECT * FROM registry.route_decisions ORDER BY decision")
    assert [row[8] for row in logged] == [None, "hello again"]
    assert [row[6] for row in logged] == [version] * 2
    assert logged[0][9][1]["model"] == "org/m0"
    assert logged[0][9][1]["probability"] == 0.5
    path = tmp_path / "a.jsonl"
    path.write_text('{"decision": 1, "outcome": 1}\n{"prompt": "hello again", "outcome": 0}\n')
    assert commands.json("route", "feedback", str(path)) == [
        {"outcomes": 2, "runs": 1, "benchmark": "routed-prompts"}
    ]
    found = commands.json("route", "report", "--by", "month")
    assert [(row["model"], row["decisions"], row["observed"]) for row in found] == [
        ("all", 2, 0.5),
        ("org/m1", 2, 0.5),
    ]
    path.write_text('{"decision": 9, "outcome": 1}\n')
    assert "Line 1: there is no decision 9" in commands.refused(2, "route", "feedback", str(path))
    missing = commands.refused(1, "route", "feedback", str(tmp_path / "none.jsonl"))
    assert "none.jsonl" in missing
