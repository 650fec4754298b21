import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import orjson
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.catalog.resolution import StatedName
from registry.errors import UnreadableFileError
from registry.evaluations.formats import archive, tables
from registry.evaluations.formats.archive import writer
from registry.evaluations.formats.archive.layout import RUNS, runs_schema
from registry.evaluations.formats.detect import Reader
from registry.evaluations.formats.table_files import Encoding, TableFile, batches
from registry.evaluations.records import (
    Benchmark,
    Block,
    Item,
    Measure,
    Names,
    Notes,
    Run,
    Setup,
    Source,
    run_id,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENCODINGS: Sequence[Encoding] = ("parquet", "csv")
ENDINGS = {"parquet": ".parquet", "csv": ".csv.gz"}

ITEMS = [Item("a", "1+1?", ("2", "3"), "2", "sums"), Item("b"), Item("c", "", (), "", "")]
RUN = Run(
    model="acme__large",
    measure=Measure(metric="acc"),
    source=Source(name="mine", url="https://example.com"),
    setup=Setup(harness="lm-eval", shots=5, chat_template="", details={"seed": "1"}),
    revision="main",
    evaluated_at=NOW,
    verified=True,
    outcomes=np.array([1, np.nan, 0.25], np.float32),
    answers=["2", "unobserved", None],
    input_tokens=np.array([10, -1, 0], np.int32),
    latencies=np.array([np.nan, np.nan, 1.5], np.float32),
)
SCORE = replace(
    *(RUN,), model="b", score=0.1, standard_error=0.01, items=10, complete=False,
    outcomes=None, answers=None, input_tokens=None, latencies=None,
)  # fmt: skip
BLOCKS = [
    Block(benchmark=Benchmark(name="gsm8k", description="sums"), items=ITEMS, runs=[RUN, SCORE]),
    Block(benchmark=Benchmark(name="gsm8k", version="2"), runs=[SCORE]),
    Block(benchmark=Benchmark(name="only/items"), items=ITEMS),
]
NAMES = [StatedName("acme__large", "acme/large", 0.5)]


def written(folder: Path, encoding: Encoding, blocks: Sequence[Block] = BLOCKS) -> Path:
    archive.write(blocks, folder, encoding=encoding, names=NAMES, now=NOW)
    return folder / "manifest.json"


def facts(block: Block) -> tuple[Any, ...]:
    """Return all that a block says, so that it can be compared."""
    return block.benchmark, list(block.items), [attributes(run) for run in block.runs]


def attributes(run: Run) -> dict[str, Any]:
    values = {each.name: getattr(run, each.name) for each in fields(Run)}
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            values[name] = [None if np.isnan(each) else each for each in value.tolist()]
    # What tells nothing is nothing.
    for name, nothing in (
        ("answers", None), ("input_tokens", -1), ("output_tokens", -1), ("latencies", None)
    ):  # fmt: skip
        if values[name] is not None and all(each == nothing for each in values[name]):
            values[name] = None
    return values


def blocks_of(manifest: Path) -> Iterator[Block]:
    return (each for each in archive.read(manifest, Notes()) if isinstance(each, Block))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_written_is_read_again(tmp_path: Path, encoding: Encoding) -> None:
    manifest = written(tmp_path, encoding)
    assert archive.recognizes(manifest)
    assert Reader().format_of(manifest) == "registry"
    names, *blocks = ((facts(each) if isinstance(each, Block) else each)
                      for each in archive.read(manifest, Notes()))  # fmt: skip
    assert isinstance(names, Names)
    assert names.names == NAMES
    assert blocks == [facts(block) for block in BLOCKS]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_blocks_may_be_left_unread(tmp_path: Path, encoding: Encoding) -> None:
    benchmarks = [block.benchmark for block in blocks_of(written(tmp_path, encoding))]
    assert benchmarks == [block.benchmark for block in BLOCKS]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_outcomes_in_pieces_are_put_together(
    tmp_path: Path, encoding: Encoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pieces are cut from half a million rows on. What an archive is written and read with has no
    # business with their size, so it is no parameter; this makes several of each of a small block.
    monkeypatch.setattr("registry.evaluations.formats.archive.writer.ROWS_AT_ONCE", 50)
    monkeypatch.setattr("registry.evaluations.formats.archive.writer._RUNS_AT_ONCE", 2)
    monkeypatch.setattr("registry.evaluations.formats.table_files.ROWS", 7)
    items = [Item(f"i{n}") for n in range(23)]
    outcomes = np.random.default_rng(1).random((9, 23)).astype(np.float32)
    runs = [Run(model=str(n), measure=RUN.measure, source=RUN.source, outcomes=row)
            for n, row in enumerate(outcomes)]  # fmt: skip
    block = Block(benchmark=Benchmark(name="b"), items=items, runs=runs)
    again = list(map(facts, blocks_of(written(tmp_path, encoding, [block]))))
    assert again == [facts(block)]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_texts_may_be_long(tmp_path: Path, encoding: Encoding) -> None:
    items = [Item("short"), Item("long", prompt='a"\n' * 1_000_000), Item("last")]
    run = Run(model="m", measure=RUN.measure, source=RUN.source, outcomes=RUN.outcomes,
              answers=["x", "y\r\n" * 1_000_000, None])  # fmt: skip
    block = Block(benchmark=Benchmark(name="b"), items=items, runs=[run, replace(run, model="n")])
    again = list(map(facts, blocks_of(written(tmp_path, encoding, [block]))))
    assert again == [facts(block)]


def test_the_tables_are_as_other_programs_want_them(tmp_path: Path) -> None:
    written(tmp_path, "parquet")
    runs = pq.read_table(tmp_path / "runs.parquet").to_pylist()
    key = run_id(BLOCKS[0].benchmark, RUN, RUN.setup.fingerprint())
    assert (runs[0]["run"], runs[0]["rows"], runs[1]["rows"]) == (key, 3, None)
    assert (runs[0]["model"], runs[0]["spelling"]) == ("acme/large", "acme__large")
    outcomes = pyarrow.dataset.dataset(tmp_path / "outcomes", partitioning="hive").to_table()
    assert outcomes.to_pylist()[1] == {
        "run": key, "item": "b", "outcome": None, "answer": "unobserved", "input_tokens": None,
        "output_tokens": None, "latency_ms": None, "benchmark": "gsm8k",
    }  # fmt: skip
    compression = pq.read_metadata(tmp_path / "runs.parquet").row_group(0).column(0).compression
    assert compression == "ZSTD"


def test_the_manifest_lists_every_file(tmp_path: Path) -> None:
    manifest = orjson.loads(written(tmp_path, "parquet").read_bytes())
    assert (manifest["schema_version"], manifest["created_at"]) == (2, "2026-03-01T12:00:00Z")
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet")}
    assert {each["path"] for each in manifest["files"]} == there
    assert "items/benchmark=only%2Fitems/part-0.parquet" in there
    rows = {each["path"]: each["rows"] for each in manifest["files"]}
    assert rows["outcomes/benchmark=gsm8k/part-0.parquet"] == 3


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    for encoding in ENCODINGS:
        one, other = (tmp_path / f"{encoding}{n}" for n in (1, 2))
        assert written(one, encoding).read_bytes() == written(other, encoding).read_bytes()


def test_a_folder_is_read_by_its_manifest_alone(tmp_path: Path) -> None:
    manifest = written(tmp_path, "csv")
    other = tmp_path / "notes.csv"
    other.write_text("a\n")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert set(Reader().without_parts(files)) == {manifest, other}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_part_is_taken_for_a_table(tmp_path: Path, encoding: Encoding) -> None:
    written(tmp_path, encoding)
    for path in tmp_path.rglob(f"*{ENDINGS[encoding]}"):
        assert tables.detect(path) is None


def test_names_of_benchmarks_make_names_of_files(tmp_path: Path) -> None:
    names = ["../../x", "A", "a", "é" * 255, "é" * 254 + "x", ".", " ", "a@b", "a/b", "x=1", "%2F"]
    blocks = [
        Block(benchmark=Benchmark(name=name), items=ITEMS, runs=[RUN]) for name in (*names, "con")
    ]
    again = [facts(block) for block in blocks_of(written(tmp_path / "a", "parquet", blocks))]
    assert again == [facts(block) for block in blocks]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    files = [str(path).lower() for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert len(set(files)) == 2 * len(blocks) + 3
    assert max(len(part.encode()) for file in files for part in Path(file).parts) < 200


def damage(folder: Path, name: str, encoding: Encoding) -> Path:
    return folder / f"{name}{ENDINGS[encoding]}"


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", ["runs", "names", "outcomes/benchmark=gsm8k/part-0"])
def test_files_that_changed_are_errors(tmp_path: Path, encoding: Encoding, name: str) -> None:
    manifest = written(tmp_path, encoding)
    path = damage(tmp_path, name, encoding)
    whole = path.read_bytes()
    for content in (whole[:-9], b"", whole[:50] + b"\0" + whole[51:]):
        path.write_bytes(content)
        with pytest.raises(UnreadableFileError, match="changed after the archive") as error:
            next(archive.read(manifest, Notes()))
        assert error.value.path == path
    path.unlink()
    with pytest.raises(UnreadableFileError, match="No such file") as error:
        next(archive.read(manifest, Notes()))
    assert error.value.path == path


def changed(manifest: Path, change: Any) -> None:
    content = json.loads(manifest.read_text())
    change(content)
    manifest.write_text(json.dumps(content))


def set_at(*keys: Any, to: Any) -> Any:
    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_at("schema_version", to=3), "its schema version is 3; only 1 to 2 can be read"),
        (set_at("format", to="else"), "not a manifest"),
        (set_at("files", to=3), "field 'files': this is not a value of type list"),
        (set_at("files", to=[3]), "field 'files': a list of objects"),
        (set_at("files", 0, "path", to="../x"), "'../x' is outside the archive"),
        (set_at("files", 0, "path", to="/etc/passwd"), "outside the archive"),
        (set_at("files", 0, "sha256", to=None), "field 'sha256'"),
        (set_at("runs", to="else"), "'else' is not among the files"),
        (set_at("benchmarks", 0, "items", to="else"), "field 'items'"),
        (set_at("benchmarks", 0, "name", to=3), "this is not a benchmark"),
        (set_at("benchmarks", 0, "url", to=3), "this is not a benchmark"),
        (set_at("benchmarks", 0, "version", to="x"), "is not of gsm8k"),
        (set_at("benchmarks", 0, "runs", to=99), "is not of gsm8k"),
        (set_at("benchmarks", 1, "runs", to=99), "it has fewer runs"),
        (set_at("benchmarks", 1, "runs", to=0), "it has more runs"),
        (set_at("benchmarks", 0, "outcomes", to=None), "does not have 3 rows of run"),
        (set_at("benchmarks", 0, "items", to=None), "has items that the benchmark does not have"),
    ],
)
def test_manifests_that_are_wrong_are_errors(tmp_path: Path, change: Any, message: str) -> None:
    manifest = written(tmp_path, "parquet")
    changed(manifest, change)
    with pytest.raises(UnreadableFileError, match=message) as error:
        [facts(block) for block in blocks_of(manifest)]
    assert str(tmp_path) in str(error.value)


def test_rows_are_counted(tmp_path: Path) -> None:
    for encoding in ENCODINGS:
        manifest = written(tmp_path / encoding, encoding)

        def change(content: Any) -> None:
            for each in content["files"]:
                each["rows"] += each["path"].startswith("items")

        changed(manifest, change)
        with pytest.raises(UnreadableFileError, match="3 rows, but the manifest says 4"):
            list(blocks_of(manifest))


def resealed(manifest: Path, path: Path) -> None:
    """Make a manifest take a file as it is now."""

    def change(content: Any) -> None:
        for number, each in enumerate(content["files"]):
            if manifest.parent / each["path"] == path:
                part = archive.manifest.describe_file(manifest.parent, each["path"], each["rows"])
                content["files"][number] = part._asdict()

    changed(manifest, change)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no table\n"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_files_that_are_no_tables_are_errors(
    tmp_path: Path, encoding: Encoding, content: bytes
) -> None:
    manifest = written(tmp_path, encoding)
    path = damage(tmp_path, "outcomes/benchmark=gsm8k/part-0", encoding)
    for data in (content, gzip.compress(content)):
        path.write_bytes(data)
        resealed(manifest, path)
        with pytest.raises(UnreadableFileError) as error:
            [facts(block) for block in blocks_of(manifest)]
        assert error.value.path == path


def outdated(manifest: Path, encoding: Encoding) -> None:
    """Make an archive one of schema version 1, whose runs have no column `variant`."""
    path = damage(manifest.parent, "runs", encoding)
    (rows,) = batches(path, RUNS)
    with TableFile(path, runs_schema(1)) as file:
        file.write({name: rows.column(name) for name in file.schema.names})
    assert "variant" not in file.schema.names
    resealed(manifest, path)
    changed(manifest, set_at("schema_version", to=1))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_archives_of_schema_version_1_are_read(tmp_path: Path, encoding: Encoding) -> None:
    manifest = written(tmp_path, encoding)
    outdated(manifest, encoding)
    assert [facts(block) for block in blocks_of(manifest)] == [facts(block) for block in BLOCKS]
    changed(manifest, set_at("schema_version", to=2))
    with pytest.raises(UnreadableFileError, match="variant"):
        [facts(block) for block in blocks_of(manifest)]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_variants_are_written_and_read(tmp_path: Path, encoding: Encoding) -> None:
    setup = replace(RUN.setup, variant="best-of-16")
    runs = [RUN, replace(RUN, setup=setup)]
    block = Block(benchmark=BLOCKS[0].benchmark, items=ITEMS, runs=runs)
    (again,) = map(facts, blocks_of(written(tmp_path, encoding, [block])))
    assert again == facts(block)
    assert setup.fingerprint() != RUN.setup.fingerprint()


def test_other_manifests_are_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    for content in ('{"name": "extension"}', "", "\0"):
        path.write_text(content)
        assert not archive.recognizes(path)
    assert not archive.recognizes(tmp_path / "nothing" / "manifest.json")


def test_a_writer_takes_runs_as_they_come(tmp_path: Path) -> None:
    """Runs are read once, and no more than a batch of them is kept."""
    seen: list[int] = []

    def runs() -> Iterator[Run]:
        for number in range(5):
            seen.append(number)
            yield replace(RUN, model=str(number))

    block = Block(benchmark=Benchmark(name="b"), items=ITEMS, runs=runs())
    files = archive.write([block], tmp_path, encoding="parquet", now=NOW)
    assert seen == list(range(5))
    assert {file.path: file.rows for file in files}["runs.parquet"] == 5
    assert writer.ROWS_AT_ONCE >= 1000


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
maybe = st.none() | texts
numbers = st.floats(allow_nan=False, allow_infinity=False)
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])


@st.composite
def some_runs(draw: st.DrawFn, model: str, items: int) -> Run:
    has_outcomes = bool(items) and draw(st.booleans())

    def plane(values: Any, kind: Any) -> Any:
        if not has_outcomes or not draw(st.booleans()):
            return None
        return np.array(draw(st.lists(values, min_size=items, max_size=items)), kind)

    outcomes = st.sampled_from([0, 1, np.nan]) | st.floats(0, 1, width=32)
    whole = np.array(draw(st.lists(outcomes, min_size=items, max_size=items)), np.float32)
    answers = draw(st.lists(maybe, min_size=items, max_size=items))
    bounds = st.none() | numbers
    return Run(
        model=model,
        measure=Measure(
            metric=draw(texts),
            filter=draw(texts),
            lower=draw(bounds),
            upper=draw(bounds),
            higher_is_better=draw(st.booleans()),
            random_baseline=draw(bounds),
            unit=draw(maybe),
        ),
        source=Source(name=draw(texts), url=draw(maybe)),
        setup=Setup(
            harness=draw(maybe),
            shots=draw(st.none() | st.integers(0, 10_000)),
            chat_template=draw(maybe),
            details=draw(st.dictionaries(texts, texts, max_size=3)),
        ),
        revision=draw(maybe),
        evaluated_at=draw(
            st.none() | st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=zones)  # noqa: DTZ001
        ),
        score=draw(st.none() | numbers),
        standard_error=draw(st.none() | numbers),
        items=draw(st.none() | st.integers(0, 2**31)),
        complete=draw(st.booleans()),
        verified=draw(st.booleans()),
        outcomes=whole if has_outcomes else None,
        answers=answers if has_outcomes and draw(st.booleans()) else None,
        input_tokens=plane(st.integers(-1, 2**31 - 1), np.int32),
        output_tokens=plane(st.integers(-1, 2**31 - 1), np.int32),
        latencies=plane(st.just(np.nan) | st.floats(0, 2.0**40, width=32), np.float32),
    )


@st.composite
def some_blocks(draw: st.DrawFn) -> list[Block]:
    versions = st.tuples(texts, texts)
    blocks = []
    for name, version in draw(st.lists(versions, unique=True, max_size=3)):
        items = [
            Item(item, draw(maybe), tuple(draw(st.lists(texts, max_size=2))), draw(maybe))
            for item in draw(st.lists(texts, unique=True, max_size=4))
        ]
        models = draw(st.lists(texts, unique=True, max_size=3))
        runs = [draw(some_runs(model, len(items))) for model in models]
        benchmark = Benchmark(name=name, version=version, url=draw(maybe))
        blocks.append(Block(benchmark=benchmark, items=items, runs=runs))
    return blocks


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_version_without_runs_leaves_those_of_another(encoding: Encoding, tmp_path: Path) -> None:
    run = Run(
        model="m",
        measure=Measure(metric="acc"),
        source=Source(name="s"),
        outcomes=np.ones(1, np.float32),
    )
    first = Block(benchmark=Benchmark(name="b"), items=[Item("i")], runs=[run])
    second = Block(benchmark=Benchmark(name="b", version="2"), items=[Item("i")], runs=[])
    again = list(map(facts, blocks_of(written(tmp_path, encoding, [first, second]))))
    assert again == [facts(first), facts(second)]


@settings(max_examples=150, deadline=None)
@given(blocks=some_blocks(), encoding=st.sampled_from(ENCODINGS))
def test_any_blocks_are_read_again_as_they_were(blocks: list[Block], encoding: Encoding) -> None:
    with TemporaryDirectory() as folder:
        again = list(map(facts, blocks_of(written(Path(folder), encoding, blocks))))
    assert again == [facts(block) for block in blocks]
