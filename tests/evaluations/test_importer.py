"""Imports of evaluations: what lands, what does not, and what stays as it is."""

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import factories
import numpy as np
import pytest
import yaml
from cli_commands import Commands
from evaluated import (
    SOURCE,
    block,
    contents,
    day,
    generated,
    grid,
    items,
    long_table,
    run,
    setup,
    write,
)
from factories import rows
from forks import Forks
from sqlalchemy import Connection, Engine, event, text

from registry.db import connection as database
from registry.db import embedded, jobs, migrate
from registry.errors import DatabaseUnreachableError, LockHeldError, RegistryError, UsageError
from registry.evaluations.import_log import FileReport, counts
from registry.evaluations.importer import ImportOptions, import_files
from registry.evaluations.outcomes import read_outcomes
from registry.evaluations.records import Item, Measure, Source, content_hash

if TYPE_CHECKING:
    from databases import Databases

WRITTEN = (
    "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables"
    " WHERE schemaname = 'store' AND relname <> 'job_runs' ORDER BY relname"
)


def activity(engine: Engine) -> list[tuple[Any, ...]]:
    """Rows written to every table of the store but the log of jobs, ever."""
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
    with engine.connect() as connection:
        return rows(connection, WRITTEN)


def imported(engine: Engine, *paths: Path, **options: Any) -> list[FileReport]:
    return import_files(engine, list(paths), ImportOptions(**options))


def statuses(reports: list[FileReport]) -> list[str]:
    return [report.status for report in reports]


def asked(engine: Engine, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return rows(connection, query, **parameters)


def table(path: Path, seed: int, benchmark: str, models: int = 4, count: int = 30) -> Path:
    """Write a table of generated outcomes."""
    made = generated(seed, models, count, graded=seed % 2 == 0)
    return long_table(
        path,
        (
            (model, benchmark, f"i{place}", outcome)
            for model, outcomes in made.items()
            for place, outcome in enumerate(outcomes)
            if outcome is not None
        ),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three tables, two of one benchmark."""
    folder = tmp_path / "in"
    folder.mkdir()
    table(folder / "a.csv", 1, "one")
    table(folder / "b.csv", 2, "two")
    long_table(folder / "c.csv", [("org/m0", "one", "i0", 1), ("late", "one", "i900", 0)])
    return folder


def scores(tmp_path: Path, **changes: Any) -> str:
    """Write a mapping of scores by row; return its path."""
    path = tmp_path / f"scores-{len(list(tmp_path.iterdir()))}.yaml"
    columns = {"model": "model", "benchmark": "benchmark", "score": "score", "source": "=told"}
    path.write_text(yaml.safe_dump({"layout": "scores", "columns": columns, **changes}))
    return str(path)


def test_outcomes_land_as_they_are_told(engine: Engine, folder: Path) -> None:
    reports = imported(engine, folder)
    assert statuses(reports) == ["imported"] * 3
    assert [Path(report.path).name for report in reports] == ["a.csv", "b.csv", "c.csv"]
    made = generated(2, 4, 30, graded=True)
    expected = {
        (model, f"i{place}"): pytest.approx(outcome, abs=1e-6)
        for model, outcomes in made.items()
        for place, outcome in enumerate(outcomes)
        if outcome is not None
    }
    found = asked(
        engine, "SELECT model, item, outcome FROM registry.outcomes WHERE benchmark = 'two'"
    )
    assert {(model, item): outcome for model, item, outcome in found} == expected
    assert reports[1].written.outcomes == len(expected)


def test_importing_again_writes_nothing(engine: Engine, folder: Path) -> None:
    imported(engine, folder)
    before, held = activity(engine), contents(engine)
    again = imported(engine, folder)
    assert statuses(again) == ["unchanged"] * 3
    assert [report.written.unchanged for report in again] == [4, 4, 2]
    assert activity(engine) == before
    assert contents(engine) == held


def test_a_dry_run_writes_nothing_and_tells_the_same(engine: Engine, folder: Path) -> None:
    imported(engine, folder / "b.csv")
    before, jobs = contents(engine), asked(engine, "SELECT * FROM store.job_runs")
    dry = imported(engine, folder / "a.csv", dry_run=True)
    assert contents(engine) == before
    assert asked(engine, "SELECT * FROM store.job_runs") == jobs
    real = imported(engine, folder / "a.csv")
    assert counts(dry[0]) == counts(real[0])
    assert dry[0].status == real[0].status == "imported"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bad.csv", "model,benchmark,item,outcome\n" + "m,x,i{n},1\n" * 2000 + "m,x,last,oops\n"),
        ("bad.csv", "model,benchmark,item,outcome\n" + "m,x,i{n},1\n" * 2000 + "m,x,last,7\n"),
        ("bad.csv", "model,benchmark,item,outcome\nm,x,i1,1\nm,x,i1,0\n"),
        ("bad.csv", "model,benchmark,item,outcome\nm,x,i1,1\nm\nn,x,i1,1\n"),
        ("bad.csv", "model,benchmark,item,outcome\nm,x,i1,1\n" + "n" * 256 + ",x,i1,1\n"),
        ("bad.csv", "model,benchmark,item,outcome\nm,x,i1,1\nt\tb,x,i1,1\n"),
        ("bad.csv.gz", "no gzip"),
        ("bad.parquet", "no parquet"),
        ("samples_x_2026-01-01T00-00-00.jsonl", '{"doc_id": 0, "resps": []'),
        ("results.json", '{"results": {'),
        ("results.json", '{"versions": {}, "results": {"t": {"acc,none": 61.2}}}'),
        ("results.json", '{"versions": {}, "results": {"t": {"acc,none": "high"}}}'),
    ],
)
def test_of_a_file_that_cannot_be_read_nothing_lands_and_the_others_do(
    engine: Engine, commands: Commands, folder: Path, name: str, content: str
) -> None:
    lines = content.split("\n")
    (folder / name).write_text(
        "\n".join(line.replace("{n}", str(number)) for number, line in enumerate(lines))
    )
    result = commands("evals", "import", str(folder), "--format", "json")
    assert result.exit_code == 3, result.output
    told = {Path(each["path"]).name: each for each in json.loads(result.stdout)}
    assert {key: each["status"] for key, each in told.items() if key != name} == dict.fromkeys(
        ["a.csv", "b.csv", "c.csv"], "imported"
    )
    assert told[name]["status"] == "failed"
    assert told[name]["error"] in result.stderr
    assert name in told[name]["error"] or "x" in told[name]["error"]
    assert asked(engine, "SELECT DISTINCT benchmark FROM registry.runs ORDER BY 1") == [
        ("one",),
        ("two",),
    ]
    assert asked(engine, "SELECT count(*) FROM store.imports") == [(3,)]
    assert asked(engine, "SELECT count(*) FROM store.models WHERE name IN ('m', 'n')") == [(0,)]
    assert asked(engine, "SELECT count(*) FROM store.item_statistics") == [(2,)]
    assert commands("evals", "import", str(folder / name)).exit_code == 1


def test_a_file_that_vanishes_fails_alone(engine: Engine, folder: Path) -> None:
    def remove(what: str, number: int, total: int) -> None:
        (folder / "b.csv").unlink(missing_ok=True)

    reports = import_files(engine, [folder], on_progress=remove)
    assert statuses(reports) == ["imported", "failed", "imported"]
    assert "b.csv" in (reports[1].error or "")


def test_a_file_more_needs_no_connection_more(engine: Engine, folder: Path) -> None:
    """Opening one takes longer than a small file."""
    opened: list[object] = []
    event.listen(engine, "connect", lambda connection, _: opened.append(connection))
    imported(engine, folder / "a.csv")
    of_one = len(opened)
    imported(engine, folder)
    assert len(opened) == 2 * of_one


def test_a_contradiction_between_rows_of_scores(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("model,benchmark,score\nm,b,0.5\nn,b,0.25\nm,b,0.75\n")
    [report] = imported(engine, path, mapping=scores(tmp_path))
    assert report.status == "failed"
    assert "m" in (report.error or "")
    assert asked(engine, "SELECT count(*) FROM store.runs") == [(0,)]
    path.write_text("model,benchmark,score\nm,b,0.5\nn,b,0.25\nm,b,0.5\n")
    [report] = imported(engine, path, mapping=scores(tmp_path))
    assert report.status == "imported"
    assert asked(engine, "SELECT model, score FROM registry.runs ORDER BY 1") == [
        ("m", 0.5),
        ("n", 0.25),
    ]


def test_a_contradiction_in_a_block(connection: Connection) -> None:
    with pytest.raises(RegistryError, match="two results of m on b .* 1 and 0.5"):
        write(connection, block("b", run("m", [1, 1]), run("n", [1, 0]), run("m", [1, 0])))


def test_what_tells_runs_apart(connection: Connection) -> None:
    told: list[dict[str, Any]] = [
        {},
        {"revision": "r"},
        {"measure": Measure(metric="acc", filter="strict")},
        {"measure": Measure(metric="other")},
        {"source": Source(name="elsewhere")},
        {"setup": setup(seed="1")},
        {"setup": setup(seed="2")},
        {"evaluated_at": day(1)},
        {"evaluated_at": day(2)},
    ]
    runs = [run("m", score=number / 10, **each) for number, each in enumerate(told)]
    assert write(connection, block("b", *runs)).added == len(told)
    assert write(connection, block("b", *runs, version="2")).added == len(told)
    assert write(connection, block("c", *runs)).added == len(told)
    assert write(connection, block("c", *runs)).changes == 0
    assert rows(connection, "SELECT count(DISTINCT run) FROM registry.runs") == [(3 * len(told),)]


def test_another_scale_is_another_measure(connection: Connection) -> None:
    percent = Measure(metric="acc", upper=100.0, unit="%")
    write(connection, block("b", run("m", score=0.5), run("n", score=50.0, measure=percent)))
    measures = "SELECT upper, unit FROM store.measures ORDER BY upper"
    assert rows(connection, measures) == [(1.0, None), (100.0, "%")]
    assert rows(connection, "SELECT model, score FROM registry.leaderboard ORDER BY 1") == [
        ("m", 0.5),
        ("n", 0.5),
    ]
    # The same run, told on the other scale since, is read on that one.
    written = write(connection, block("b", run("m", score=25.0, measure=percent)))
    assert (written.added, written.changed) == (0, 1)
    assert rows(connection, "SELECT score, raw_score FROM registry.runs WHERE model = 'm'") == [
        (0.25, 25.0)
    ]


@pytest.mark.parametrize("results_first", [True, False])
def test_two_files_of_one_run(connection: Connection, *, results_first: bool) -> None:
    # The source rounds, and knows a standard error of its own.
    results = block("b", run("m", score=0.67, standard_error=0.3, items=3))
    samples = block("b", run("m", [1, 1, 0]))
    order = [results, samples] if results_first else [samples, results]
    written = write(connection, *order)
    assert (written.runs, written.added, written.changed) == (2, 1, int(results_first))
    assert rows(
        connection, "SELECT raw_score, items, has_outcomes, kind FROM registry.runs"
        " JOIN registry.scores USING (run, raw_score, items)"
    ) == [(pytest.approx(2 / 3), 3, True, "measured")]  # fmt: skip
    assert write(connection, *order).changes == 0


def test_a_file_that_changed_changes_its_runs(engine: Engine, tmp_path: Path) -> None:
    path = long_table(tmp_path / "t.csv", [("m", "b", "i0", 1), ("n", "b", "i0", 1)])
    imported(engine, path)
    long_table(path, [("m", "b", "i0", 0), ("n", "b", "i0", 1), ("o", "b", "i1", 0.5)])
    [report] = imported(engine, path)
    assert (report.written.added, report.written.changed, report.written.unchanged) == (1, 1, 1)
    assert asked(engine, "SELECT model, item, outcome FROM registry.outcomes ORDER BY 1") == [
        ("m", "i0", 0.0),
        ("n", "i0", 1.0),
        ("o", "i1", 0.5),
    ]
    assert asked(engine, "SELECT models, means FROM store.item_statistics") == [([2, 1], [0.5] * 2)]
    assert asked(engine, "SELECT count(*) FROM store.imports") == [(2,)]


def test_answers_of_a_run_that_was_longer_once(connection: Connection) -> None:
    answers = ["A", "B", "A", "C"]
    tokens = np.array([3, -1, 0, 7], np.int32)
    write(connection, block("b", run("m", [1, 0, 1, 1], answers=answers, input_tokens=tokens)))
    told = "SELECT item, answer, is_right, input_tokens FROM registry.answers ORDER BY item"
    assert rows(connection, told) == [
        ("i0", "A", True, 3),
        ("i1", "B", False, None),
        ("i2", "A", True, 0),
        ("i3", "C", True, 7),
    ]
    write(connection, block("b", run("m", [0, 0], answers=["D", None])))
    assert rows(connection, told) == [("i0", "D", False, None), ("i1", None, False, None)]
    # What it answered is of outcomes that are no more.
    write(connection, block("b", run("m", [1])))
    assert rows(connection, told) == []
    write(connection, block("b", run("m", score=1.0)))
    assert rows(connection, "SELECT has_outcomes FROM registry.runs") == [(True,)]


def test_paths_and_formats_that_there_are_none_of(
    engine: Engine, commands: Commands, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no file or folder"):
        imported(engine, tmp_path / "nothing")
    with pytest.raises(UsageError, match="no format 'odd'"):
        imported(engine, tmp_path, format="odd")
    assert "no file or folder" in commands.refused(2, "evals", "import", str(tmp_path / "none"))
    odd = tmp_path / "notes.txt"
    odd.write_text("hello")
    assert "--as" in commands.refused(1, "evals", "import", str(odd))
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    [report] = imported(engine, other)
    assert (report.status, report.format) == ("failed", None)
    assert statuses(imported(engine, tmp_path)) == ["skipped", "skipped"]
    assert imported(engine, tmp_path / ".") == imported(engine, tmp_path)


def test_folders_are_walked_but_for_hidden_ones(engine: Engine, folder: Path) -> None:
    (folder / "deep" / "er").mkdir(parents=True)
    table(folder / "deep" / "er" / "d.csv", 3, "three")
    (folder / ".git").mkdir()
    table(folder / ".git" / "e.csv", 5, "five")
    (folder / "README.md").write_text("# No results\n")
    reports = imported(engine, folder)
    assert [Path(each.path).name for each in reports if each.status == "imported"] == [
        "a.csv",
        "b.csv",
        "c.csv",
        "d.csv",
    ]
    assert not [each for each in reports if each.status == "skipped"]


def test_what_is_said_of_files_counts_before_what_they_say(engine: Engine, folder: Path) -> None:
    imported(engine, folder / "a.csv", source="me", benchmark="mine", benchmark_version="7")
    assert asked(engine, "SELECT DISTINCT source, benchmark, version FROM registry.runs") == [
        ("me", "mine", "7")
    ]
    imported(engine, folder / "a.csv", benchmark_version="8")
    assert asked(engine, "SELECT benchmark, version FROM registry.benchmarks ORDER BY 1") == [
        ("mine", "7"),
        ("one", "8"),
    ]


def test_one_import_at_a_time(engine: Engine, commands: Commands, folder: Path) -> None:
    with jobs.exclusive(engine, jobs.Lock.EVALUATIONS):
        with pytest.raises(LockHeldError, match="Another evals import is running"):
            imported(engine, folder)
        assert "is running" in commands.refused(5, "evals", "import", str(folder))
    assert asked(engine, "SELECT count(*) FROM store.runs") == [(0,)]
    assert statuses(imported(engine, folder)) == ["imported"] * 3
    assert asked(engine, "SELECT status FROM store.job_runs") == [("done",)]


# Items


def test_items_that_ask_something_else(connection: Connection) -> None:
    write(connection, block("b", run("m", [1]), asked=[Item("i0", prompt="1+1?")]))
    with pytest.raises(RegistryError, match=r"Item i0 of b has another prompt.*--benchmark-v"):
        write(connection, block("b", run("n", [1]), asked=[Item("i0", prompt="2+2?")]))


def test_white_space_at_the_ends_asks_nothing_else(connection: Connection) -> None:
    write(connection, block("b", run("m", [1]), asked=[Item("i0", prompt="1+1?\nSay.")]))
    other = [Item("i0", prompt=" 1+1?  \r\nSay.\n")]
    assert write(connection, block("b", run("m", [1]), asked=other)).changes == 0


def test_items_are_known_by_what_they_ask(connection: Connection) -> None:
    write(
        connection,
        block("b", run("m", [1, 0, 1]), asked=[
            Item("a", prompt="A?"), Item("b", prompt="B?"), Item("twin", prompt="same")
        ]),
        block("b", run("m", [1], revision="2"), asked=[Item("twin2", prompt="same2")]),
    )  # fmt: skip
    other = [Item("x", prompt="B?"), Item("y", prompt="new"), Item("a"), Item("z", prompt="A?")]
    written = write(connection, block("b", run("n", [1, 0, 0.5, 1]), asked=other))
    # z asks what a does, but a is there by its name already.
    assert written.items_added == 2
    assert rows(connection, "SELECT item, ordinal FROM registry.items ORDER BY 2") == [
        ("a", 0), ("b", 1), ("twin", 2), ("twin2", 3), ("y", 4), ("z", 5)
    ]  # fmt: skip
    found = rows(connection, "SELECT item, outcome FROM registry.outcomes WHERE model = 'n'")
    assert sorted(found) == [("a", 0.5), ("b", 1.0), ("y", 0.0), ("z", 1.0)]


def test_two_items_of_one_content_are_two(connection: Connection) -> None:
    twins = [Item("a", prompt="?"), Item("b", prompt="?")]
    assert write(connection, block("b", run("m", [1, 0]), asked=twins)).items_added == 2
    assert write(connection, block("b", run("n", [1, 0]), asked=twins)).items_added == 0
    # Which of the two it is cannot be told.
    third = [Item("c", prompt="?")]
    assert write(connection, block("b", run("o", [1]), asked=third)).items_added == 1


TWINS = [Item("h0", prompt="?"), Item("h1", prompt="1+1?"), Item("h2", prompt="?")]


@pytest.mark.parametrize(
    ("named", "lands"),
    [
        ("h2", "h2"),
        ("2", "h2"),  # its place in the benchmark
        ("0", "h0"),
        ("1", "1"),  # at that place is something else
        ("other", "other"),
    ],
)
def test_one_of_two_items_of_one_content(connection: Connection, named: str, lands: str) -> None:
    """A file that is limited to one of them binds it to itself or to nothing, never its twin."""
    write(connection, block("b", run("m", [1, 1, 0]), asked=TWINS))
    written = write(connection, block("b", run("n", [1]), asked=[Item(named, prompt="?")]))
    assert written.items_added == (lands == named != "h2")
    found = rows(connection, "SELECT item, outcome FROM registry.outcomes WHERE model = 'n'")
    assert found == [(lands, 1.0)]


def test_limited_files_of_numbered_twins(connection: Connection) -> None:
    for number in (0, 2):
        asked = [Item(str(number), prompt="?")]
        write(connection, block("b", run("m", [number / 2], revision=str(number)), asked=asked))
    assert rows(connection, "SELECT item, outcome FROM registry.outcomes ORDER BY 1") == [
        ("0", 0.0),
        ("2", 1.0),
    ]


def test_twins_under_other_names_are_paired_in_order(connection: Connection) -> None:
    write(connection, block("b", run("m", [1, 1, 0]), asked=TWINS))
    other = [Item("x", prompt="1+1?"), Item("y", prompt="?"), Item("z", prompt="?")]
    assert write(connection, block("b", run("n", [0, 1, 0.5]), asked=other)).items_added == 0
    found = rows(connection, "SELECT item, outcome FROM registry.outcomes WHERE model = 'n'")
    assert sorted(found) == [("h0", 1.0), ("h1", 0.0), ("h2", 0.5)]


def test_answers_tell_twins_apart(connection: Connection) -> None:
    """Such as pictures that are all asked about in the same words."""
    known = [Item("h0", prompt="?", answer="cat"), Item("h1", prompt="?", answer="dog")]
    write(connection, block("b", run("m", [1, 0]), asked=known))
    other = [Item("x", prompt="?", answer="dog"), Item("y", prompt="?", answer="cat")]
    assert write(connection, block("b", run("n", [1, 0]), asked=other)).items_added == 0
    found = rows(connection, "SELECT item, outcome FROM registry.outcomes WHERE model = 'n'")
    assert sorted(found) == [("h0", 0.0), ("h1", 1.0)]
    other = [Item("v", prompt="?", answer="bird"), Item("w", prompt="?", answer="dog")]
    assert write(connection, block("b", run("o", [1, 0]), asked=other)).items_added == 2


def test_items_are_completed_and_never_emptied(connection: Connection) -> None:
    full = [Item("i0", prompt="?", choices=("x", "y"), answer="x", domain="d")]
    write(connection, block("b", run("m", [1])))
    assert write(connection, block("b", asked=full)).items_completed == 1
    assert write(connection, block("b", asked=full)).changes == 0
    assert write(connection, block("b", run("n", [1]))).items_completed == 0
    assert rows(connection, "SELECT prompt, choices, answer, domain FROM registry.items") == [
        ("?", ["x", "y"], "x", "d")
    ]


@pytest.mark.parametrize(
    "missing",
    [{"choices": ()}, {"answer": None}, {"domain": None}, {"prompt": None},
     {"prompt": None, "choices": ()}],
    ids=str,
)  # fmt: skip
def test_an_item_is_completed_by_a_single_column(
    connection: Connection, missing: dict[str, Any]
) -> None:
    full = Item("i0", prompt="?", choices=("x", "y"), answer="x", domain="d")
    write(connection, block("b", asked=[full._replace(**missing)]))
    assert write(connection, block("b", asked=[full])).items_completed == 1
    columns = "prompt, choices, answer, domain, content_hash"
    assert rows(connection, f"SELECT {columns} FROM registry.items") == [
        ("?", ["x", "y"], "x", "d", content_hash(full))
    ]


@pytest.mark.parametrize("choices_first", [True, False])
def test_a_prompt_and_choices_of_two_files_are_one_content(
    connection: Connection, *, choices_first: bool
) -> None:
    full = Item("i0", prompt="?", choices=("x", "y"))
    parts = [full._replace(prompt=None), full._replace(choices=())]
    for part in parts if choices_first else parts[::-1]:
        write(connection, block("b", asked=[part]))
    for part in (full, *parts):
        assert write(connection, block("b", asked=[part])).items_completed == 0
    assert rows(connection, "SELECT prompt, choices, content_hash FROM registry.items") == [
        ("?", ["x", "y"], content_hash(full))
    ]
    # The choices that are there stay.
    write(connection, block("c", asked=[Item("i0", choices=("a", "b"))]))
    write(connection, block("c", asked=[full]))
    kept = full._replace(choices=("a", "b"))
    query = "SELECT choices, content_hash FROM registry.items WHERE benchmark = 'c'"
    assert rows(connection, query) == [(["a", "b"], content_hash(kept))]


# Preferences and statistics


def test_the_preferred_run(connection: Connection) -> None:
    """From the least preferred to the most."""
    order: list[dict[str, Any]] = [
        {"complete": False, "verified": False, "evaluated_at": day(9)},
        {"complete": False, "verified": True, "evaluated_at": day(1)},
        {"complete": True, "verified": False, "evaluated_at": None},
        {"complete": True, "verified": False, "evaluated_at": day(3)},
        {"complete": True, "verified": False, "evaluated_at": day(4)},
        {"complete": True, "verified": True, "evaluated_at": None},
        {"complete": True, "verified": True, "evaluated_at": day(2)},
    ]
    for place, told in enumerate(order):
        outcomes = [float(number <= place) for number in range(8)]
        told["setup"] = setup(place=str(place))
        write(connection, block("b", run("m", outcomes, **told)))
        score = (place + 1) / 8
        assert rows(connection, "SELECT score FROM registry.leaderboard") == [(score,)]
        assert rows(connection, "SELECT means FROM store.item_statistics") == [(outcomes,)]
        assert read_outcomes(connection).values.tolist() == [outcomes]
        assert rows(connection, "SELECT accuracy FROM registry.accuracy_by_domain('m')") == [
            (score,)
        ]


def test_of_runs_alike_the_same_is_preferred_everywhere(connection: Connection) -> None:
    runs = [run("m", [float(number == place) for place in range(6)], setup=setup(n=str(number)))
            for number in range(6)]  # fmt: skip
    write(connection, block("b", *runs))
    [(chosen,)] = rows(connection, "SELECT run FROM registry.leaderboard")
    [(outcomes,)] = rows(
        connection,
        "SELECT array_agg(outcome ORDER BY item) FROM registry.outcomes WHERE run = :run",
        run=chosen,
    )
    assert read_outcomes(connection).values.tolist() == [outcomes]
    assert rows(connection, "SELECT means FROM store.item_statistics") == [(outcomes,)]
    assert rows(
        connection,
        "SELECT p.run_id FROM store.benchmarks b, store.preferred_runs(b.benchmark_id) p",
    ) == [(chosen,)]


@pytest.mark.parametrize("graded", [False, True])
def test_item_statistics_are_those_of_numpy(connection: Connection, *, graded: bool) -> None:
    made = generated(5, 12, 50, graded=graded)
    write(connection, grid("b", made), grid("b@2", made), grid("b", made))
    write(connection, block("b", run("other", [1.0]), version="2"))
    values = np.array(
        [[np.nan if each is None else each for each in outcomes] for outcomes in made.values()]
    )
    [(models, means)] = rows(
        connection,
        "SELECT models, means FROM store.item_statistics JOIN store.benchmarks b"
        " USING (benchmark_id) WHERE b.name = 'b' AND b.version = ''",
    )
    assert models == (~np.isnan(values)).sum(axis=0).tolist()
    np.testing.assert_allclose(means, np.nanmean(values, axis=0), rtol=1e-5)
    # A name with @ is none of a name and its version.
    assert rows(
        connection,
        "SELECT name, version, cardinality(models) FROM store.item_statistics"
        "  JOIN store.benchmarks USING (benchmark_id) ORDER BY 1, 2",
    ) == [("b", "", 50), ("b", "2", 1), ("b@2", "", 50)]


def test_outcomes_that_cannot_be(connection: Connection) -> None:
    for wrong in (-0.1, 1.1, float("inf")):
        with pytest.raises(RegistryError, match="outside"):
            write(connection, block("b", run("m", [wrong])))
    with pytest.raises(RegistryError, match="2 outcomes of 'm' on b, but 3 items"):
        write(connection, block("b", run("m", [1, 0]), asked=items(3)))
    with pytest.raises(RegistryError, match="neither a score nor an outcome"):
        write(connection, block("b", run("m", [None])))
    with pytest.raises(RegistryError, match="no finite number"):
        write(connection, block("b", run("m", score=float("nan"))))
    assert SOURCE.url is None


# What goes wrong outside


KILLS = 10


@pytest.mark.long
def test_an_import_killed_at_random_moments_ends_as_if_undisturbed(
    engine: Engine, database_url: str, databases: "Databases", forks: Forks, tmp_path: Path
) -> None:
    random.seed(20261122)
    folder = tmp_path / "in"
    folder.mkdir()

    def command(url: str) -> list[str]:
        return ["-m", "registry", "--database-url", url, "evals", "import", str(folder)]

    def add_files(number: int) -> None:
        for more in range(4):
            seed = 4 * number + more
            table(folder / f"t{seed:03}.csv", seed, f"b{seed % 3}", models=20, count=200)

    def begin(url: str) -> Engine:
        opened = database.create_engine(url)
        with opened.begin() as connection:
            factories.model(connection, "org/m1")
        return opened

    begin(database_url).dispose()
    add_files(0)
    # Within which it is killed: less, wherever one has ended by then.
    seconds = 0.6
    kills = rounds = 0
    for _ in range(10 * KILLS):
        with forks.started(*command(database_url)) as process:
            time.sleep(random.uniform(0, seconds))
            process.kill()
            ended = process.wait()
        if ended.returncode == -signal.SIGKILL:
            kills += 1
        else:
            assert ended.returncode == 0, ended.stderr
            rounds += 1
            add_files(rounds)
            seconds *= 0.7
        if kills == KILLS:
            break
    assert kills == KILLS, "it was under way when it was killed"
    finished = forks.run(*command(database_url))
    assert finished.returncode == 0, finished.stderr
    with databases.lent() as other:
        undisturbed = begin(other.render_as_string(hide_password=False))
        assert set(statuses(imported(undisturbed, folder))) == {"imported"}
        expected = contents(undisturbed)
        undisturbed.dispose()
    found = contents(engine)
    assert len(found["outcomes"]) > 5_000
    assert found == expected
    ended_as = asked(engine, "SELECT DISTINCT status FROM store.job_runs ORDER BY 1")
    assert ended_as == [("done",), ("interrupted",)]


def test_a_database_that_dies_in_mid_import(own_server: Path, engine: Engine, folder: Path) -> None:
    opened = database.create_engine(embedded.start(own_server, keep=True).url)
    migrate.upgrade(opened)

    def die_at_second(what: str, number: int, total: int) -> None:
        if number == 2:
            postmaster = embedded.status(own_server)
            assert postmaster is not None
            os.kill(postmaster.pid, signal.SIGKILL)
            time.sleep(0.5)

    with pytest.raises(DatabaseUnreachableError, match="cannot be reached") as failure:
        import_files(opened, [folder], on_progress=die_at_second)
    assert failure.value.exit_code == 4
    opened.dispose()
    opened = database.create_engine(embedded.start(own_server, keep=True).url)
    assert asked(opened, "SELECT DISTINCT benchmark FROM registry.runs") == [("one",)]
    assert asked(opened, "SELECT benchmark FROM registry.benchmarks") == [("one",)]
    assert statuses(imported(opened, folder)) == ["unchanged", "imported", "imported"]
    imported(engine, folder)
    assert contents(opened) == contents(engine)
    opened.dispose()


def test_a_table_need_not_have_a_column_for_what_is_told(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("name,item,correct\norg/a,q1,1\norg/a,q2,0\n")
    options = ImportOptions(roles={"model": "name", "outcome": "correct"}, benchmark="b")
    (report,) = import_files(engine, [file], options)
    assert report.error is None
    with engine.connect() as connection:
        found = rows(connection, "SELECT model, benchmark, item, outcome FROM registry.outcomes")
    assert sorted(found) == [("org/a", "b", "q1", 1.0), ("org/a", "b", "q2", 0.0)]


def test_leaderboards_show_the_measure_that_most_models_have(
    engine: Engine, tmp_path: Path
) -> None:
    file = tmp_path / "scores.csv"
    mapping = tmp_path / "scores.yaml"
    mapping.write_text(
        "layout: scores\n"
        "columns: {model: model, benchmark: benchmark, metric: metric, score: score}\n"
    )
    few = "model,benchmark,metric,score\norg/a,b,exact_match,0.5\norg/a,b,ppl,7\norg/b,b,ppl,8\n"
    file.write_text(few)
    shown = "SELECT metric FROM registry.benchmarks"
    import_files(engine, [file], ImportOptions(mapping=str(mapping)))
    with engine.connect() as connection:
        assert rows(connection, shown) == [("exact_match",)]
    file.write_text(few + "org/b,b,acc,0.25\norg/c,b,acc,0.75\n")
    import_files(engine, [file], ImportOptions(mapping=str(mapping)))
    with engine.connect() as connection:
        assert rows(connection, shown) == [("acc",)]
        found = rows(connection, "SELECT model, score FROM registry.leaderboard")
    assert sorted(found) == [("org/b", 0.25), ("org/c", 0.75)]


def test_a_file_is_known_by_its_place_not_as_it_was_typed(
    commands: Commands, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, outcome in (("a", 1), ("b", 0)):
        (tmp_path / name).mkdir()
        long_table(tmp_path / name / "results.csv", [(f"org/{name}", "one", "i0", outcome)])
        monkeypatch.chdir(tmp_path / name)
        result = commands("evals", "import", "results.csv")
        assert result.exit_code == 0
        assert "left over" not in result.stderr
    (tmp_path / "link").symlink_to(tmp_path / "a")
    [report] = imported(engine, tmp_path / "link" / "results.csv")
    assert report.status == "unchanged"
    files = "SELECT model, file FROM registry.runs ORDER BY model"
    assert asked(engine, files) == [
        ("org/a", f"{tmp_path}/a/results.csv"),
        ("org/b", f"{tmp_path}/b/results.csv"),
    ]
    # A newer version leaves a run over: the advice names the file wherever it is followed.
    long_table(tmp_path / "b" / "results.csv", [("org/c", "one", "i0", 1)])
    result = commands("evals", "import", "results.csv")
    assert f"--left-over --file {tmp_path}/b/results.csv" in result.stderr
    monkeypatch.chdir(tmp_path / "a")
    commands.done("evals", "remove", "--left-over", "--file", f"{tmp_path}/b/results.csv")
    assert [model for model, _ in asked(engine, files)] == ["org/a", "org/c"]
    commands.done("evals", "remove", "--file", "results.csv")
    assert [model for model, _ in asked(engine, files)] == ["org/c"]


def test_a_path_of_an_earlier_version_of_the_registry_becomes_whole(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    long_table(tmp_path / "t.csv", [("org/m", "one", "i0", 1)])
    imported(engine, Path("t.csv"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE store.imports SET path = 't.csv'"))
    # The same content shows that it is the same file.
    assert statuses(imported(engine, Path("t.csv"))) == ["unchanged"]
    assert asked(engine, "SELECT path FROM store.imports") == [(f"{tmp_path}/t.csv",)]
    with engine.begin() as connection:
        connection.execute(text("UPDATE store.imports SET path = 't.csv'"))
    long_table(tmp_path / "t.csv", [("org/other", "one", "i0", 1)])
    imported(engine, Path("t.csv"))
    assert asked(engine, "SELECT path FROM store.imports ORDER BY 1") == [
        (f"{tmp_path}/t.csv",),
        ("t.csv",),
    ]
