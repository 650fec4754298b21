"""Scores that the Hub shows with models, taken up by the sync."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from generated_hub.models import generate
from sqlalchemy import Engine, text

from registry.db import jobs
from registry.demo.hub.server import HubServer
from registry.errors import LockHeldError
from registry.evaluations.importer import ImportOptions, import_files
from registry.hub.client import Hub
from registry.sync import sync
from registry.sync.sync import SyncOptions, SyncReport

DAY = datetime(2026, 6, 1, tzinfo=UTC)
SCORES = "SELECT model, benchmark, metric, raw_score, unit, verified, source FROM registry.scores"


@pytest.fixture
def server() -> Iterator[HubServer]:
    records = [dict(record) for record in generate(60)]
    for record in records:
        record["cardData"] = {
            key: value
            for key, value in (record.get("cardData") or {}).items()
            if key != "model-index"
        }
    with HubServer(records, page_limit=50) as running:
        yield running


def run(engine: Engine, server: HubServer, **options: Any) -> SyncReport:
    settings = replace(SyncOptions(as_of=DAY, lookups=0), **options)
    return sync.sync_models(engine, settings, source=Hub(server.url, first_wait=0.01, patience=2))


def rows(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return sorted(tuple(row) for row in connection.execute(text(query)))


def index(*results: tuple[str, str, float]) -> list[dict[str, Any]]:
    return [
        {
            "name": "any",
            "results": [
                {
                    "task": {"type": "text-generation"},
                    "dataset": {"name": name, "type": name},
                    "metrics": [{"type": metric, "value": value}],
                    "source": {"name": "Board", "url": "https://example.org"},
                }
                for name, metric, value in results
            ],
        }
    ]


def put(server: HubServer, name: str, day: int, **changes: Any) -> None:
    record = next(dict(each) for each in generate(60) if each["id"] == name)
    server.put(record | {"lastModified": f"2026-05-{day:02}T12:00:00.000Z", **changes})


def mapping(folder: Path, roles: dict[str, str]) -> Path:
    file = folder / "mapping.yaml"
    file.write_text(json.dumps({"layout": "scores", "columns": roles}))
    return file


def name_of(number: int) -> str:
    return str(list(generate(60))[number]["id"])


def test_scores_of_cards_and_of_eval_results_become_runs(engine: Engine, server: HubServer) -> None:
    one, other = name_of(3), name_of(4)
    put(server, one, 28, cardData={"model-index": index(("arc", "acc", 61.5), ("gsm8k", "acc", 7))})
    put(
        server,
        other,
        29,
        cardData={},
        evalResults=[
            {
                "dataset": {"id": "cais/hle", "task_id": "default"},
                "value": 20.9,
                "verifyToken": "a.b.c",
                "source": {"url": "https://example.org/run", "name": "Run"},
            }
        ],
    )
    report = run(engine, server)
    assert report.counts.scores_changed == 3
    assert rows(engine, SCORES) == sorted(
        [
            (one, "arc", "acc", 61.5, "%", False, "Board"),
            (one, "gsm8k", "acc", 7.0, "%", False, "Board"),
            (other, "cais/hle", "score", 20.9, None, True, "Run"),
        ]
    )
    assert rows(engine, "SELECT * FROM store.pending_evaluations") == []
    assert rows(engine, "SELECT DISTINCT method FROM registry.evaluated_names") == [("exact",)]


def test_an_unchanged_model_keeps_its_scores_and_a_changed_one_has_its_new_ones(
    engine: Engine, server: HubServer
) -> None:
    one, other = name_of(3), name_of(4)
    put(server, one, 20, cardData={"model-index": index(("arc", "acc", 61.5), ("boolq", "acc", 2))})
    put(server, other, 20, cardData={"model-index": index(("arc", "acc", 33.0))})
    run(engine, server)
    assert run(engine, server, full=True).counts.scores_changed == 0
    put(server, one, 21, cardData={"model-index": index(("arc", "acc", 62.5))})
    assert run(engine, server).counts.scores_changed == 1
    assert rows(engine, "SELECT model, benchmark, raw_score FROM registry.scores") == sorted(
        [
            (one, "arc", 62.5),
            (other, "arc", 33.0),
        ]
    )
    put(server, one, 22, cardData={"model-index": index(("arc", "acc", 63), ("boolq", "acc", 3))})
    run(engine, server)
    put(server, one, 23, cardData={})
    assert run(engine, server).counts.quarantined == 0
    assert rows(engine, "SELECT model, raw_score FROM registry.scores") == [(other, 33.0)]


def test_what_is_imported_from_files_stays_when_a_card_loses_its_scores(
    engine: Engine, server: HubServer
) -> None:
    one = name_of(3)
    put(server, one, 20, cardData={"model-index": index(("arc", "acc", 61.5))})
    run(engine, server)
    with engine.begin() as connection:
        connection.execute(
            text("""
            INSERT INTO store.imports (path, format, bytes, sha256, imported_at, summary)
            VALUES ('a.csv', 'table', 1, 'ab', now(), '{}')""")
        )
        connection.execute(
            text("""
            INSERT INTO store.runs (model_id, run_id, score, benchmark_id, measure_id, setup_id,
                                    source_id, name_id, import_id, complete, verified)
            SELECT model_id, 1, 0.5, benchmark_id, measure_id, setup_id, source_id, name_id,
                   (SELECT import_id FROM store.imports), true, false FROM store.runs""")
        )
    put(server, one, 21, cardData={})
    run(engine, server)
    assert rows(engine, "SELECT raw_score FROM registry.scores") == [(0.5,)]


def test_scores_may_be_left_to_a_later_run(engine: Engine, server: HubServer) -> None:
    put(server, name_of(3), 28, cardData={"model-index": index(("arc", "acc", 61.5))})
    assert run(engine, server, evaluations=False).counts.scores_changed == 0
    assert rows(engine, SCORES) == []
    assert run(engine, server).counts.scores_changed == 1
    assert len(rows(engine, SCORES)) == 1


def test_a_dry_run_takes_up_nothing(engine: Engine, server: HubServer) -> None:
    put(server, name_of(3), 28, cardData={"model-index": index(("arc", "acc", 61.5))})
    run(engine, server, dry_run=True)
    assert rows(engine, SCORES) == rows(engine, "SELECT * FROM store.pending_evaluations") == []


def test_while_evaluations_are_imported_the_scores_wait(
    engine: Engine, server: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    put(server, name_of(3), 28, cardData={"model-index": index(("arc", "acc", 61.5))})
    with jobs.exclusive(engine, jobs.Lock.EVALUATIONS):
        assert run(engine, server).complete
        with pytest.raises(LockHeldError), jobs.exclusive(engine, jobs.Lock.EVALUATIONS):
            pass
    assert "next sync" in caplog.text
    assert rows(engine, SCORES) == []
    run(engine, server)
    assert len(rows(engine, SCORES)) == 1


def test_hostile_scores_do_not_stop_a_sync(engine: Engine, server: HubServer) -> None:
    hostile: list[Any] = [
        7, "x", {"results": 3}, [{"results": [{"dataset": {"name": "a\x00b"}, "metrics": "no"}]}],
        index(("arc", "acc", float("1e400")), ("arc", "acc", 50.0), ("arc", "acc", 51.0)),
        index(*((f"task {number}", "acc", number / 10) for number in range(2_000))),
        [[[[[]]]]], {"name": {"a": 1}},
    ]  # fmt: skip
    for number, value in enumerate(hostile):
        put(server, name_of(number), 28, cardData={"model-index": value}, evalResults=value)
    report = run(engine, server)
    assert report.complete
    assert (report.counts.records, report.counts.quarantined) == (60, 0)
    found = dict(rows(engine, "SELECT model, count(*) FROM registry.scores GROUP BY model"))
    assert found[name_of(5)] == 1_000
    assert set(found) <= {name_of(4), name_of(5)}


def test_a_name_from_an_evaluation_is_filled_in_when_the_hub_lists_it(
    engine: Engine, server: HubServer, tmp_path: Path
) -> None:
    name = name_of(7)
    spelt = (name, name.upper(), name.replace("/", "__"), "nobody/knows-this")
    file = tmp_path / "scores.csv"
    file.write_text("model,benchmark,score\n" + "".join(f"{each},arc,0.5\n" for each in spelt))
    roles = {"model": "model", "benchmark": "benchmark", "score": "score"}
    (report,) = import_files(engine, [file], ImportOptions(mapping=str(mapping(tmp_path, roles))))
    assert report.written.unresolved == 4
    run(engine, server)
    found = dict(rows(engine, "SELECT spelling, method FROM registry.evaluated_names"))
    assert found[name] == "exact"
    assert found["nobody/knows-this"] == "unresolved"
    models = dict(rows(engine, "SELECT model, count(*) FROM registry.scores GROUP BY model"))
    assert models == {name: 3, "nobody/knows-this": 1}
    states = dict(rows(engine, "SELECT name, state FROM registry.models WHERE state = 'stub'"))
    assert states.get("nobody/knows-this") == "stub"
    assert name.upper() not in states
