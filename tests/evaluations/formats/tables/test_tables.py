"""The importer of tables: what a mapping says, on small files made here."""

import csv
import gzip
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from registry.catalog.resolution import StatedName
from registry.errors import RegistryError, UnreadableFileError, UsageError
from registry.evaluations.formats import embedllm, tables
from registry.evaluations.records import Block, Measure, Names, Notes, Run
from registry.evaluations.scales.measured import measured

LONG = tables.load_mapping("long")
HEADER = "model,benchmark,item,outcome\n"


def mapping(tmp_path: Path, document: object, name: str = "mapping") -> tables.TableMapping:
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return tables.load_mapping(path)


def written(tmp_path: Path, text: str | bytes, name: str = "table.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def blocks(
    path: Path, by: tables.TableMapping = LONG, notes: Notes | None = None
) -> list[tuple[Block, list[Run]]]:
    found = []
    for content in tables.read(path, by, notes or Notes()):
        assert isinstance(content, Block)
        found.append((content, list(content.runs)))
    return found


def one(path: Path, by: tables.TableMapping = LONG) -> tuple[Block, list[Run]]:
    [found] = blocks(path, by)
    return found


def outcomes(path: Path, by: tables.TableMapping = LONG) -> dict[tuple[str, str, str], float]:
    """Every outcome that is known, by model, benchmark and item."""
    found = {}
    for block, runs in blocks(path, by):
        for run in runs:
            assert run.outcomes is not None
            assert run.outcomes.dtype == np.float32
            assert len(run.outcomes) == len(block.items)
            for item, outcome in zip(block.items, run.outcomes.tolist(), strict=True):
                if outcome == outcome:  # noqa: PLR0124 - NaN is not
                    found[run.model, block.benchmark.name, item.item] = outcome
    return found


def only_blocks(path: Path, by: tables.TableMapping) -> list[Block]:
    return [each for each in tables.read(path, by, Notes()) if isinstance(each, Block)]


def refused(path: Path, by: tables.TableMapping = LONG) -> UnreadableFileError:
    with pytest.raises(UnreadableFileError) as caught:
        blocks(path, by)
    return caught.value


ROWS = [("a/b", "x", "1", 1.0), ("a/b", "x", "2", 0.0), ("c", "x", "1", 0.25), ("c", "y", "1", 1.0)]
WANTED = {(model, benchmark, item): outcome for model, benchmark, item, outcome in ROWS}


def as_csv(tmp_path: Path) -> Path:
    return written(tmp_path, HEADER + "".join(f"{m},{b},{i},{o}\n" for m, b, i, o in ROWS))


def as_gzipped_csv(tmp_path: Path) -> Path:
    return written(tmp_path, gzip.compress(as_csv(tmp_path).read_bytes()), "table.csv.gz")


def as_tsv(tmp_path: Path) -> Path:
    return written(tmp_path, as_csv(tmp_path).read_text().replace(",", "\t"), "table.tsv")


def as_jsonl(tmp_path: Path) -> Path:
    names = HEADER.strip().split(",")
    lines = [orjson.dumps(dict(zip(names, row, strict=True))) for row in ROWS]
    return written(tmp_path, b"\n".join(lines), "table.jsonl")


def as_gzipped_jsonl(tmp_path: Path) -> Path:
    return written(tmp_path, gzip.compress(as_jsonl(tmp_path).read_bytes()), "table.jsonl.gz")


def as_parquet(tmp_path: Path) -> Path:
    columns = zip(*ROWS, strict=True)
    table = pa.table(dict(zip(HEADER.strip().split(","), map(list, columns), strict=True)))
    pq.write_table(table, tmp_path / "table.parquet", row_group_size=3)
    return tmp_path / "table.parquet"


@pytest.mark.parametrize(
    "write", [as_csv, as_gzipped_csv, as_tsv, as_jsonl, as_gzipped_jsonl, as_parquet]
)
def test_every_kind_of_file_says_the_same(tmp_path: Path, write: object) -> None:
    assert callable(write)
    assert outcomes(write(tmp_path)) == WANTED


def test_a_run_knows_its_source_and_measure(tmp_path: Path) -> None:
    block, runs = blocks(as_csv(tmp_path))[0]
    assert [item.item for item in block.items] == ["1", "2"]
    assert runs[0].measure == Measure(metric="acc")
    assert runs[0].source.name == "table.csv"
    assert runs[0].complete
    assert runs[1].outcomes is not None
    np.testing.assert_array_equal(runs[1].outcomes, np.array([0.25, np.nan], np.float32))


@pytest.mark.parametrize(
    ("cell", "outcome"),
    [("true", 1), ("False", 0), ("1", 1), ("0.5", 0.5), (" 1e-1 ", 0.1), (".5", 0.5)],
)
def test_outcomes_are_numbers_or_true_and_false(tmp_path: Path, cell: str, outcome: float) -> None:
    path = written(tmp_path, f"{HEADER}a,x,1,{cell}\n")
    assert outcomes(path) == {("a", "x", "1"): pytest.approx(outcome)}


@pytest.mark.parametrize("is_text", [True, False])
@pytest.mark.parametrize(("lower", "is_missing"), [(0, True), (1, False), (-0.5, False)])
def test_minus_one_is_missing_on_a_scale_from_nothing_alone(
    tmp_path: Path, lower: float, *, is_text: bool, is_missing: bool
) -> None:
    by = tables.override(LONG, {"scale.lower": f"{lower}", "scale.upper": "10"})
    path = written(tmp_path, f"{HEADER}a,x,1,10\na,x,2,-1\n")
    if not is_text:
        columns = {"model": ["a", "a"], "benchmark": ["x", "x"], "item": ["1", "2"]}
        path = tmp_path / "table.parquet"
        pq.write_table(pa.table(columns | {"outcome": [10.0, -1.0]}), path)
    if is_missing:
        [(_, [run])] = blocks(path, by)
        assert run.outcomes is not None
        np.testing.assert_array_equal(run.outcomes, np.array([1, np.nan], np.float32))
    else:
        with pytest.raises(UnreadableFileError, match=f"-1.* is not from {lower:g} to 10"):
            blocks(path, by)


def test_missing_outcomes_are_not_zero(tmp_path: Path) -> None:
    path = written(tmp_path, f"{HEADER}a,x,1,\na,x,2,NaN\na,x,3,1\nb,x,1,null\n")
    notes = Notes()
    [(block, [run])] = blocks(path, notes=notes)
    assert len(block.items) == 3
    assert run.outcomes is not None
    np.testing.assert_array_equal(run.outcomes, np.array([np.nan, np.nan, 1], np.float32))
    assert notes.counts == {"rows without an outcome": 3, "runs without any outcome": 1}


def test_rows_that_say_the_same_again_are_noted(tmp_path: Path) -> None:
    path = written(tmp_path, f"{HEADER}a,x,1,1\na,x,1,1.0\na,x,2,0\n")
    notes = Notes()
    blocks(path, notes=notes)
    assert notes.counts == {"rows that repeat another one": 1}


@pytest.mark.parametrize(
    ("text", "line", "field", "says"),
    [
        ("a,x,1,1\na,x,1,0\n", 3, "outcome", "another outcome in an earlier row"),
        ('"a","x\ny",1,1\n,x,1,0\n', 4, "model", "empty"),
        ("a,x,1,1\na,x,,0\n", 3, "item", "empty"),
        ("a,x,1,maybe\n", 2, "outcome", "neither a number nor one of false, true"),
        ("a,x,1,1_000\n", 2, "outcome", "neither a number"),
        ("\n\na,x,1,2\n", 4, "outcome", "not from 0 to 1"),
        ("a,x,1,-0.1\n", 2, "outcome", "not from 0 to 1"),
        ("a,x,1,inf\n", 2, "outcome", "neither a number"),
        ("a\0b,x,1,1\n", 2, "model", "cannot be stored"),
        (f"{'a' * 256},x,1,1\n", 2, "model", "256 characters"),
        (f"a,x,1,1\na,x,{'i' * 300},1\n", 3, "item", "300 characters"),
        ("a,,1,1\n", 2, "benchmark", "empty"),
        ("a,x,1,1\na,x,2\n", 3, None, "3 cells where there are 4"),
        ("a,x,1,1\na,x,2,1,1\n", 3, None, "5 cells where there are 4"),
    ],
)
def test_a_bad_row_is_named(
    tmp_path: Path, text: str, line: int, field: str | None, says: str
) -> None:
    error = refused(written(tmp_path, HEADER + text))
    assert (error.line, error.row, error.field) == (line, None, field)
    assert says in error.problem


def test_a_bad_row_of_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    columns = {"model": ["a", "a"], "benchmark": ["x", "x"], "item": [1, 2], "outcome": [0, 3]}
    pq.write_table(pa.table(columns), path)
    error = refused(path)
    assert (error.line, error.row, error.field) == (None, 2, "outcome")


@pytest.mark.parametrize("field", ["model", "item", "outcome"])
def test_columns_of_lists_are_refused(tmp_path: Path, field: str) -> None:
    path = tmp_path / "t.parquet"
    columns: dict[str, list[object]] = {name: ["1"] for name in HEADER.strip().split(",")}
    pq.write_table(pa.table({**columns, field: [["1"]]}), path)
    assert refused(path).field == field


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (b"", "t.csv", "It is empty"),
        (b"", "t.parquet", "It is empty"),
        (b"PAR1 no", "t.parquet", "not a whole Parquet file"),
        (HEADER.encode(), "t.csv", "no rows"),
        (b"{}\n", "t.jsonl", "It is empty"),
        (b"a,b\n", "t.xlsx", "ends in none of"),
        (b"model,model,item,outcome\n", "t.csv", "two columns of this name"),
        (b"model,item\na,b\n", "t.csv", "no such column"),
        (gzip.compress(HEADER.encode() * 1000)[:-20], "t.csv.gz", "cannot be read"),
        (b"not gzip", "t.csv.gz", "cannot be read"),
        (HEADER.encode() + b"a,x,1,1\n\xff\xfe,x,2,1\n", "t.csv", "not UTF-8"),
        (b'{"model": "a"}\n[1]\n', "t.jsonl", "not a JSON object"),
        (b'{"model": "a", "benchmark"\n', "t.jsonl", "not JSON"),
        (b"\x00\x01\x02", "t.csv", "no such column"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes, name: str, says: str) -> None:
    assert says in str(refused(written(tmp_path, content, name)))


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    whole = as_parquet(tmp_path).read_bytes()
    assert "whole Parquet" in str(refused(written(tmp_path, whole[:-30], "cut.parquet")))
    broken = whole[:10] + b"\xff" * 40 + whole[50:]
    refused(written(tmp_path, broken, "broken.parquet"))


def test_the_line_of_bad_utf8_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER.encode() + b'a,x,"1\n2",1\n\xff,x,2,1\n')
    assert refused(path).line == 4


def test_big_cells_with_lines_and_commas_are_read(tmp_path: Path) -> None:
    document = {**LONG.document, "columns": {**_columns(), "prompt": "prompt"}}
    prompt = 'say "hi",\n' * 1_600_000
    path = tmp_path / "big.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*HEADER.strip().split(","), "prompt"])
        rows.writerow(["a", "x", "1", "1", prompt])
        rows.writerow(["a", "x", "2", "0", "short"])
    block, _ = one(path, mapping(tmp_path, document))
    assert [item.prompt for item in block.items] == [prompt, "short"]


def _columns() -> dict[str, str]:
    columns = LONG.document["columns"]
    assert isinstance(columns, dict)
    return columns


def test_answers_tokens_and_latencies_belong_to_items(tmp_path: Path) -> None:
    more = {"answer": "said", "input_tokens": "in", "output_tokens": "out", "latency": "ms"}
    document = {**LONG.document, "columns": {**_columns(), **more}}
    text = "model,benchmark,item,outcome,said,in,out,ms\n"
    text += "a,x,1,1,A,10,,1.5\na,x,2,0,,7,3,\nb,x,2,1,None,0,0,0\n"
    _, runs = one(written(tmp_path, text), mapping(tmp_path, document))
    assert runs[0].answers == ["A", None]
    assert runs[1].answers == [None, "None"]
    assert runs[0].input_tokens is not None
    assert runs[0].input_tokens.tolist() == [10, 7]
    assert runs[0].output_tokens is not None
    assert runs[0].output_tokens.tolist() == [-1, 3]
    assert runs[1].latencies is not None
    np.testing.assert_array_equal(runs[1].latencies, np.array([np.nan, 0], np.float32))


def test_setups_tell_runs_apart(tmp_path: Path) -> None:
    document = {
        "layout": "outcomes",
        "columns": {
            "benchmark": "=gsm8k",
            "model": "model",
            "item": "=q{question}",
            "outcome": "right",
            "shots": "shots",
            "revision": "=step{step}",
            "chat_template": "chat",
            "evaluated_at": "day",
            "source": "=me",
        },
        "details": {"judge": "judge"},
        "where": {"split": "test"},
        "labels": {"Y": 1, "N": 0, "?": None},
        "measure": {"metric": "exact_match", "random_baseline": 0},
    }
    text = "model,question,right,shots,step,chat,day,judge,split\n"
    text += "m,1,y,0,5,true,2024-06-08,j,test\nm,1,N,5,5,false,2024-06-08,j,test\n"
    text += "m,2,y,5,,,,,train\nm,2,?,5,5,false,2024-06-08,j,test\n"
    block, [first, second] = one(written(tmp_path, text), mapping(tmp_path, document))
    assert [item.item for item in block.items] == ["q1", "q2"]
    assert (first.setup.shots, second.setup.shots) == (0, 5)
    assert (first.setup.chat_template, second.setup.chat_template) == ("default", "")
    assert first.setup.details == {"judge": "j"}
    assert first.revision == "step5"
    assert first.evaluated_at is not None
    assert first.evaluated_at.isoformat() == "2024-06-08T00:00:00+00:00"
    assert first.measure == Measure(metric="exact_match", random_baseline=0)
    assert first.source.name == "me"


def test_outcomes_on_a_scale_and_lower_is_better(tmp_path: Path) -> None:
    document = {
        **LONG.document,
        "scale": {"lower": 1, "upper": 5},
        "labels": {"0": 3},
        "measure": {"metric": "harm", "higher_is_better": False, "lower": 1, "upper": 5},
    }
    text = f"{HEADER}a,x,1,5\na,x,2,1\na,x,3,2\na,x,4,0\n"
    read_by = mapping(tmp_path, document)
    assert list(outcomes(written(tmp_path, text), read_by).values()) == [0, 1, 0.75, 0.5]


def test_true_and_false_where_lower_is_better(tmp_path: Path) -> None:
    document = {**LONG.document, "measure": {"metric": "harm", "higher_is_better": False}}
    text = f"{HEADER}a,x,1,true\na,x,2,false\na,x,3,0.25\n"
    found = outcomes(written(tmp_path, text), mapping(tmp_path, document))
    assert list(found.values()) == [0, 1, 0.75]


def test_items_by_model(tmp_path: Path) -> None:
    document = {
        "layout": "outcomes-by-model",
        "columns": {"model": "who", "complete": "=false"},
        "series": [{"pattern": r"(?P<benchmark>\w+)/(?P<item>\d+)"}],
    }
    read_by = mapping(tmp_path, document)
    notes = Notes()
    text = "who,x/1,x/2,y/1,size\nm,1,0,1,7\nn,,1,,8\nm,1,0,1,7\n"
    found = blocks(written(tmp_path, text), read_by, notes)
    assert [(b.benchmark.name, len(b.items), len(runs)) for b, runs in found] == [
        ("x", 2, 2),
        ("y", 1, 1),
    ]
    assert not found[0][1][0].complete
    assert notes.counts["columns that hold no outcome or score"] == 1
    error = refused(written(tmp_path, "who,x/1\nm,1\nm,0\n"), read_by)
    assert error.line == 3
    assert refused(written(tmp_path, "who,x/1\nm,2\n"), read_by).field == "x/1"


def test_models_by_item(tmp_path: Path) -> None:
    by = tables.load_mapping("routerbench")
    text = "sample_id,prompt,eval_name,m,n,m|model_response,m|total_cost\n"
    text += "x.1,one?,x,1.0,0.25,sure,0.1\nx.2,two?,x,0,,no,0.2\ny.1,three?,y,,1,,\n"
    notes = Notes()
    [(x, x_runs), (_, y_runs)] = blocks(written(tmp_path, text), by, notes)
    assert [item.prompt for item in x.items] == ["one?", "two?"]
    assert [run.model for run in x_runs] == ["m", "n"]
    assert [run.model for run in y_runs] == ["n"]
    assert notes.counts["columns that hold no outcome or score"] == 1
    assert [run.answers for run in x_runs] == [["sure", "no"], None]


def test_scores(tmp_path: Path) -> None:
    document = {
        "layout": "scores",
        "columns": {
            "benchmark": "task",
            "model": "model",
            "metric": "metric",
            "score": "value",
            "standard_error": "se",
            "items": "n",
        },
        "measures": {"ppl": {"lower": None, "upper": None, "higher_is_better": False}},
        "benchmarks": {"old": {"name": "new", "version": "2", "random_baseline": 0.5}},
    }
    by = mapping(tmp_path, document)
    text = "task,model,metric,value,se,n\nold,m,acc,0.75,0.01,100\nt,m,ppl,17.5,,\nt,m,ppl,,,\n"
    notes = Notes()
    [(old, [run]), (_, [perplexity])] = blocks(written(tmp_path, text), by, notes)
    assert (old.benchmark.name, old.benchmark.version) == ("new", "2")
    assert (run.score, run.standard_error, run.items) == (0.75, 0.01, 100)
    assert run.measure.random_baseline == 0.5
    assert perplexity.measure.upper is None
    assert not perplexity.measure.higher_is_better
    assert notes.counts == {"cells without a score": 1}
    header = text.splitlines()[0]
    outside = written(tmp_path, f"{header}\nt,m,acc,-1,,\nt,m,f1,0.5,,\nt,m,bleu,-1,,\n")
    read = measured(only_blocks(outside, by), notes)
    assert [run.score for block in read for run in block.runs] == [0.5]
    percent = written(tmp_path, f"{header}\nt,m,acc,1.5,,\nold,m,acc,0.5,,\n")
    read = measured(only_blocks(percent, by), notes, file="a.csv")
    with pytest.raises(RegistryError, match="above 1 by acc.*--scale percent"):
        list(read)
    twice = f"{header}\nt,m,acc,0.5,,\nt,m,acc,0.6,,\n"
    assert refused(written(tmp_path, twice), by).line == 3


def test_two_names_of_one_benchmark_are_distinguished_by_row_or_column(tmp_path: Path) -> None:
    """What a mapping makes one benchmark contradicts itself in the file, not in the database."""
    by_url = {"benchmark": "benchmark", "benchmark_url": "url"}
    wide = mapping(
        tmp_path,
        {"layout": "outcomes-by-item", "columns": {**by_url, "item": "item"}},
        "wide",
    )
    error = refused(written(tmp_path, "benchmark,url,item,m\nb,u,i,1\nb,v,i,0\n"), wide)
    assert (error.line, "other outcomes" in error.problem) == (3, True)
    listed = mapping(
        tmp_path,
        {"layout": "items", "columns": {**by_url, "item": "item", "prompt": "prompt"}},
        "listed",
    )
    error = refused(written(tmp_path, "benchmark,url,item,prompt\nb,u,i,1\nb,v,i,2\n"), listed)
    assert (error.line, "another one" in error.problem) == (3, True)
    scores = mapping(
        tmp_path,
        {
            "layout": "scores",
            "columns": {
                **{name: name for name in ("benchmark", "model", "score", "source")},
                "source_url": "url",
            },
        },
        "scored",
    )
    text = "benchmark,model,score,source,url\nb,m,0.5,s,u\nb,m,0.25,s,v\n"
    error = refused(written(tmp_path, text), scores)
    assert (error.line, "another score" in error.problem) == (3, True)
    models = mapping(
        tmp_path,
        {
            "layout": "outcomes-by-model",
            "columns": {"model": "model"},
            "series": [{"pattern": "(?P<benchmark>[^.]+)[.](?P<item>.+)"}],
            "benchmarks": {"ARC": {"name": "arc"}},
        },
        "models",
    )
    error = refused(written(tmp_path, "model,arc.1,ARC.1\nm,1,0\n"), models)
    assert (error.field, "is item '1' as well" in error.problem) == ("ARC.1", True)
    block, [run] = one(written(tmp_path, "model,arc.1,ARC.2\nm,1,0\n"), models)
    assert [item.item for item in block.items] == ["1", "2"]
    assert run.outcomes is not None
    assert run.outcomes.tolist() == [1, 0]


def test_items_and_names(tmp_path: Path) -> None:
    document = {
        "files": [
            {
                "match": "items.*",
                "layout": "items",
                "columns": {
                    "benchmark": "=x",
                    "item": "id",
                    "prompt": "q",
                    "choices": ["A", "B", "C"],
                    "right_answer": "key",
                    "domain": "topic",
                },
            },
            {
                "match": "names.csv",
                "layout": "names",
                "columns": {"name": "alias", "model": "repo"},
                "where": {"repo": {"like": "^[^/]+/[^/]+$"}},
            },
        ]
    }
    by = mapping(tmp_path, document)
    text = "id,q,A,B,C,key,topic\nNA,Which?,one,two,,A,logic\n"
    block, runs = one(written(tmp_path, text, "items.csv"), by)
    [item] = block.items
    assert (item.item, item.choices, item.answer, item.domain) == (
        "NA",
        ("one", "two"),
        "A",
        "logic",
    )
    assert not runs
    text = "alias,repo\nm,a/m\nn,api-name\na/m,a/m\nm,a/m\n"
    [names] = tables.read(written(tmp_path, text, "names.csv"), by, Notes())
    assert isinstance(names, Names)
    assert names.names == [StatedName("m", "a/m")]


def test_choices_as_lists(tmp_path: Path) -> None:
    document = {
        "layout": "items",
        "columns": {"benchmark": "=x", "item": "id", "choices": "options"},
    }
    by = mapping(tmp_path, document)
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": [1], "options": [["a", "b"]]}), path)
    assert one(path, by)[0].items[0].choices == ("a", "b")
    path = written(tmp_path, b'{"id": 1, "options": ["a", "b"]}', "t.jsonl")
    assert one(path, by)[0].items[0].choices == ("a", "b")
    assert refused(written(tmp_path, "id,options\n1,a;b\n"), by).field == "options"


@pytest.mark.parametrize(
    ("document", "field", "says"),
    [
        ({"layout": "long"}, "layout", "one of outcomes"),
        ({}, "layout", "does not say its layout"),
        ({"layout": "outcomes", "colums": {}}, "colums", "allowed are layout"),
        ({"layout": "outcomes", "columns": {"modell": "m"}}, "columns.modell", "allowed are"),
        ({"layout": "outcomes", "columns": {"model": "m"}}, "columns.benchmark", "needs a column"),
        ({"layout": "scores", "columns": {"score": "=1"}}, "columns.score", "name of a column"),
        ({"layout": "scores", "scale": {"lower": 1, "upper": 1}}, "scale", "below"),
        ({"layout": "scores", "measure": {"lower": "x"}}, "measure.lower", "a number"),
        ({"layout": "scores", "columns": {"model": "={@line}"}}, "columns.model", "@file"),
        ({"layout": "outcomes", "columns": {"item": "={@row}"}}, "columns.item", "one a row"),
        ({"layout": "scores", "ignore": ["("]}, "ignore[0]", "regular expression"),
        ({"layout": "scores", "series": [{"metric": "x"}]}, "series[0]", "a column or a pattern"),
        ({"layout": "outcomes-by-model", "columns": {"model": "m"}}, "columns.benchmark", "which"),
        ({"files": []}, "files", "at least one"),
        ({"files": [1]}, "files[0]", "1 is not allowed here; it has to be an object with keys"),
        (
            {"layout": "scores", "measures": {"a": {}, "b": {"upper": True}}},
            "measures.b.upper",
            "True is not allowed here; it has to be a number or null",
        ),
        ({"layout": "scores", "measures": {"a": {"low": 0}}}, "measures.a.low", "allowed are"),
        ({"layout": "scores", "scale": {"upper": math.inf}}, "scale.upper", "a finite number"),
        ({"layout": "scores", "where": {"a": {"lik": "x"}}}, "where.a.lik", "allowed are like"),
        ({"layout": "scores", "where": {"a": {}}}, "where.a", "an object with the key like"),
        ({"layout": "scores", "details": {"a.b": [1]}}, "details.a.b", "[1] is not allowed"),
        (
            {"layout": "scores", "series": [{"column": "a", "details": {"b": None}}]},
            "series[0].details.b",
            "None is not allowed here; it has to be a text",
        ),
        ({"layout": "scores", "series": [{"pattern": "(?P<name>.)"}]}, "series[0]", "not name"),
        (
            {"measures": {"a": {"unit": []}}, "files": [{"layout": "scores"}]},
            "measures.a.unit",
            "[] is not allowed here; it has to be a text",
        ),
        (
            {"layout": "scores", "files": [{"match": "a"}, {"ignore": 1}]},
            "columns.benchmark",
            "needs",
        ),
        ({"layout": "scores", "files": [{"ignore": 1}]}, "files[0].ignore", "a list"),
        ({"layout": "scores", "fils": [], "files": [{"match": "a"}]}, "fils", "about, files"),
    ],
)
def test_a_bad_mapping_is_named_by_its_key(
    tmp_path: Path, document: object, field: str, says: str
) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        mapping(tmp_path, document)
    assert caught.value.field == field
    assert says in caught.value.problem
    assert "mapping.yaml" in str(caught.value)


def test_a_mapping_that_is_not_yaml(tmp_path: Path) -> None:
    path = written(tmp_path, "layout: outcomes\ncolumns: [", "m.yaml")
    with pytest.raises(UnreadableFileError, match="not YAML"):
        tables.load_mapping(path)
    with pytest.raises(UsageError, match="neither a file nor one of aider, alpaca-eval"):
        tables.load_mapping("nothing")


def test_mappings_are_changed_from_the_command_line(tmp_path: Path) -> None:
    changes = {"model": "llm", "outcome": "grade", "benchmark": "=mine", "scale.upper": "10"}
    by = tables.override(LONG, changes)
    text = "llm,item,grade\na,1,5\n"
    assert outcomes(written(tmp_path, text), by) == {("a", "mine", "1"): 0.5}
    with pytest.raises(UsageError, match="scala"):
        tables.override(LONG, {"scala.upper": "10"})
    with pytest.raises(UsageError, match="lower below upper"):
        tables.override(LONG, {"scale.upper": "-1"})


@pytest.mark.parametrize("name", tables.presets())
def test_presets_are_valid(name: str) -> None:
    assert tables.load_mapping(name).about


@pytest.mark.parametrize(
    ("header", "preset"),
    [
        ("model,benchmark,item,outcome", "long"),
        ("prompt_id,model_id,category_id,prompt,model_name,label", "embedllm"),
        ("prompt_id,prompt,model_name,category,label", "embedllm"),
        (",".join(embedllm.SCHEMA.names), "registry-long"),
        ("model,prompt_id,prompt,category,label", "routereval"),
        ("model,prompt_id,prompt,category,score", "routereval"),
        ("sample_id,prompt,eval_name,m,m|model_response,m|total_cost", "routerbench"),
        ("one,two", None),
    ],
)
def test_tables_are_known_by_their_columns(tmp_path: Path, header: str, preset: str | None) -> None:
    found = tables.detect(written(tmp_path, f"{header}\n"))
    assert (found.name if found else None) == preset


def test_embedllm_rows_carry_their_prompts(tmp_path: Path) -> None:
    text = "prompt_id,model_id,category_id,prompt,model_name,label\n"
    text += "1,1,3,Which?,m,1\n1,2,3,Which?,n,0\n2,1,4,What?,m,1\n"
    block, runs = one(written(tmp_path, text), tables.load_mapping("embedllm"))
    assert [(item.item, item.prompt, item.domain) for item in block.items] == [
        ("1", "Which?", "3"),
        ("2", "What?", "4"),
    ]
    assert [run.model for run in runs] == ["m", "n"]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of temporary files, which nothing may be left in."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    # Files are made from 64 MiB on: this has small tables go through them too.
    monkeypatch.setattr("registry.evaluations.formats.tables.spool.IN_MEMORY", 16)
    yield folder
    assert not list(folder.iterdir())


def test_files_on_the_way_leave_nothing(tmp_path: Path, temporary: Path) -> None:
    assert outcomes(as_parquet(tmp_path)) == WANTED
    refused(written(tmp_path, f"{HEADER}a,x,1,1\na,x,1,0\n"))
    reading = tables.read(as_csv(tmp_path), LONG, Notes())
    block = next(reading)
    assert isinstance(block, Block)
    assert next(iter(block.runs)).model == "a/b"
    assert not list(temporary.iterdir())
