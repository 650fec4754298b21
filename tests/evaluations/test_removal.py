"""Removals: what goes, what stays, and what is left over of a file that was corrected."""

import tempfile
import time
from pathlib import Path
from typing import Any

import factories
import pytest
from cli_commands import Commands
from evaluated import contents, long_table
from factories import rows
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
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


def scores(path: Path, **by_model: float) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    lines = "".join(f"{model},b,{score}\n" for model, score in by_model.items())
    path.write_text("model,benchmark,score\n" + lines)
    return path


ROLES = {"model": "model", "score": "score", "benchmark": "benchmark", "source": "=s"}


def test_advice_removes_nothing_that_another_file_states(engine: Engine, tmp_path: Path) -> None:
    one = scores(tmp_path / "one.csv", m=0.5, n=0.25)
    two = scores(tmp_path / "two.csv", n=0.25, o=1.0)
    imported(engine, one, two, roles=ROLES)
    # Corrected, the first file does not state n any more, but the second one still does.
    scores(one, m=0.5)
    [report] = imported(engine, one, roles=ROLES)
    assert report.left_over == 0
    assert removed(engine, left_over=True, files=[str(one)]).runs == 0
    assert runs(engine) == [("m", "b", "one.csv"), ("n", "b", "two.csv"), ("o", "b", "two.csv")]
    scores(two, o=1.0)
    [report] = imported(engine, two, roles=ROLES)
    assert report.left_over == 1
    assert removed(engine, left_over=True, files=[str(two)]).runs == 1
    assert asked(engine, "SELECT count(*) FROM store.restated_runs") == [(0,)]


FILES = ("a/r.csv", "b/r.csv", "c.csv")
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(FILES),
        st.dictionaries(st.sampled_from("mno"), st.sampled_from([0.25, 0.5]), min_size=1),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES, st.sampled_from(FILES))
@example(
    # What b states still, and a stated meanwhile, is b's when a does not state it any more.
    [("b/r.csv", {"o": 0.5, "n": 0.5}), ("a/r.csv", {"m": 0.5, "n": 0.5}),
     ("b/r.csv", {"n": 0.5}), ("a/r.csv", {"m": 0.5})],
    "c.csv",
)  # fmt: skip
def test_what_stays_is_what_the_files_state(
    engine: Engine, changes: list[tuple[str, dict[str, float]]], last: str
) -> None:
    """Whatever is imported in which order, with all advice followed; then a file is removed."""
    with engine.begin() as connection:
        for table in ("runs", "imports", "restated_runs", "evaluated_names"):
            connection.exec_driver_sql(f"DELETE FROM store.{table}")
    stored = "SELECT model, score FROM registry.runs"
    stated: dict[str, dict[str, float]] = {}
    expected: dict[str, tuple[float, set[str]]] = {}  # scores, and the files that state them

    def withdraw(name: str, models: set[str]) -> None:
        for model in models & expected.keys():
            expected[model][1].discard(name)
            if not expected[model][1]:
                del expected[model]

    with tempfile.TemporaryDirectory() as directory:
        for name, now in changes:
            path = scores(Path(directory) / name, **now)
            [report] = imported(engine, path, roles=ROLES)
            for model, score in now.items():
                value, others = expected.get(model, (score, set[str]()))
                expected[model] = (score, {name, *(others if value == score else ())})
            withdraw(name, stated.get(name, {}).keys() - now.keys())
            stated[name] = now
            if report.left_over:
                removed(engine, left_over=True, files=[str(path)])
            assert dict(asked(engine, stored)) == {m: score for m, (score, _) in expected.items()}
        if last in stated:
            removed(engine, files=[str(Path(directory) / last)])
            withdraw(last, set(expected))
            assert dict(asked(engine, stored)) == {m: score for m, (score, _) in expected.items()}


def test_files_of_one_name_are_several(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, model in (("a", "m"), ("b", "n")):
        scores(tmp_path / folder / "r.csv", **{model: 0.5})
        monkeypatch.chdir(tmp_path / folder)
        [report] = imported(engine, Path("r.csv"), roles=ROLES)
        assert (report.error, report.left_over) == (None, 0)
    assert removed(engine, files=["r.csv"]).runs == 1
    assert runs(engine) == [("m", "b", "r.csv")]


def test_a_catalog_of_paths_as_they_were_typed(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier versions recorded them so, and one may be that of two files."""
    a, b = (scores(tmp_path / name / "r.csv", **{m: 0.5}) for name, m in (("a", "m"), ("b", "n")))
    imported(engine, a, b, roles=ROLES)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE store.imports SET path = 'r.csv'")
    assert removed(engine, left_over=True).runs == 0
    monkeypatch.chdir(tmp_path / "a")
    [report] = imported(engine, Path("r.csv"), roles=ROLES)
    assert (report.status, report.left_over) == ("unchanged", 0)
    paths = "SELECT path FROM store.imports ORDER BY import_id"
    assert asked(engine, paths) == [(str(a),), ("r.csv",)]
    # What is typed is this file, not the other one of that name.
    assert removed(engine, files=["r.csv"]).runs == 1
    assert runs(engine) == [("n", "b", "r.csv")]
    # That one can be named as it is recorded.
    assert removed(engine, files=["r.csv"]).runs == 1


def test_a_file_that_was_moved_is_the_same(engine: Engine, tmp_path: Path) -> None:
    path = scores(tmp_path / "a.csv", m=0.5, n=0.5)
    imported(engine, path, roles=ROLES)
    moved = path.rename(tmp_path / "b.csv")
    [report] = imported(engine, moved, roles=ROLES)
    assert report.status == "unchanged"
    assert asked(engine, "SELECT path FROM store.imports") == [(str(moved),)]
    scores(moved, m=0.5)
    [report] = imported(engine, moved, roles=ROLES)
    assert report.left_over == 1
    # A copy is another file, which states the same.
    copy = scores(tmp_path / "copy.csv", m=0.5)
    assert imported(engine, copy, roles=ROLES)[0].status == "unchanged"
    removed(engine, files=[str(moved)])
    assert runs(engine) == [("m", "b", "copy.csv")]


def test_another_file_at_the_place_of_a_moved_one(engine: Engine, tmp_path: Path) -> None:
    place = scores(tmp_path / "results.csv", m=0.5)
    imported(engine, place, roles=ROLES)
    kept = scores(tmp_path / "kept.csv", m=0.5)
    scores(place, n=0.5)
    imported(engine, place, roles=ROLES)
    place.unlink()
    [report] = imported(engine, kept, roles=ROLES)
    assert report.left_over == 0
    assert removed(engine, left_over=True).runs == 0
    assert len(runs(engine)) == 2


def test_scores_that_are_read_otherwise_now_replace_the_former_reading(
    engine: Engine, tmp_path: Path
) -> None:
    path = scores(tmp_path / "a.csv", m=0.5, n=0.25)
    imported(engine, path, roles={**ROLES, "variant": "=voting"})
    [report] = imported(engine, path, roles=ROLES)
    assert (report.written.added, report.replaced) == (2, {str(path): 2})
    assert asked(engine, "SELECT model, score, variant FROM registry.runs ORDER BY 1") == [
        ("m", 0.5, None), ("n", 0.25, None)
    ]  # fmt: skip
    changes = "SELECT old_score, new_score, reason FROM store.score_changes ORDER BY reason"
    assert asked(engine, changes) == [
        (0.5, None, "read as m, with another setup"), (0.25, None, "read as n, with another setup")
    ]  # fmt: skip
    [again] = imported(engine, path, roles=ROLES)
    assert (again.status, again.replaced) == ("unchanged", {})


def test_another_part_of_the_file_replaces_nothing(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("model,zero,five\nm,0.5,0.5\nn,0.25,0.75\n")
    for shots, column in (("0", "zero"), ("5", "five")):
        roles = {"model": "model", "score": column, "benchmark": "=b", "shots": f"={shots}"}
        [report] = imported(engine, path, roles=roles)
        assert (report.written.added, report.replaced) == (2, {})
    assert asked(engine, "SELECT count(*) FROM registry.runs") == [(4,)]


def test_what_a_new_version_does_not_read_any_more_goes(engine: Engine, tmp_path: Path) -> None:
    """Of a file that was always read so, or that says all of it itself."""
    path = scores(tmp_path / "a.csv", m=0.5, n=0.25)
    imported(engine, path, roles=ROLES)
    # As if the earlier version had read two more scores from it.
    more = """
        INSERT INTO store.runs (model_id, run_id, score, benchmark_id, measure_id, setup_id,
                                source_id, name_id, import_id, complete, verified)
        SELECT model_id, run_id + 1, -1, benchmark_id, measure_id, setup_id, source_id, name_id,
               import_id, complete, verified FROM store.runs"""
    with engine.begin() as connection:
        connection.exec_driver_sql(more)
    [report] = imported(engine, path, roles=ROLES)
    assert (report.status, report.replaced) == ("imported", {str(path): 2})
    changes = "SELECT DISTINCT reason FROM store.score_changes"
    assert asked(engine, changes) == [("not read from its file any more",)]
    # With other options it may be read for something else.
    with engine.begin() as connection:
        connection.exec_driver_sql(more)
    [report] = imported(engine, path, roles={**ROLES, "benchmark": "=other"})
    assert report.replaced == {}
    [report] = imported(engine, path, roles=ROLES)
    assert (report.status, report.replaced) == ("unchanged", {})
    assert len(asked(engine, "SELECT run FROM registry.runs")) == 6


def test_many_former_readings_are_paired_at_once(engine: Engine, tmp_path: Path) -> None:
    path = scores(
        tmp_path / "a.csv", **{f"m{number}": number % 100 / 100 for number in range(4000)}
    )
    imported(engine, path, roles={**ROLES, "variant": "=voting"})
    began = time.monotonic()
    [report] = imported(engine, path, roles=ROLES)
    assert report.replaced == {str(path): 4000}
    assert time.monotonic() - began < 30
