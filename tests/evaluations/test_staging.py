"""Files that tell one run differently: refused within a command, replaced by a later one."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from evaluated import contents, long_table
from factories import rows
from sqlalchemy import Engine

from registry.evaluations.import_log import FileReport
from registry.evaluations.importer import ImportOptions, import_files

TIME = "2026-01-21T03-44-18.458309"
MAPPING = """
layout: scores
columns:
  {model: model, benchmark: =b, metric: =acc, score: score, standard_error: error, items: items,
   source: =told}
"""


@pytest.fixture
def mapping(tmp_path: Path) -> str:
    path = tmp_path / "mapping.yaml"
    path.write_text(MAPPING)
    return str(path)


def scores(path: Path, *told: Sequence[object]) -> Path:
    """Write a table of models, their scores, standard errors and numbers of items."""
    lines = [",".join(map(str, row)) for row in told]
    path.write_text("\n".join(["model,score,error,items", *lines, ""]))
    return path


def outcomes(path: Path, *told: int) -> Path:
    """Write a table of what model m did on the items of b."""
    return long_table(path, [("m", "b", f"i{place}", each) for place, each in enumerate(told)])


def imported(engine: Engine, *paths: Path, **options: Any) -> list[FileReport]:
    return import_files(engine, list(paths), ImportOptions(**options))


def statuses(reports: list[FileReport]) -> list[str]:
    return [report.status for report in reports]


def held(engine: Engine) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return rows(
            connection,
            "SELECT model, raw_score, raw_standard_error, items, has_outcomes, file"
            "  FROM registry.runs ORDER BY model",
        )


def test_the_second_file_is_refused_whole(engine: Engine, tmp_path: Path, mapping: str) -> None:
    one = scores(tmp_path / "one.csv", ("m", 0.5, "", ""), ("n", 0.25, "", ""))
    other = scores(
        tmp_path / "other.csv", ("new", 0.1, "", ""), ("m", 0.75, "", ""), ("n", 0.5, "", "")
    )
    for expected in ("imported", "unchanged", "unchanged"):
        first, second = imported(engine, one, other, mapping=mapping)
        assert (first.status, second.status) == (expected, "failed")
        assert second.error is not None
        assert second.error.startswith(
            f"{other} contradicts {one}: m on b (acc) has the score 0.75 here and 0.5 there"
            " (1 more like it)."
        )
        assert second.written.runs == 0
        assert [(row[0], row[1], row[5]) for row in held(engine)] == [
            ("m", 0.5, str(one)),
            ("n", 0.25, str(one)),
        ]
        with engine.connect() as connection:
            assert rows(connection, "SELECT path FROM store.imports") == [(str(one),)]
    dry = imported(engine, one, other, mapping=mapping, dry_run=True)
    assert statuses(dry) == ["unchanged", "failed"]
    # It is this command that counts, not which of them was there before.
    first, second = imported(engine, other, one, mapping=mapping)
    assert (first.status, second.status) == ("imported", "failed")
    assert first.replaced == {str(one): 2}
    assert [row[1] for row in held(engine)] == [0.75, 0.5, 0.1]


def test_a_file_after_one_that_was_known_already(
    engine: Engine, tmp_path: Path, mapping: str
) -> None:
    """What the first of them tells is from another file, imported earlier."""
    known, one = (scores(tmp_path / name, ("m", 0.5, "", "")) for name in ("known.csv", "one.csv"))
    other = scores(tmp_path / "other.csv", ("m", 0.75, "", ""))
    imported(engine, known, mapping=mapping)
    first, second = imported(engine, one, other, mapping=mapping)
    assert (first.status, second.status) == ("unchanged", "failed")
    assert f"{other} contradicts {one}:" in (second.error or "")


def test_other_outcomes(engine: Engine, tmp_path: Path) -> None:
    one, other = outcomes(tmp_path / "one.csv", 1, 0), outcomes(tmp_path / "other.csv", 0, 1)
    first, second = imported(engine, one, other, roles={"source": "=told"})
    assert (first.status, second.status) == ("imported", "failed")
    assert "the same score in both, but other details" in (second.error or "")
    with engine.connect() as connection:
        assert rows(connection, "SELECT outcome FROM registry.outcomes ORDER BY item") == [
            (1.0,),
            (0.0,),
        ]


def test_a_later_command_replaces_and_says_what(
    engine: Engine, tmp_path: Path, mapping: str
) -> None:
    one = scores(tmp_path / "one.csv", ("m", 0.5, "", ""), ("n", 0.25, "", ""))
    two = scores(tmp_path / "two.csv", ("o", 0.5, "", ""))
    imported(engine, one, two, mapping=mapping)
    newer = scores(
        tmp_path / "newer.csv", ("m", 0.6, "", ""), ("n", 0.25, "", ""), ("o", 0.7, "", "")
    )
    [report] = imported(engine, newer, mapping=mapping)
    assert report.replaced == {str(one): 1, str(two): 1}
    assert (report.written.changed, report.written.unchanged) == (2, 1)
    [again] = imported(engine, newer, mapping=mapping)
    assert (again.status, again.replaced) == ("unchanged", {})


def test_files_that_complete_each_other(engine: Engine, tmp_path: Path, mapping: str) -> None:
    """Each tells what the others do not, and none takes it away again."""
    told = [("m", 0.5, "", ""), ("m", 0.5, 0.25, ""), ("m", 0.5, "", 8)]
    files = [scores(tmp_path / f"{n}.csv", row) for n, row in enumerate(told)]
    reports = imported(engine, *files, mapping=mapping)
    assert statuses(reports) == ["imported"] * 3
    assert [report.replaced for report in reports] == [{}] * 3
    assert held(engine) == [("m", 0.5, 0.25, 8, False, str(files[2]))]
    before = contents(engine)
    assert statuses(imported(engine, *files, mapping=mapping)) == ["unchanged"] * 3
    assert contents(engine) == before
    other = scores(tmp_path / "other.csv", ("m", 0.5, 0.125, ""))
    assert statuses(imported(engine, *files, other, mapping=mapping))[3] == "failed"


def lm_eval(folder: Path, score: float, outcomes: Sequence[int], items: int | None) -> list[Path]:
    """Write the results and the samples of one run."""
    results, samples = folder / f"results_{TIME}.json", folder / f"samples_b_{TIME}.jsonl"
    content: dict[str, Any] = {
        "results": {"b": {"alias": "b", "acc,none": score}},
        "configs": {"b": {}},
        "versions": {"b": 1},
        "config": {"model": "hf", "model_args": "pretrained=org/m", "limit": None},
        "date": 1768964383.5,
    }
    if items is not None:
        content["n-samples"] = {"b": {"original": items, "effective": items}}
    results.write_text(json.dumps(content))
    samples.write_text(
        "".join(
            json.dumps({"doc_id": place, "doc_hash": f"h{place}", "doc": {"q": place},
                        "arguments": [[f"q{place}"]], "resps": [["x"]], "filtered_resps": ["x"],
                        "filter": "none", "acc": outcome}) + "\n"
            for place, outcome in enumerate(outcomes)
        )
    )  # fmt: skip
    return [results, samples]


@pytest.mark.parametrize("score_first", [True, False])
@pytest.mark.parametrize(
    ("score", "items", "agrees"),
    [
        (2 / 3, 3, True), (0.667, 3, True), (0.67, 3, True), (0.67, None, True),
        (0.66, 3, False), (0.6666, 3, False), (1.0, 3, False),
    ],
)  # fmt: skip
def test_results_and_samples_of_one_run(
    engine: Engine, tmp_path: Path, score: float, items: int | None, *, agrees: bool,
    score_first: bool,
) -> None:  # fmt: skip
    files = lm_eval(tmp_path, score, [1, 1, 0], items)
    files = files if score_first else files[::-1]
    first, second = imported(engine, *files)
    assert first.status == "imported"
    if not agrees:
        assert second.status == "failed"
        assert f"{files[1]} contradicts {files[0]}: org/m on b (acc)" in (second.error or "")
        return
    assert second.status == ("imported" if score_first else "unchanged")
    assert second.replaced == {}
    [(_, found, _, _, has_outcomes, _)] = held(engine)
    assert (found, has_outcomes) == (pytest.approx(2 / 3), True)
    before = contents(engine)
    assert statuses(imported(engine, *files)) == ["unchanged"] * 2
    assert contents(engine) == before


def test_results_and_samples_that_are_both_corrected(engine: Engine, tmp_path: Path) -> None:
    imported(engine, *lm_eval(tmp_path, 1.0, [1, 1, 1], 3))
    files = lm_eval(tmp_path, 1 / 3, [1, 0, 0], 3)
    results, samples = imported(engine, *files)
    # The score by itself does not undo outcomes.
    assert (results.status, samples.status) == ("unchanged", "imported")
    assert samples.replaced == {str(files[1]): 1}
    assert held(engine)[0][1] == pytest.approx(1 / 3)


@pytest.fixture
def answers(tmp_path: Path) -> str:
    mapping = tmp_path / "answers.yaml"
    mapping.write_text(
        "layout: outcomes\ncolumns: {model: model, benchmark: benchmark, item: item,"
        " outcome: outcome, answer: answer, source: =told}\n"
    )
    return str(mapping)


def answered(path: Path, answer: str) -> Path:
    """Write a table of the one right outcome of model m on b, and what it answered, if anything."""
    path.write_text(f"model,benchmark,item,outcome,answer\nm,b,i0,1,{answer}\n")
    return path


def test_other_answers(engine: Engine, tmp_path: Path, answers: str) -> None:
    files = [answered(tmp_path / "a.csv", "x"), answered(tmp_path / "b.csv", "y")]
    assert statuses(imported(engine, *files, mapping=answers)) == ["imported", "failed"]
    assert statuses(imported(engine, *files[::-1], mapping=answers)) == ["imported", "failed"]
    with engine.connect() as connection:
        assert rows(connection, "SELECT answer FROM registry.answers") == [("y",)]


def test_answers_count_beyond_a_file_without(engine: Engine, tmp_path: Path, answers: str) -> None:
    told = {"a.csv": "x", "b.csv": "", "c.csv": "y"}
    files = [answered(tmp_path / name, answer) for name, answer in told.items()]
    reports = imported(engine, *files, mapping=answers)
    assert [report.status == "failed" for report in reports] == [False, False, True]
    with engine.connect() as connection:
        assert rows(connection, "SELECT answer FROM registry.answers") == [("x",)]


def test_outcomes_count_beyond_a_bare_score(engine: Engine, tmp_path: Path) -> None:
    """A score that agrees with outcomes does not let others of the same mean pass."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    score, one = lm_eval(tmp_path / "one", 2 / 3, [1, 1, 0], 3)
    other = lm_eval(tmp_path / "other", 2 / 3, [0, 1, 1], 3)[1]
    reports = imported(engine, one, score, other)
    assert statuses(reports) == ["imported", "unchanged", "failed"]
    assert f"{other} contradicts {one}" in (reports[2].error or "")


def test_what_a_file_does_not_state_any_more_is_that_of_one_with_outcomes(
    engine: Engine, tmp_path: Path, mapping: str
) -> None:
    """Also where a newer file states the score alone."""
    first, same = (outcomes(tmp_path / name, 1, 0) for name in ("first.csv", "same.csv"))
    newer = scores(tmp_path / "newer.csv", ("m", 0.5, "", 2))
    imported(engine, first, same, roles={"source": "=told"})
    imported(engine, newer, mapping=mapping)
    assert [row[4:] for row in held(engine)] == [(True, str(first))]
    long_table(first, [("n", "b", "i0", 1), ("n", "b", "i1", 1)])
    imported(engine, first, roles={"source": "=told"})
    assert [row[4:] for row in held(engine)] == [(True, str(same)), (True, str(first))]
