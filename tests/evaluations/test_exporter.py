import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import factories
import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
from cli_commands import REPOSITORY, Commands
from databases import Databases
from sqlalchemy import Connection, Engine, text

from registry.db import connection as database
from registry.errors import ModelNotFoundError, RegistryError, UsageError
from registry.evaluations.exporter import FORMATS, ExportReport, export
from registry.evaluations.formats import tables
from registry.evaluations.import_log import FileReport
from registry.evaluations.importer import ImportOptions, import_files
from registry.evaluations.load import write_blocks
from registry.evaluations.read import stored_blocks
from registry.evaluations.records import Benchmark, Block, Item, Measure, Run, Setup, Source
from registry.evaluations.scales import in_percent, known_measure
from registry.evaluations.selection import RunSelection

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HARNESS = Source(name="lm-eval")
BOARD = Source(name="A board", url="https://example.com/board")
SETUP = Setup(harness="lm-eval", harness_version="0.4.9", task_version="3", shots=5)
STRICT = known_measure("exact_match", "strict-match")
FLEXIBLE = known_measure("exact_match", "flexible-extract")
NAN = np.nan

GSM8K = Benchmark(name="sums8k", url="https://huggingface.co/datasets/openai/gsm8k", domain="sums")
ITEMS = [
    Item("h0", "1+1?", ("2", "3"), "2", "easy"),
    Item("h1", 'Says "é"\r\n\tand, so; on', (), "", "hard"),
    Item("h2"),
    Item("h3", "", (), None, None),
]


def outcomes(*values: float) -> Any:
    return np.array(values, np.float32)


STRICT_RUN = Run(
    model="acme/large",
    measure=STRICT,
    source=HARNESS,
    setup=SETUP,
    revision="0123456789abcdef0123456789abcdef01234567",
    evaluated_at=NOON,
    outcomes=outcomes(1, 0, 1, 1),
    answers=["2", None, 'x,\n"y"', ""],
    input_tokens=np.array([10, 20, -1, 0], np.int32),
    output_tokens=np.array([1, 2, 3, -1], np.int32),
    latencies=np.array([1.5, NAN, 0, 2.25], np.float32),
)
PLAIN = replace(STRICT_RUN, answers=None, input_tokens=None, output_tokens=None, latencies=None)
FLEXIBLE_RUN = replace(PLAIN, measure=FLEXIBLE, outcomes=outcomes(1, 1, 1, NAN))
SCORE = replace(
    PLAIN, source=BOARD, outcomes=None, score=0.1, standard_error=0.03, items=1319, verified=True
)
BLOCKS = [
    Block(
        benchmark=GSM8K,
        items=ITEMS,
        runs=[
            STRICT_RUN,
            FLEXIBLE_RUN,
            # Its model is known by another name, which only the catalog tells.
            replace(PLAIN, model="acme__large-2", evaluated_at=None, verified=True),
            replace(PLAIN, model="nobody's é", revision=None, outcomes=outcomes(NAN, 0, NAN, NAN)),
            replace(PLAIN, model="acme/small", complete=False, outcomes=outcomes(0, 1, NAN, NAN)),
            replace(PLAIN, model="acme/small", setup=Setup(details={"seed": "2", "é": ""})),
            replace(PLAIN, setup=replace(SETUP, variant="voting"), outcomes=outcomes(1, 1, 1, 0)),
            SCORE,
        ],
    ),
    Block(
        benchmark=replace(GSM8K, version="v2"),
        items=[*reversed(ITEMS), Item("h4")],
        runs=[replace(PLAIN, outcomes=outcomes(0.1, 1 / 3, NAN, 1, 0.7), source=BOARD)],
    ),
    Block(
        benchmark=Benchmark(name="cais/hle"),
        runs=[
            replace(
                SCORE,
                measure=Measure(metric="score", lower=None, upper=None),
                score=20.9,
                items=2500,
            ),
            replace(SCORE, measure=in_percent(known_measure("acc")), score=41.5, complete=False),
        ],
    ),
    Block(benchmark=Benchmark(name="Odd: a/b\\c?*"), items=ITEMS[:2], runs=[
        replace(PLAIN, outcomes=outcomes(0, 1), measure=known_measure("brier_score")),
    ]),
    Block(benchmark=Benchmark(name="unused", description="has items alone"), items=ITEMS[:1]),
]  # fmt: skip

CONTENT = {
    "benchmarks": "SELECT * FROM registry.benchmarks ORDER BY 1, 2",
    "items": "SELECT * FROM registry.items ORDER BY 1, 2, ordinal",
    "runs": """
        SELECT run, model, spelling, benchmark, version, metric, filter, source, complete, verified,
               items, score, raw_score, raw_standard_error, has_outcomes, revision, evaluated_at,
               harness, harness_version, task_version, shots, prompt_template, chat_template,
               precision, variant, details
          FROM registry.runs ORDER BY run""",
    "measures": """
        SELECT b.name, b.version, m.metric, m.filter, m.lower, m.upper, m.higher_is_better,
               m.random_baseline, m.unit
          FROM store.measures m JOIN store.benchmarks b USING (benchmark_id)
         ORDER BY 1, 2, 3, 4, 5""",
    "sources": "SELECT name, url FROM store.sources ORDER BY 1",
    "packed": """
        SELECT run_id, right_bits::text, present_bits::text, grades FROM store.runs
         ORDER BY run_id""",
    "outcomes": "SELECT * FROM registry.outcomes ORDER BY run, item",
    "answers": "SELECT * FROM registry.answers ORDER BY run, item",
    "packed answers": """
        SELECT run_id, codes, texts, input_tokens, output_tokens, latencies FROM store.answers
         ORDER BY run_id""",
    "leaderboard": "SELECT * FROM registry.leaderboard ORDER BY 1, 2, 3",
}


def content(connection: Connection, *names: str) -> dict[str, list[Any]]:
    return {name: factories.rows(connection, CONTENT[name]) for name in names or CONTENT}


def filled(connection: Connection) -> None:
    """Fill a database with the blocks, on a catalog that knows some of their models."""
    for name in ("acme/large", "acme/large-v2"):
        factories.model(connection, name)
    factories.alias(connection, "acme/large-v2", "acme/large-2", confidence=0.75)
    for block in BLOCKS:
        write_blocks(connection, [block], as_of=NOON)


@pytest.fixture(scope="module")
def source_url(databases: Databases) -> Iterator[str]:
    with databases.made(template=databases.template()) as url:
        engine = database.create_engine(url)
        with engine.begin() as connection:
            filled(connection)
        yield url.render_as_string(hide_password=False)


@pytest.fixture
def source(source_url: str) -> Engine:
    return database.create_engine(source_url)


def imported(engine: Engine, path: Path, options: ImportOptions | None = None) -> list[FileReport]:
    reports = import_files(engine, [path], options)
    assert [report.error for report in reports if report.error] == []
    return reports


def exported(engine: Engine, target: Path, format_: str, **selected: Any) -> ExportReport:
    return export(engine, target, format_, RunSelection(**selected))


@pytest.mark.parametrize("format_", ["parquet", "csv"])
def test_an_archive_makes_the_same_registry(
    source: Engine, engine: Engine, tmp_path: Path, format_: str
) -> None:
    done = exported(source, tmp_path / "out", format_)
    assert done.left_out == {}
    (report,) = imported(engine, tmp_path / "out")
    assert (report.format, report.status, dict(report.left_out)) == ("registry", "imported", {})
    assert report.written.runs == done.runs == 12
    assert report.written.outcomes == done.outcomes
    with source.connect() as before, engine.connect() as after:
        wanted = content(before)
        for name, rows in content(after).items():
            assert rows == wanted[name], name
    (again,) = imported(engine, tmp_path / "out")
    assert (again.status, again.written.changes) == ("unchanged", 0)
    # What comes out of the other registry is the same but for the time.
    exported(engine, tmp_path / "again", format_)
    one, other = (
        orjson.loads((tmp_path / name / "manifest.json").read_bytes()) for name in ("out", "again")
    )
    hashes = [{file["path"]: file["sha256"] for file in each["files"]} for each in (one, other)]
    assert hashes[0] == hashes[1]


def test_an_archive_changes_nothing_where_it_is_from(
    databases: Databases, source_url: str, tmp_path: Path
) -> None:
    with databases.made(template=databases.url(source_url.rpartition("/")[2]).database) as url:
        engine = database.create_engine(url)
        exported(engine, tmp_path / "out", "parquet")
        with engine.connect() as connection:
            before = content(connection)
        (report,) = imported(engine, tmp_path / "out")
        assert (report.status, report.written.changes, report.names.added) == ("unchanged", 0, 0)
        with engine.connect() as connection:
            assert content(connection) == before
        engine.dispose()


OUTCOMES_OF = """
SELECT model, benchmark, item, outcome FROM registry.outcomes
 WHERE benchmark = ANY (:names) AND version = '' ORDER BY model, benchmark, item, outcome, run"""


def outcome_rows(engine: Engine, *names: str, model: Mapping[str, str] | None = None) -> list[Any]:
    with engine.connect() as connection:
        rows = factories.rows(connection, OUTCOMES_OF, names=list(names))
    return sorted((model or {}).get(row[0], row[0]) and row for row in rows)


def spelt_rows(engine: Engine, version: str = "") -> list[Any]:
    """Return outcomes by the spelling of models, metric and filter."""
    with engine.connect() as connection:
        return factories.rows(
            connection,
            """
            SELECT r.spelling, o.benchmark, r.metric, r.filter, o.item, o.outcome, r.complete,
                   r.evaluated_at, r.revision, r.shots, r.variant
              FROM registry.outcomes o JOIN registry.runs r USING (run)
             WHERE o.benchmark = 'sums8k' AND o.version = :version
             ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11""",
            version=version,
        )


def test_lm_eval_gives_the_same_outcomes(source: Engine, engine: Engine, tmp_path: Path) -> None:
    done = exported(source, tmp_path / "out", "lm-eval", benchmarks=["sums8k@", "Odd: a/b\\c?*"])
    assert done.left_out == {
        "marks that a run is verified": 2,
        "runs' tokens and latencies": 1,
    }
    imported(engine, tmp_path / "out")
    assert spelt_rows(engine) == spelt_rows(source)
    samples = [file for file in done.files if file.path.suffix == ".jsonl"]
    assert all(file.rows for file in samples)
    assert all(file.bytes == file.path.stat().st_size for file in done.files)


@pytest.mark.parametrize("removed", [True, False])
def test_lm_eval_leaves_scores_as_they_were(
    engine: Engine, tmp_path: Path, *, removed: bool
) -> None:
    """Whether the runs are there still, or were removed in between."""
    query = """
        SELECT model, metric, score, raw_score, unit, standard_error, above_chance
          FROM registry.scores WHERE benchmark = 'mine' ORDER BY metric"""
    graded = Measure(metric="grade", lower=1.0, upper=9.5, random_baseline=2.0, unit="marks")
    told = [
        replace(SCORE, measure=graded, score=4.0018, verified=False),
        replace(SCORE, measure=in_percent(known_measure("acc")), score=61.2, verified=False),
        replace(SCORE, measure=known_measure("word_perplexity"), score=17.5, verified=False),
    ]
    with engine.begin() as connection:
        write_blocks(connection, [Block(benchmark=Benchmark(name="mine"), runs=told)], as_of=NOON)
        before = factories.rows(connection, query)
    done = exported(engine, tmp_path / "out", "lm-eval")
    assert done.left_out == {}
    if removed:
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM store.runs"))
            connection.execute(text("DELETE FROM store.measures"))
    (report,) = import_files(engine, [tmp_path / "out"])
    assert report.status == ("imported" if removed else "unchanged")
    with engine.connect() as connection:
        assert factories.rows(connection, query) == before
    assert [row[2] is None for row in before] == [False, False, True]


def test_lm_eval_tells_versions_apart_by_name(
    source: Engine, engine: Engine, tmp_path: Path
) -> None:
    done = exported(source, tmp_path / "out", "lm-eval", benchmarks=["sums8k"])
    assert done.left_out["benchmarks' versions"] == 1
    imported(engine, tmp_path / "out")
    with engine.connect() as connection:
        found = factories.rows(
            connection,
            """SELECT item, outcome FROM registry.outcomes
                WHERE benchmark = 'sums8k@v2' ORDER BY item""",
        )
    with source.connect() as connection:
        wanted = factories.rows(
            connection,
            "SELECT item, outcome FROM registry.outcomes WHERE version = 'v2' ORDER BY item",
        )
    assert found == wanted
    assert len(found) == 4


def test_every_eval_ever_gives_the_same_runs(
    source: Engine, engine: Engine, tmp_path: Path
) -> None:
    done = exported(source, tmp_path / "out", "every-eval-ever", models=["acme/large"])
    assert set(done.left_out) == {"marks that a run is verified"}
    imported(engine, tmp_path / "out")
    query = """
        SELECT r.run, o.item, o.outcome FROM registry.runs r
          LEFT JOIN registry.outcomes o USING (run)
         WHERE r.model = 'acme/large' ORDER BY 1, 2"""
    with source.connect() as before, engine.connect() as after:
        assert factories.rows(after, query) == factories.rows(before, query)


def test_every_eval_ever_tells_of_dates_that_it_makes_up(source: Engine, tmp_path: Path) -> None:
    done = exported(source, tmp_path / "out", "every-eval-ever")
    assert done.left_out["unknown dates of runs: they read as that of the export"] == 1


def test_the_hub_gets_scores_of_whole_runs(source: Engine, engine: Engine, tmp_path: Path) -> None:
    done = exported(source, tmp_path / "out", "hub")
    (file,) = done.files
    assert file.path == tmp_path / "out" / "acme" / "large" / ".eval_results" / "registry.yaml"
    assert done.left_out == {
        "runs that were limited to a part of the items": 2,
        "runs of models that are not on the Hub by name (org/name)": 1,
        "runs on benchmarks that are not data sets of the Hub (org/name)": 8,
        # Of the one run that has a place.
        "marks that a run is verified": 1,
        "runs' revisions of the model": 1,
        "runs' setups (harness, shots, templates, precision)": 1,
        "runs' standard errors": 1,
    }
    imported(engine, tmp_path / "out")
    with engine.connect() as connection:
        query = "SELECT model, benchmark, raw_score, source FROM registry.runs"
        assert factories.rows(connection, query) == [("acme/large", "cais/hle", 20.9, "A board")]


LONG = """
SELECT r.model, r.benchmark, r.version, r.metric, r.filter, r.source, r.complete, r.score,
       r.variant, o.item, o.domain, o.outcome
  FROM registry.runs r JOIN registry.outcomes o USING (run)
 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12"""


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out.csv.gz", "folder"])
def test_the_long_table_makes_the_same_runs(
    source: Engine, engine: Engine, tmp_path: Path, name: str
) -> None:
    done = exported(source, tmp_path / name, "long")
    (file,) = done.files
    assert file.path == tmp_path / name / ("outcomes.parquet" if name == "folder" else "")
    assert file.rows == done.outcomes
    assert done.left_out == {
        "items' choices or right answers": 4,
        "marks that a run is verified": 1,
        "runs' answers": 1,
        "runs' tokens and latencies": 1,
        "runs' setups (harness, shots, templates, precision)": 9,
        "runs' revisions of the model": 8,
        "runs' dates": 8,
        "runs' scales: outcomes are shares, higher being better": 1,
        "runs that have no outcomes": 3,
    }
    found = tables.detect(file.path)
    assert found is not None
    assert found.name == "registry-long"
    (report,) = imported(engine, file.path)
    assert (report.written.runs, report.written.outcomes) == (9, done.outcomes)
    with source.connect() as before, engine.connect() as after:
        assert factories.rows(after, LONG) == factories.rows(before, LONG)
    (again,) = imported(engine, file.path)
    assert (again.status, again.written.changes) == ("unchanged", 0)


def test_the_long_table_keeps_runs_apart_that_differ_in_what_it_does_not_tell(
    databases: Databases, engine: Engine, tmp_path: Path
) -> None:
    runs = [
        PLAIN,
        replace(PLAIN, outcomes=outcomes(0, 0, 0, 1), evaluated_at=None),
        replace(PLAIN, outcomes=outcomes(0, 0, 1, 1), setup=Setup()),
        replace(PLAIN, outcomes=outcomes(0, 1, NAN, NAN), complete=False, revision="other"),
    ]
    with databases.made(template=databases.template()) as url:
        other = database.create_engine(url)
        with other.begin() as connection:
            write_blocks(connection, [Block(benchmark=GSM8K, items=ITEMS, runs=runs)], as_of=NOON)
        exported(other, tmp_path / "out.parquet", "long")
        (report,) = imported(engine, tmp_path / "out.parquet")
        assert report.written.added == 4
        with other.connect() as before, engine.connect() as after:
            wanted = factories.rows(before, LONG)
            keys = factories.rows(before, "SELECT run::text FROM registry.runs ORDER BY 1")
            assert factories.rows(after, LONG) == wanted
            found = factories.rows(after, "SELECT details ->> 'run' FROM registry.runs ORDER BY 1")
            assert found == keys
        other.dispose()


def test_the_long_table_tells_which_runs_are_preferred(source: Engine, tmp_path: Path) -> None:
    exported(source, tmp_path / "out.parquet", "long")
    columns = pq.read_schema(tmp_path / "out.parquet").names
    assert columns == [
        "prompt_id", "prompt", "model_name", "category", "label", "benchmark", "version", "metric",
        "filter", "source", "complete", "variant", "run", "preferred",
    ]  # fmt: skip
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    found = {(row["model_name"], row["benchmark"], row["version"], row["run"], row["prompt_id"])
             for row in rows if row["preferred"]}  # fmt: skip
    preferred = """
        SELECT m.name, b.name, b.version, p.run_id::text, o.item
          FROM store.benchmarks b CROSS JOIN store.preferred_runs(b.benchmark_id) p
          JOIN store.models m USING (model_id) JOIN registry.outcomes o ON o.run = p.run_id"""
    with source.connect() as connection:
        assert found == {tuple(row) for row in factories.rows(connection, preferred)}


def test_what_is_selected_is_exported(source: Engine, tmp_path: Path) -> None:
    def runs(**selected: Any) -> list[tuple[str, str, str]]:
        with source.connect() as connection:
            return [
                (block.benchmark.name, block.benchmark.version, run.model)
                for block in stored_blocks(connection, RunSelection(**selected))
                for run in block.runs
            ]

    assert len(runs()) == 12
    # By an alias, and in another case.
    assert runs(models=["acme/large-2"]) == [("sums8k", "", "acme__large-2")]
    assert runs(models=["ACME/small"]) == [("sums8k", "", "acme/small")] * 2
    assert {run[:2] for run in runs(sources=["A board"])} == {
        ("cais/hle", ""), ("sums8k", ""), ("sums8k", "v2")
    }  # fmt: skip
    assert runs(benchmarks=["sums8k@v2"]) == [("sums8k", "v2", "acme/large")]
    assert len(runs(benchmarks=["sums8k"])) == 9
    done = exported(source, tmp_path / "out", "parquet", models=["acme/large-v2"])
    assert (done.runs, done.outcomes) == (1, 4)
    assert not (tmp_path / "out" / "items" / "benchmark=unused").exists()


@pytest.mark.parametrize("format_", FORMATS)
def test_what_there_is_none_of_is_an_error(source: Engine, tmp_path: Path, format_: str) -> None:
    for selected, message in (
        ({"benchmarks": ["sums8k", "else"]}, "There is no benchmark 'else'"),
        ({"sources": ["else"]}, "No source is named 'else'; there are: A board, lm-eval."),
    ):
        with pytest.raises(UsageError, match=message):
            exported(source, tmp_path / "out", format_, **selected)
    with pytest.raises(ModelNotFoundError, match="No model named 'acme/huge'"):
        exported(source, tmp_path / "out", format_, models=["acme/huge"])
    with pytest.raises(RegistryError, match="There are no such evaluations|Nothing of these"):
        exported(source, tmp_path / "out", format_, benchmarks=["cais/hle"], sources=["lm-eval"])
    assert list(tmp_path.iterdir()) == []


def test_a_format_that_holds_nothing_of_it_is_an_error(source: Engine, tmp_path: Path) -> None:
    for format_, benchmark in (("hub", "sums8k"), ("long", "cais/hle"), ("lm-eval", "unused")):
        with pytest.raises(RegistryError, match=f"has a place in the format {format_}"):
            exported(source, tmp_path / "out", format_, benchmarks=[benchmark])
    with pytest.raises(UsageError, match="There is no format 'xml'"):
        exported(source, tmp_path / "out", "xml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format_", FORMATS)
def test_what_is_there_already_stays(source: Engine, tmp_path: Path, format_: str) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "mine").write_text("mine")
    with pytest.raises(UsageError, match="The folder .* is not empty"):
        exported(source, target, format_)
    with pytest.raises(UsageError, match="There is a file"):
        exported(source, target / "mine", format_)
    with pytest.raises(UsageError, match="There is no folder"):
        exported(source, tmp_path / "none" / "out", format_)
    (target / "mine").rename(target / "mine.csv")
    refused = "There is a file" if format_ == "long" else "is named as a table"
    with pytest.raises(UsageError, match=refused):
        exported(source, target / "mine.csv", format_)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine.csv"]


def test_an_empty_folder_will_do(source: Engine, tmp_path: Path) -> None:
    exported(source, tmp_path, "parquet")
    assert (tmp_path / "manifest.json").exists()


def test_an_export_that_fails_leaves_nothing(source: Engine, tmp_path: Path) -> None:
    def stop(benchmark: str, runs: int, total: int) -> None:
        if runs == 3:
            raise KeyboardInterrupt

    for name, format_ in (
        ("out", "parquet"),
        ("out", "csv"),
        ("out", "lm-eval"),
        ("o.csv", "long"),
    ):
        with pytest.raises(KeyboardInterrupt):
            export(source, tmp_path / name, format_, on_progress=stop)
        assert list(tmp_path.iterdir()) == []


def test_an_export_that_is_killed_leaves_no_target(source_url: str, tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
from registry.db import connection as db
from registry.evaluations.exporter import export
def wait(benchmark, runs, total):
    if runs == 3:
        print("under way", flush=True)
        time.sleep(60)
export(db.create_engine(sys.argv[1]), Path(sys.argv[2]), "parquet", on_progress=wait)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, source_url, str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"under way\n"
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "out").exists()
    # What it left has no manifest, so it is not taken for anything.
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".partial-")
    assert not list(left.glob("manifest.json"))
    # Nor does it stay: the next one for the same place removes it, and nothing else.
    (tmp_path / ".partial-0123abcd-other").mkdir()
    (tmp_path / ".partial-mine-out").mkdir()
    (tmp_path / ".partial-0123abcd-out").write_text("also left")
    exported(database.create_engine(source_url), tmp_path / "out", "parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".partial-0123abcd-other",
        ".partial-mine-out",
        "out",
    ]


@pytest.mark.parametrize(("name", "format_"), [("out", "csv"), ("out.csv", "long")])
def test_two_exports_to_one_place_leave_each_other_alone(
    source_url: str, tmp_path: Path, name: str, format_: str
) -> None:
    """What a living process writes is not taken for a left-over."""
    program = """
import sys
from pathlib import Path
from registry.db import connection as db
from registry.evaluations.exporter import export
def wait(benchmark, runs, total):
    if runs == 3:
        print("under way", flush=True)
        sys.stdin.readline()
export(db.create_engine(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], on_progress=wait)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, source_url, str(tmp_path / name), format_],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"under way\n"
        (under_way,) = tmp_path.iterdir()
        with pytest.raises(KeyboardInterrupt):
            export(
                database.create_engine(source_url),
                tmp_path / name,
                format_,
                on_progress=interrupted,
            )
        assert list(tmp_path.iterdir()) == [under_way]
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]


def interrupted(benchmark: str, runs: int, total: int) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("format_", FORMATS)
def test_a_full_disk_is_told_in_a_sentence(source_url: str, tmp_path: Path, format_: str) -> None:
    program = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))  # no file can be longer, as on a full disk
sys.argv[0] = "registry"
from registry.cli import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "--database-url", source_url, "evals", "export",
         str(tmp_path / "out"), "--as", format_],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert f"Cannot write {tmp_path / 'out'}: " in done.stderr
    assert "Nothing was left there." in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_export_is_of_one_moment(databases: Databases, tmp_path: Path) -> None:
    """Runs that are imported meanwhile are not in it, nor half of them."""
    with databases.made(template=databases.template()) as url:
        engine = database.create_engine(url)
        with engine.begin() as connection:
            filled(connection)

        def add(benchmark: str, runs: int, total: int) -> None:
            if runs == 3:
                with engine.begin() as connection:
                    more = replace(SCORE, model="late")
                    for name in ("sums8k", "zzz"):
                        block = Block(benchmark=Benchmark(name=name), runs=[more])
                        write_blocks(connection, [block], as_of=NOON)

        done = export(engine, tmp_path / "out", "parquet", on_progress=add)
        assert done.runs == 12
        engine.dispose()


def test_runs_come_from_a_cursor(connection: Connection) -> None:
    """The first run is there before the last one is asked for."""
    items = [Item(f"i{n}") for n in range(2000)]
    rng = np.random.default_rng(1)
    runs = (
        replace(PLAIN, model=f"org/m{n:04}", outcomes=rng.random(2000).astype(np.float32))
        for n in range(400)
    )
    write_blocks(connection, [Block(benchmark=GSM8K, items=items, runs=runs)], as_of=NOON)
    cursors = text("SELECT count(*) FROM pg_cursors WHERE name <> ''")
    with closing(stored_blocks(connection, RunSelection(benchmarks=["sums8k"]))) as blocks:
        first = next(iter(next(blocks).runs))
        assert first.model == "org/m0000"
        assert connection.scalar(cursors) == 1
    # Who stops early leaves none behind.
    assert connection.scalar(cursors) == 0


def test_the_command_tells_files_and_losses(source_url: str, tmp_path: Path) -> None:
    commands = Commands(source_url)
    files = commands.json("evals", "export", str(tmp_path / "one"))
    assert {"path": str(tmp_path / "one" / "runs.parquet"), "rows": 12} == {
        key: value
        for file in files
        if file["path"].endswith("runs.parquet")
        for key, value in file.items()
        if key != "bytes"
    }
    assert all(Path(file["path"]).stat().st_size == file["bytes"] for file in files)
    result = commands(
        "evals", "export", str(tmp_path / "two"), "--as", "lm-eval", "--benchmark", "sums8k@"
    )
    assert result.exit_code == 0, result.output
    assert "lm-eval has no place for 1 runs' tokens and latencies" in result.stderr
    assert "8 runs, 22 outcomes in" in result.stderr
    again = commands.refused(2, "evals", "export", str(tmp_path / "two"))
    assert "is not empty; name one that does not exist" in again
    assert "There is no benchmark 'x'" in commands.refused(
        2, "evals", "export", str(tmp_path / "three"), "--benchmark", "x"
    )
    assert "No model named 'x'" in commands.refused(
        1, "evals", "export", str(tmp_path / "three"), "--model", "x"
    )
    assert not (tmp_path / "three").exists()


def test_an_archive_is_imported_by_the_command(
    source_url: str, commands: Commands, tmp_path: Path
) -> None:
    Commands(source_url).done("evals", "export", str(tmp_path / "out"), "--as", "csv")
    (report,) = commands.json("evals", "import", str(tmp_path / "out"), "--as", "registry")
    assert (report["status"], report["runs"], report["new"]) == ("imported", 12, 12)
    manifest = str(tmp_path / "out" / "manifest.json")
    (again,) = commands.json("evals", "import", manifest)
    assert (again["status"], again["format"]) == ("unchanged", "registry")
    with (tmp_path / "out" / "runs.csv.gz").open("ab") as file:
        file.write(b"\0")
    stderr = commands.refused(1, "evals", "import", str(tmp_path / "out"))
    assert f"{tmp_path / 'out' / 'runs.csv.gz'}: it changed after the archive was written" in stderr


def test_a_command_that_can_write_nothing_says_why(source_url: str, tmp_path: Path) -> None:
    commands = Commands(source_url)
    for format_, benchmark, runs, reasons in (
        ("hub", "sums8k@", 8, [
            "1 runs that were limited to a part of the items",
            "1 runs of models that are not on the Hub by name (org/name)",
            "6 runs on benchmarks that are not data sets of the Hub (org/name)",
        ]),
        ("long", "cais/hle", 2, ["2 runs that have no outcomes"]),
        ("lm-eval", "unused", 0, []),
    ):  # fmt: skip
        said = commands.refused(
            1, "evals", "export", str(tmp_path / "out"), "--as", format_, "--benchmark", benchmark
        )
        assert f"Nothing of these {runs} runs has a place in the format {format_}, which" in said
        assert all(reason in said for reason in reasons)
        assert ("there are" in said) == bool(reasons)
    said = commands.refused(2, "evals", "export", str(tmp_path / "e.parquet"))
    assert "e.parquet is named as a table, and the format parquet makes a folder" in said
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_export_is_an_error(commands: Commands, tmp_path: Path) -> None:
    stderr = commands.refused(1, "evals", "export", str(tmp_path / "out"))
    assert "There are no such evaluations" in stderr
    assert list(tmp_path.iterdir()) == []
