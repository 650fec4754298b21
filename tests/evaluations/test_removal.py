"""Removals: what goes, what stays, and what is left over of a file that was corrected."""

from pathlib import Path
from typing import Any

import factories
import pytest
from cli_commands import Commands
from evaluated import contents, long_table
from factories import rows
from sqlalchemy import Engine

from registry.db import jobs
from registry.errors import LockHeldError, ModelNotFoundError, UsageError
from registry.evaluations.import_log import FileReport
from registry.evaluations.importer import ImportOptions, import_files
from registry.evaluations.removal import RemovalReport, RemovalSelection, remove

ANSWERS = "model,benchmark,item,outcome,answer\n"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two tables, with a model and a benchmark in common."""
    one = long_table(tmp_path / "one.csv", [("m", "b", "i0", 1), ("n", "b", "i0", 0)])
    two = long_table(
        tmp_path / "two.csv", [("m", "b", "i0", 0), ("m", "c", "i0", 1), ("o", "c", "i0", 0)]
    )
    return [one, two]


def imported(engine: Engine, *paths: Path, **options: Any) -> list[FileReport]:
    return import_files(engine, list(paths), ImportOptions(**options))


def removed(engine: Engine, *, dry_run: bool = False, **selected: Any) -> RemovalReport:
    return remove(engine, RemovalSelection(**selected), dry_run=dry_run)


def asked(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return rows(connection, query)


def runs(engine: Engine) -> list[tuple[Any, ...]]:
    query = "SELECT model, benchmark, file FROM registry.runs ORDER BY 1, 2, 3"
    return [(model, name, Path(file).name) for model, name, file in asked(engine, query)]


def test_a_file_goes_as_if_it_had_never_been_there(engine: Engine, files: list[Path]) -> None:
    imported(engine, files[0])
    before = contents(engine)
    imported(engine, files[1])
    after = contents(engine)
    removal = removed(engine, files=[str(files[1])])
    assert [tuple(each)[1:] for each in removal.removed] == [("b", "", 1, 1, 1), ("c", "", 2, 2, 2)]
    assert (removal.runs, removal.files, removal.stubs) == (3, [str(files[1])], ["o"])
    now = contents(engine)
    # Benchmarks, measures and items stay, without anything on them.
    kept = {"benchmarks", "items", "measures"}
    assert {name: now[name] for name in now if name not in kept} == {
        name: before[name] for name in before if name not in kept
    }
    assert now["items"] == after["items"]
    assert asked(engine, "SELECT models, means FROM store.item_statistics") == [([2], [0.5])]
    [report] = imported(engine, files[1])
    assert (report.status, report.written.added) == ("imported", 3)
    # Items that are there are not new the second time.
    assert {**contents(engine), "imports": []} == {**after, "imports": []}


def test_a_model_of_several_runs_is_counted_once(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("model,benchmark,item,outcome,revision\nm,b,i0,1,x\nm,b,i0,0,y\n")
    imported(engine, path, roles={"revision": "revision"})
    [one] = removed(engine, dry_run=True, models=["m"]).removed
    assert (one.models, one.runs) == (1, 2)


def test_answers_go_as_well(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("model,benchmark,item,outcome,answer\nm,b,i0,1,x\nn,b,i0,1,y\n")
    imported(engine, path, roles={"answer": "answer"})
    removed(engine, models=["m"])
    assert asked(engine, "SELECT model, answer FROM registry.answers") == [("n", "y")]
    assert asked(engine, "SELECT count(*) FROM store.answers") == [(1,)]
    assert asked(engine, "SELECT count(*) FROM store.imports") == [(1,)]


@pytest.mark.parametrize(
    ("selected", "left"),
    [
        ({"models": ["m"]}, [("n", "b", "one.csv"), ("o", "c", "two.csv")]),
        ({"benchmarks": ["b"]}, [("m", "c", "two.csv"), ("o", "c", "two.csv")]),
        ({"benchmarks": ["c@"], "models": ["m", "n"]},
         [("m", "b", "one.csv"), ("m", "b", "two.csv"), ("n", "b", "one.csv"),
          ("o", "c", "two.csv")]),
        ({"sources": ["two.csv"]}, [("m", "b", "one.csv"), ("n", "b", "one.csv")]),
        ({"sources": ["one.csv"], "benchmarks": ["c"]},
         [("m", "b", "one.csv"), ("m", "b", "two.csv"), ("m", "c", "two.csv"),
          ("n", "b", "one.csv"), ("o", "c", "two.csv")]),
    ],
)  # fmt: skip
def test_what_is_selected(
    engine: Engine, files: list[Path], selected: dict[str, Any], left: list[tuple[str, ...]]
) -> None:
    imported(engine, *files)
    count = len(runs(engine))
    dry = removed(engine, dry_run=True, **selected)
    assert len(runs(engine)) == count
    assert removed(engine, **selected) == dry
    assert dry.runs == count - len(left)
    assert runs(engine) == left
    [(status, summary)] = asked(
        engine, "SELECT status, summary FROM store.job_runs WHERE job = 'evals remove'"
    )
    assert (status, summary["runs"]) == ("done", dry.runs)


def test_one_run(engine: Engine, files: list[Path]) -> None:
    imported(engine, *files)
    [(key,)] = asked(engine, "SELECT run FROM registry.runs WHERE model = 'o'")
    assert removed(engine, runs=[key]).stubs == ["o"]
    assert len(runs(engine)) == 4
    with pytest.raises(UsageError, match=f"no run {key}"):
        removed(engine, runs=[key])


def test_names_that_something_else_knows_stay(engine: Engine, files: list[Path]) -> None:
    with engine.begin() as connection:
        factories.model(connection, "m")
        child = factories.model(connection, "org/child")
        factories.edge(connection, child, factories.model(connection, "n", state="stub"))
    imported(engine, *files)
    removal = removed(engine, benchmarks=["b", "c"])
    assert removal.stubs == ["o"]
    assert asked(engine, "SELECT name FROM store.models ORDER BY 1") == [
        ("m",), ("n",), ("org/child",)
    ]  # fmt: skip
    for table in ("runs", "evaluated_names", "setups", "sources", "imports", "item_statistics"):
        assert asked(engine, f"SELECT count(*) FROM store.{table}") == [(0,)], table


def test_leaderboards_show_the_measure_that_is_left(engine: Engine, tmp_path: Path) -> None:
    mapping = tmp_path / "scores.yaml"
    mapping.write_text(
        "layout: scores\n"
        "columns: {model: model, benchmark: =b, metric: metric, score: score, source: =told}\n"
    )
    told = {"few.csv": ["m,exact_match"], "many.csv": ["m,acc", "n,acc"]}
    for name, lines in told.items():
        path = tmp_path / name
        path.write_text("model,metric,score\n" + "".join(f"{line},0.5\n" for line in lines))
        imported(engine, path, mapping=str(mapping))
    shown = "SELECT metric FROM registry.benchmarks"
    assert asked(engine, shown) == [("acc",)]
    removed(engine, files=[str(tmp_path / "many.csv")])
    assert asked(engine, shown) == [("exact_match",)]


def test_what_there_is_none_of(engine: Engine, files: list[Path]) -> None:
    imported(engine, *files)
    for selected, error, said in (
        ({}, UsageError, "Say what to remove"),
        ({"files": ["none.csv"]}, UsageError, "No file was imported as none.csv"),
        ({"models": ["m", "none"]}, ModelNotFoundError, "none"),
        ({"benchmarks": ["none"]}, UsageError, "no benchmark 'none'"),
        ({"sources": ["none"]}, UsageError, "No source is named 'none'"),
    ):
        with pytest.raises(error, match=said):
            removed(engine, dry_run=False, **selected)
    with jobs.exclusive(engine, jobs.Lock.EVALUATIONS), pytest.raises(LockHeldError):
        removed(engine, models=["m"])
    assert len(runs(engine)) == 5


def test_what_a_corrected_file_does_not_tell_any_more(
    engine: Engine, files: list[Path], commands: Commands
) -> None:
    imported(engine, *files)
    path = files[1]
    long_table(path, [("m", "b", "i0", 1), ("o", "c", "i0", 0)])
    [report] = imported(engine, path)
    assert (report.left_over, report.replaced) == (1, {str(path): 1})
    [again] = imported(engine, path)
    assert (again.status, again.left_over) == ("unchanged", 1)
    said = commands("evals", "import", str(path)).stderr
    assert "left over: 1 runs of an earlier version" in said
    hint = f"registry evals remove --left-over --file {path}"
    assert hint in said
    # What the new version tells is its own, be it as it was.
    done = commands(*hint.split()[1:], "--format", "json")
    assert done.exit_code == 0, done.output
    assert "1 runs removed" in done.stderr
    assert runs(engine) == [
        ("m", "b", "one.csv"), ("m", "b", "two.csv"), ("n", "b", "one.csv"), ("o", "c", "two.csv")
    ]  # fmt: skip
    assert imported(engine, path)[0].left_over == 0
    assert asked(engine, "SELECT count(*) FROM store.imports") == [(2,)]
    assert removed(engine, left_over=True).runs == 0


def test_a_file_that_went_back_to_its_earlier_version(engine: Engine, files: list[Path]) -> None:
    path, before = files[1], files[1].read_bytes()
    imported(engine, path)
    expected = runs(engine)
    long_table(path, [("p", "c", "i0", 1)])
    assert imported(engine, path)[0].left_over == 3
    path.write_bytes(before)
    [report] = imported(engine, path)
    assert (report.status, report.left_over) == ("unchanged", 1)
    assert asked(engine, "SELECT count(*) FROM store.imports") == [(2,)]
    assert removed(engine, left_over=True).stubs == ["p"]
    assert runs(engine) == expected


def test_the_command(commands: Commands, files: list[Path]) -> None:
    commands.done("evals", "import", *map(str, files))
    assert "Say what to remove" in commands.refused(2, "evals", "remove")
    said = commands("evals", "remove", "--model", "o", "--dry-run")
    assert "1 runs would be removed. A dry run: nothing was changed." in said.stderr
    assert commands.json("evals", "remove", "--file", str(files[1])) == [
        {"file": str(files[1]), "benchmark": "b", "version": "", "models": 1, "runs": 1,
         "with_outcomes": 1},
        {"file": str(files[1]), "benchmark": "c", "version": "", "models": 2, "runs": 2,
         "with_outcomes": 2},
    ]  # fmt: skip
    last = commands("evals", "remove", "--benchmark", "b")
    assert f"Nothing is left of {files[0]}." in last.stderr
    assert "2 models that only these runs named are removed too." in last.stderr
    assert "2 runs removed." in last.stderr
