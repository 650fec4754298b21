"""Runs of lm-eval in the database: items, parts of results, and filters, whatever the layout."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluated import write
from factories import rows
from harness_runs import HarnessRun
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from registry.errors import UnreadableFileError
from registry.evaluations.formats import lm_eval
from registry.evaluations.importer import import_files
from registry.evaluations.records import Notes

OLD_TIME = "2025-01-21T03-44-18.458309"

once = settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@contextmanager
def undone(connection: Connection) -> Iterator[Path]:
    """Provide a folder, and undo afterwards what was written to the database."""
    with tempfile.TemporaryDirectory() as folder:
        savepoint = connection.begin_nested()
        try:
            yield Path(folder)
        finally:
            savepoint.rollback()


def load(connection: Connection, *paths: Path) -> None:
    for path in paths:
        write(connection, *lm_eval.read(path, Notes()))


def runs(connection: Connection, columns: str) -> list[tuple[Any, ...]]:
    return rows(connection, f"SELECT {columns} FROM registry.runs ORDER BY shots, metric, filter")


questions = st.lists(st.integers(0, 12), min_size=1, max_size=12).map(
    lambda numbers: [f"What is {n} and {n}?" for n in numbers]
)
wrappings = st.sampled_from(["{}", "<|user|>\n{}<|end|>\n<|assistant|>\n", "[INST] {} [/INST]"])


@once
@given(data=st.data(), asked=questions, shots=st.tuples(st.integers(0, 6), st.integers(0, 6)),
       around=st.tuples(wrappings, wrappings))  # fmt: skip
def test_runs_of_one_task_have_the_same_items(
    connection: Connection,
    data: st.DataObject,
    asked: list[str],
    shots: tuple[int, int],
    around: tuple[str, str],
) -> None:
    """Whatever the examples and the template, a document is an item as often as it is asked."""
    grades = st.lists(st.sampled_from([0.0, 1.0]), min_size=len(asked), max_size=len(asked))
    one, other, templates = data.draw(grades), data.draw(grades), data.draw(st.booleans())
    with undone(connection) as folder:
        for name, outcomes, n, wrapping in zip("ab", (one, other), shots, around, strict=True):
            run = HarnessRun(questions=asked, outcomes={"none": outcomes}, model=f"acme/{name}",
                             shots=n, wrapping=wrapping,
                             template="Q: {{question}}\nA:" if templates else None)  # fmt: skip
            load(connection, *run.write(folder / name))
        found = rows(connection, "SELECT model, score, items, outcomes, complete"
                     " FROM registry.runs ORDER BY model")  # fmt: skip
        number = len(asked)
        assert found == [
            (f"acme/{name}", pytest.approx(np.mean(outcomes)), number, number, True)
            for name, outcomes in zip("ab", (one, other), strict=True)
        ]
        assert rows(connection, "SELECT items FROM registry.benchmarks") == [(number,)]
        expected = [(f"Q: {question}\nA:",) for question in asked]
        assert rows(connection, "SELECT prompt FROM registry.items ORDER BY ordinal") == expected
        [(both, agreement)] = rows(
            connection, "SELECT items, agreement FROM registry.agreement('acme/a', 'acme/b', 't')"
        )
        assert (both, agreement) == (
            number,
            pytest.approx(np.mean(np.array(one) == np.array(other))),
        )


@once
@given(data=st.data(), number=st.integers(1, 8), extra=st.integers(0, 5))
def test_a_part_of_the_outcomes_leaves_the_score_as_stated(
    connection: Connection,
    data: st.DataObject,
    number: int,
    extra: int,
) -> None:
    """Outcomes on all items give the score; those on fewer are kept beside the stated one."""
    order, known = data.draw(st.booleans()), data.draw(st.booleans())
    outcomes = data.draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=number, max_size=number))
    mean = float(np.mean(outcomes))
    score = mean if not extra else data.draw(st.sampled_from([0.123, 0.5, 0.877]))
    run = HarnessRun(questions=[f"Q{n}?" for n in range(number)], outcomes={"none": outcomes},
                     scores={"none": score}, items=number + extra if known else None)  # fmt: skip
    # Half of its last digit, and of one digit at most half a percent.
    rounding = 0.005 if score == 0.5 else 0.0005
    is_part = extra > 0 if known else abs(score - mean) > rounding + 1e-6
    with undone(connection) as folder:
        files = run.write(folder)
        load(connection, *(files if order else files[::-1]))
        expected: tuple[Any, ...] = (pytest.approx(mean, abs=1e-6), number, number)
        if is_part:
            expected = (score, number + extra if known else None, number)
        [found] = runs(connection, "score, items, outcomes, has_outcomes, complete")
        assert found == (*expected, True, True)
        [kind] = rows(connection, "SELECT kind FROM registry.scores")
        assert kind == ("reported" if is_part else "measured",)
        assert rows(connection, "SELECT count(*) FROM registry.outcomes") == [(number,)]
        load(connection, *files)
        assert [found] == runs(connection, "score, items, outcomes, has_outcomes, complete")


@once
@given(data=st.data(), number=st.integers(2, 10), count=st.integers(2, 3))
def test_filters_without_names_are_told_apart_by_their_means(
    connection: Connection,
    data: st.DataObject,
    number: int,
    count: int,
) -> None:
    listed, interleaved = data.draw(st.booleans()), data.draw(st.booleans())
    rights = data.draw(st.lists(st.integers(0, number), min_size=count, max_size=count,
                                unique=True))  # fmt: skip
    names = data.draw(st.permutations(["strict", "flexible", "last"][:count]))
    outcomes = {
        name: [1.0] * right + [0.0] * (number - right)
        for name, right in zip(names, rights, strict=True)
    }
    run = HarnessRun(questions=[f"Q{n}?" for n in range(number)], outcomes=outcomes,
                     names_filters=False, filter_list=None if listed else [])  # fmt: skip
    with undone(connection) as folder:
        files = run.write(folder)
        if interleaved:
            lines = files[1].read_text().splitlines()
            files[1].write_text(
                "\n".join(sorted(lines, key=lambda each: json.loads(each)["doc_id"]))
            )
        load(connection, *files)
        found = runs(connection, "filter, score, items, outcomes")
        assert found == [
            (name, pytest.approx(right / number), number, number)
            for name, right in sorted(zip(names, rights, strict=True))
        ]


TWO = {"strict": [1.0, 0.0, 0.0, 0.0], "flexible": [1.0, 1.0, 1.0, 0.0]}
FOUR = [f"Q{n}?" for n in range(4)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filter_list": ["flexible", "strict"]}, "do not name their filter, and their means do"),
        ({"scores": {"strict": 0.5}}, "which of strict, flexible each is of"),
        ({"filter_list": [], "scores": {"strict": 0.75, "flexible": 0.75}}, "do not name"),
        ({"lines": [0, 1, 2]}, "Add the filter's name to each line, or import the results file"),
    ],
)
def test_filters_that_nothing_shows_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    run = HarnessRun(questions=FOUR, outcomes=TWO, names_filters=False, **changes)
    with pytest.raises(UnreadableFileError, match=message):
        list(lm_eval.read(run.write(tmp_path)[1], Notes()))


def test_filters_without_a_score_of_the_samples_metric_are_refused(tmp_path: Path) -> None:
    """Their listed order is not shown by any mean."""
    run = HarnessRun(questions=FOUR, outcomes=TWO, names_filters=False)
    results, samples = run.write(tmp_path)
    results.write_text(results.read_text().replace('"acc,', '"f1,'))
    with pytest.raises(UnreadableFileError, match="do not name their filter, and their means do"):
        list(lm_eval.read(samples, Notes()))


def test_lines_that_name_their_filter_and_others_that_do_not(tmp_path: Path) -> None:
    path = HarnessRun(questions=FOUR, outcomes=TWO).write(tmp_path)[1]
    first, *others = path.read_text().splitlines()
    unnamed = {key: value for key, value in json.loads(first).items() if key != "filter"}
    path.write_text("\n".join([json.dumps(unnamed), *others]))
    with pytest.raises(UnreadableFileError, match="'filter': only some of its lines name"):
        list(lm_eval.read(path, Notes()))


def test_one_filter_needs_no_name(tmp_path: Path) -> None:
    run = HarnessRun(questions=FOUR, outcomes={"strict": [1, 0, 0, 0]}, names_filters=False)
    [block] = lm_eval.read(run.write(tmp_path)[1], Notes())
    assert [each.measure.filter for each in block.runs] == ["strict"]


def test_the_results_file_is_found_under_the_name_of_the_output_path(tmp_path: Path) -> None:
    run = HarnessRun(questions=["a?"], outcomes={"none": [1.0]}, results_name="mine", shots=5)
    results, samples = run.write(tmp_path / "anything")
    [block] = lm_eval.read(samples, Notes())
    assert [(each.model, each.setup.shots) for each in block.runs] == [("acme/m", 5)]
    # Another file of the same time, of another task, is not the one.
    other = HarnessRun(questions=["a?"], outcomes={"none": [1.0]}, results_name="other", task="u")
    other.write(tmp_path / "anything")
    assert [each.model for block in lm_eval.read(samples, Notes()) for each in block.runs] == [
        "acme/m"
    ]
    results.with_name(f"third_{run.time}.json").write_bytes(results.read_bytes())
    with pytest.raises(UnreadableFileError, match="mine_.* and third_.* may both be the results"):
        list(lm_eval.read(samples, Notes()))


def test_early_versions_name_samples_by_the_model_s_arguments(tmp_path: Path) -> None:
    for name in ("gpt2", "gpt2-xl"):
        run = HarnessRun(questions=["a?"], outcomes={"none": [1.0]}, model=f"acme/{name}")
        results, samples = run.write(tmp_path)
        results.rename(tmp_path / f"{name}.json")
        samples.rename(tmp_path / f"pretrained__acme__{name}_t.jsonl")
    for name in ("gpt2", "gpt2-xl"):
        [block] = lm_eval.read(tmp_path / f"pretrained__acme__{name}_t.jsonl", Notes())
        assert ([each.model for each in block.runs], block.benchmark.name) == (
            [f"acme/{name}"],
            "t",
        )


def write_out(folder: Path, prompts: Sequence[Sequence[str]], shots: int) -> Path:
    """Write what lm-eval 0.3 does with `--write_out`, and its results."""
    folder.mkdir()
    content = {
        "results": {"arc": {"acc": 0.5, "acc_norm": 0.5}},
        "versions": {"arc": 0},
        "config": {"model": "gpt2", "model_args": "pretrained=acme/old", "num_fewshot": shots,
                   "limit": None},
    }  # fmt: skip
    (folder / "any.json").write_text(json.dumps(content))
    listed = [
        {"doc_id": place, **{f"prompt_{n}": text for n, text in enumerate(texts)},
         **{f"logit_{n}": -1.5 for n in range(len(texts))}, "truth": place, "acc": str(place == 0),
         "acc_norm": f"{place:.1f}"}
        for place, texts in enumerate(prompts)
    ]  # fmt: skip
    path = folder / "arc_write_out_info.json"
    path.write_text(json.dumps(listed, indent=4))
    return path


def test_what_lm_eval_0_3_writes_out_is_read(engine: Engine, tmp_path: Path) -> None:
    def prompts(before: str) -> list[list[str]]:
        return [
            [f"{before}Question: {asked}\nAnswer: {choice}" for choice in ("the cat", "the dog")]
            for asked in ("who purrs?", "who barks?")
        ]

    write_out(tmp_path / "zero", prompts(""), 0)
    write_out(tmp_path / "two", prompts("Question: a\nAnswer: b\n\nQuestion: c\nAnswer: d\n\n"), 2)
    reports = import_files(engine, [tmp_path / "zero", tmp_path / "two"])
    assert [(report.format, report.status) for report in reports] == [("lm-eval", "imported")] * 4
    with engine.connect() as connection:
        assert runs(connection, "model, shots, metric, score, outcomes") == [
            ("acme/old", shots, metric, 0.5, 2)
            for shots in (0, 2)
            for metric in ("acc", "acc_norm")
        ]
        assert rows(connection, "SELECT item, prompt, answer FROM registry.items") == [
            ("0", "Question: who purrs?\nAnswer: the", "0"),
            ("1", "Question: who barks?\nAnswer: the", "1"),
        ]
        assert rows(connection, "SELECT item, outcome FROM registry.outcomes JOIN registry.runs"
                    " USING (run) WHERE metric = 'acc' AND shots = 2 ORDER BY 1") == [
            ("0", 1.0), ("1", 0.0)
        ]  # fmt: skip


def test_forks_write_out_an_object_of_rows(tmp_path: Path) -> None:
    path = write_out(tmp_path / "x", [["1+1?"], ["2+2?"]], 0)
    path.write_text(json.dumps({str(n): row for n, row in enumerate(json.loads(path.read_text()))}))
    assert lm_eval.recognizes(path)
    [block] = lm_eval.read(path, Notes())
    assert [(item.item, item.prompt) for item in block.items] == [("0", "1+1?"), ("1", "2+2?")]
    for content in ([], {}, 3, [1], {"0": 1}, {"0": {"doc_id": 1}}):
        path.write_text(json.dumps(content))
        assert not lm_eval.recognizes(path)
        with pytest.raises(UnreadableFileError):
            list(lm_eval.read(path, Notes()))


@pytest.mark.parametrize(
    ("rows_", "message"),
    [
        ([{"prompt_0": "a", "doc_id": -1, "acc": "1.0"}], "line 1, field 'doc_id'"),
        ([{"prompt_0": "a", "doc_id": 0}, {"doc_id": 1}], "line 2, field 'prompt_0'"),
    ],
)
def test_rows_that_were_not_written_out(tmp_path: Path, rows_: list[Any], message: str) -> None:
    path = write_out(tmp_path / "x", [], 0)
    path.write_text(json.dumps(rows_))
    with pytest.raises(UnreadableFileError, match=message):
        list(lm_eval.read(path, Notes()))


def test_a_stored_prompt_with_more_around_it_becomes_the_question(
    connection: Connection, tmp_path: Path
) -> None:
    """As catalogs hold them that were filled before prompts were cut."""
    asked, outcomes = ["Who?", "When?"], {"none": [1.0, 0.0]}
    load(connection, *HarnessRun(questions=asked, outcomes=outcomes).write(tmp_path / "a"))
    wrapped = "UPDATE store.items SET prompt = 'Q: x\nA: y\n\n' || prompt, content_hash = NULL"
    connection.exec_driver_sql(wrapped)
    connection.exec_driver_sql(
        "UPDATE store.items SET content_hash = md5(prompt)::uuid"  # any other than the question's
    )
    run = HarnessRun(questions=asked, outcomes=outcomes, shots=3, model="acme/n")
    load(connection, *run.write(tmp_path / "b"))
    assert rows(connection, "SELECT prompt FROM registry.items ORDER BY ordinal") == [
        ("Q: Who?\nA:",), ("Q: When?\nA:",)
    ]  # fmt: skip
    hashes = rows(connection, "SELECT content_hash FROM registry.items ORDER BY ordinal")
    load(
        connection, *HarnessRun(questions=asked, outcomes=outcomes, task="v").write(tmp_path / "c")
    )
    query = "SELECT content_hash FROM registry.items WHERE benchmark = 'v' ORDER BY ordinal"
    assert rows(connection, query) == hashes
