"""Generated input of four surfaces: functions of SQL, the command line, records of the Hub, files.

Each takes a generator of random numbers, so that a seed gives the same input again.
"""

import gzip
import io
import json
import pickle
import random
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from click.testing import CliRunner
from sqlalchemy import Connection

from registry.cli import registry
from registry.errors import RegistryError
from registry.evaluations.formats.detect import Reader
from registry.evaluations.records import Block, Notes
from registry.hub.decode import decode_page
from registry.hub.records import ModelRecord, parse_records
from registry.sync import page

TEXTS = (
    "", " ", "\n", "org/m0", "ORG/M1", "org/m1", "acc", "mmlu", "tests", "none", "downloads",
    "name", "relevance", "'", "''", '"', "\\", "\\'", "%", "%s", "$1", ":x", "{}", "{a,b}",
    "; DROP TABLE store.models; --", "' OR true --", "NULL", "a' & 'b", "!!", "<->", ":*", "\x01",
    "\u202eabc", "\x1b[31m", "\ufffd", "\U0001f600", "\t", "\x7f", "2026-01-01", "gptq-4bit",
    "a" * 300, "x" * 3_000, "\xe9" * 10_000, "a b " * 2_000, "/" * 500, "-" * 2_000, "x" * 300_000,
    "(" * 1_000, "org/" + "m" * 255, "NaN", "Infinity", "-1", "1e400", "99999999999999999999",
)  # fmt: skip
INTEGERS = (0, 1, -1, 2, 10, 100, 2**31 - 1, -(2**31), 2**31 - 2, 500_000_000, 536_870_912)
BIGINTS = (*INTEGERS, 2**63 - 1, -(2**63), 2**53, 10**12)
FLOATS = ("0", "1", "-1", "0.5", "NaN", "Infinity", "-Infinity", "1e308", "-1e308", "5e-324")
TIMES = ("-infinity", "infinity", "4713-01-01 BC", "294276-12-31", "2026-01-01", "0001-01-01")
VECTORS = ("[1]", "[0,0,0,0]", "[1,2,3,4]", "[1,2,3]", "[3e38,3e38,3e38,3e38]", "[-3e38,0,0,1e-40]")

_SQL_TIMEOUT = 5_000  # milliseconds


def text(draw: random.Random) -> str:
    """Return a text: a plain one, a hostile one, or one of arbitrary characters."""
    if draw.random() < 0.8:
        return draw.choice(TEXTS)
    length = draw.choice((1, 3, 20, 200))
    ranges = ((1, 128), (1, 0x3000), (0x1F600, 0x1F601))
    return "".join(chr(draw.randrange(*draw.choice(ranges))) for _ in range(length))


def _array(draw: random.Random, make: Callable[[random.Random], Any]) -> list[Any]:
    count = draw.choice((0, 1, 2, 5, 300))
    return [make(draw) if draw.random() < 0.9 else None for _ in range(count)]


_MAKERS: dict[str, Callable[[random.Random], Any]] = {
    "text": text,
    "integer": lambda draw: draw.choice(INTEGERS),
    "smallint": lambda draw: draw.choice((0, 1, -1, 2**15 - 1, -(2**15))),
    "bigint": lambda draw: draw.choice(BIGINTS),
    "double precision": lambda draw: draw.choice(FLOATS),
    "real": lambda draw: draw.choice(("0", "1", "-1", "NaN", "Infinity", "3e38", "1e-44")),
    "boolean": lambda draw: draw.random() < 0.5,
    "timestamp with time zone": lambda draw: draw.choice(TIMES),
    "vector": lambda draw: draw.choice(VECTORS),
}


@dataclass(frozen=True)
class SqlFunction:
    """A function of the contract: its name, and the types of its arguments."""

    name: str
    types: tuple[str, ...]


def functions(connection: Connection) -> list[SqlFunction]:
    """Return the functions of schema registry, with the types that arguments are cast to."""
    found = connection.exec_driver_sql("""
        SELECT p.oid::regprocedure::text, p.proname::text,
               ARRAY(SELECT format_type(t.oid, NULL)
                       FROM unnest(p.proargtypes) WITH ORDINALITY AS t (oid, place) ORDER BY place)
          FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE n.nspname = 'registry' ORDER BY 1""")
    return [SqlFunction(name, tuple(types)) for _, name, types in found]


def argument(draw: random.Random, kind: str) -> Any:
    """Return a value of a type of SQL, as its text or as Python's; often null."""
    if draw.random() < 0.2:
        return None
    if kind.endswith("[]"):
        return _array(draw, _MAKERS[kind.removesuffix("[]")])
    return _MAKERS[kind](draw)


def sql_failure(
    connection: Connection, function: SqlFunction, arguments: Sequence[Any]
) -> str | None:
    """Call a function; return how it failed, None where it gave rows or refused its arguments.

    A refusal is an error that the function raises itself.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    casts = ", ".join(f"%s::{kind}" for kind in function.types)
    call = f"SELECT * FROM registry.{function.name}({casts}) LIMIT 1000"
    try:
        with driver.transaction(force_rollback=True):
            driver.execute(f"SET LOCAL statement_timeout = {_SQL_TIMEOUT}")
            driver.execute(f"SELECT count(*) FROM ({call}) AS f", [*arguments])
    except psycopg.Error as error:
        if error.diag.source_function == "exec_stmt_raise":
            return None
        return f"{error.sqlstate} {str(error)[:300]}"
    return None


_KEYS = (
    "id", "modelId", "_id", "author", "cardData", "config", "createdAt", "downloads", "gated",
    "evalResults", "gguf", "lastModified", "library_name", "likes", "pipeline_tag", "private",
    "safetensors", "sha", "tags", "base_model", "license", "model-index", "merge_config", "total",
    "parameters", "architectures", "model_type", "quantization_config", "results", "dataset",
)  # fmt: skip


def value(draw: random.Random, depth: int = 3) -> Any:
    """Return a value of JSON, with the keys of the Hub's records in objects."""
    kind = draw.randrange(10 if depth else 6)
    if kind < 2:
        return draw.choice((text(draw)[:5_000], "org/m0", "org/" + text(draw)[:20]))
    if kind < 6:
        numbers: tuple[Any, ...] = (*BIGINTS, 1e308, float("nan"), float("inf"), 10**400, 0.5)
        return draw.choice((None, True, False, draw.choice(numbers)))
    count = draw.choice((0, 1, 2, 5))
    if kind < 8:
        return [value(draw, depth - 1) for _ in range(count)]
    return {
        draw.choice((draw.choice(_KEYS), text(draw)[:50])): value(draw, depth - 1)
        for _ in range(count)
    }


def damaged(draw: random.Random, content: bytes) -> bytes:
    """Return content with a part cut out, doubled, or replaced by other bytes, or as it is."""
    if draw.random() < 0.4 or not content:
        return content
    start = draw.randrange(len(content))
    end = min(len(content), start + draw.choice((0, 1, 8, 100)))
    parts = (b"", content[start:end] * 2, draw.randbytes(3), b"\xff", b"\0", b"[" * 2_000)
    return content[:start] + draw.choice(parts) + content[end:]


def record_failure(draw: random.Random) -> str | None:
    """Parse a page of generated records; return how that failed."""
    records = [
        {"id": "org/m0", **{key: value(draw) for key in draw.sample(_KEYS, 6)}} for _ in range(2)
    ]
    body = damaged(
        draw, json.dumps(records, ensure_ascii=draw.random() < 0.5).encode(errors="replace")
    )
    try:
        read = page.read_body(body)
        read.rows(list(read.listed))
        for each in parse_records(decode_page(body)):
            if isinstance(each, ModelRecord) and not each.name.isprintable():
                return f"the name {each.name!r}"
    except RegistryError:
        return None
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return f"{type(error).__name__}: {error} for {body[:500]!r}"
    return None


_ROW = {"model": "org/a", "benchmark": "mmlu", "item": "q1", "outcome": 1, "prompt": "2 + 2?"}
_TASK = {"acc,none": 0.5, "acc_stderr,none": 0.1, "alias": "t"}
_DOCUMENTS: dict[str, Any] = {
    "results_2026-01-01T00-00-00.000000.json": {
        "results": {"t": _TASK}, "configs": {"t": {"num_fewshot": 5}}, "versions": {"t": 1},
        "config": {"model": "hf", "model_args": "pretrained=org/a"}, "n-shot": {"t": 5},
        "model_name": "org/a", "date": 1e9,
    },
    "org__a/run.json": {
        "version": 2, "status": "success", "eval": {"task": "t", "model": "org/a"},
        "results": {"scores": [{"name": "m", "scorer": "s", "metrics": {"a": {"value": 1}}}]},
        "samples": [{"id": 1, "epoch": 1, "input": "x", "target": "y", "scores": {}}],
    },
    "router.json": {
        "performance": 0.5, "counts": 2, "demo": True, "model_name": "a", "dataset_name": "d",
        "records": [{"index": 0, "prompt": "x", "prediction": "y", "score": 1}],
    },
    "bench.json": {
        "benchmarks": [{"id": "b"}], "models": [{"id": "m"}],
        "scores": [{"model_id": "m", "benchmark_id": "b", "score": 1}],
    },
    "run_spec.json": {
        "name": "mmlu:model=org_a", "adapter_spec": {"model": "org/a"}, "scenario_spec": {},
    },
    "every.json": {
        "schema_version": "0.2", "evaluation_id": "e", "retrieved_timestamp": "1", "model_info": {},
        "source_metadata": {}, "evaluation_results": [{"evaluation_name": "x"}],
    },
}  # fmt: skip
_FRONT = """---
model-index:
- name: a
  results:
  - task: {type: text-generation}
    dataset: {name: d, type: org/d}
    metrics: [{type: acc, value: 0.5}]
---
"""


def seeds() -> dict[str, bytes]:
    """Return small files by name, one for each format and kind of table."""
    row = json.dumps(_ROW)
    files = {name: json.dumps(content).encode() for name, content in _DOCUMENTS.items()}
    for name in ("samples_t_2026-01-01T00-00-00.000000.jsonl", "table.jsonl"):
        files[name] = f"{row}\n{row.replace('q1', 'q2')}\n".encode()
    for name, mark in (("table.csv", ","), ("table.tsv", "\t")):
        lines = (_ROW, _ROW.values())
        files[name] = "".join(f"{mark.join(map(str, each))}\n" for each in lines).encode()
    sink = io.BytesIO()
    pq.write_table(pa.table({name: [each] for name, each in _ROW.items()}), sink)
    files["table.parquet"] = sink.getvalue()
    files["table.pkl"] = pickle.dumps({name: np.array([each]) for name, each in _ROW.items()})
    files["table.csv.gz"] = gzip.compress(files["table.csv"])
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("header.json", files["org__a/run.json"])
    files["log.eval"] = sink.getvalue()
    files["a/README.md"] = _FRONT.encode()
    files[".eval_results/x.yaml"] = b"- dataset: {id: org/d, task_id: t}\n  value: 0.5\n"
    return files


def import_failure(draw: random.Random, folder: Path) -> str | None:
    """Read a damaged file in the format that is detected; return how that failed."""
    name, content = draw.choice(list(seeds().items()))
    content = damaged(draw, content)
    if draw.random() < 0.4 and name in _DOCUMENTS:
        keys = _DOCUMENTS[name]
        changed = {key: value(draw, 4) for key in keys if draw.random() < 0.5}
        content = json.dumps({**keys, **changed}).encode()
    copy = folder / "org__a" / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(content)
    try:
        reader = Reader()
        format_ = reader.format_of(copy)
        for each in reader.read(copy, format_, Notes()) if format_ else ():
            if isinstance(each, Block):
                list(each.runs)
    except RegistryError:
        return None
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return f"{type(error).__name__}: {error} for {copy.name}: {content[:300]!r}"
    finally:
        copy.unlink()
    return None


def _commands(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _commands(command, (*words, name))
        yield (*words, name)


def command_line(draw: random.Random) -> list[str]:
    """Return a command with options of its own, generated arguments, and --help or nothing."""
    words = draw.choice(list(_commands(registry)))
    command: click.Command = registry
    for word in words:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    line = list(words)
    options = [each for each in command.params if isinstance(each, click.Option)]
    for option in draw.sample(options, min(len(options), draw.randrange(4))):
        line.append(option.opts[0])
        if not option.is_flag:
            line.append(text(draw)[:10_000].replace("\0", ""))
    line += [text(draw)[:10_000] for _ in range(draw.randrange(3))]
    return line


def command_failure(draw: random.Random, url: str) -> str | None:
    """Parse a generated command line, and run it where that is safe; return how it failed."""
    line = command_line(draw)
    runs = tuple(line[:2]) in _READING or line[0] in {"similar", "nearest"}
    arguments = ["--database-url", url, *line] if runs else [*line, "--help"]
    result = CliRunner().invoke(registry, arguments, prog_name="registry")
    said = result.stderr + (result.stdout if result.exit_code else "")
    internal = "Unexpected " in said or "Traceback" in said
    raised = result.exception is not None and not isinstance(result.exception, SystemExit)
    if (
        internal
        or raised
        or not set(said) <= {*"\n\t\u200c\u200d"} | set(filter(str.isprintable, said))
    ):
        return f"{line!r:.500}: {result.exit_code} {said[:300]!r} {result.exception!r}"
    return None


_READING = {
    ("models", "search"), ("models", "show"), ("models", "compare"), ("lineage", "tree"),
    ("lineage", "ancestors"), ("lineage", "descendants"), ("lineage", "path"),
    ("evals", "leaderboard"), ("evals", "benchmarks"),
}  # fmt: skip
