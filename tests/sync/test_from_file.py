"""Syncs from files of records: the result of a sync of the Hub with the same records."""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import remote_files
from cli_commands import Commands
from exported import exported
from factories import rows
from generated_hub.models import generate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from registry.db import connection as database
from registry.demo.hub.server import HubServer
from registry.errors import RegistryError, UnreadableFileError, UsageError
from registry.hub.client import Hub
from registry.sync.from_file import sync_file
from registry.sync.sync import SyncOptions, SyncReport, sync_models

if TYPE_CHECKING:
    from databases import Databases

DAY = datetime(2026, 6, 1, tzinfo=UTC)
Records = Sequence[dict[str, Any]]


def state(engine: Engine) -> dict[str, str]:
    """The whole catalog, but for the state of syncs of the Hub."""
    with engine.connect() as connection:
        content = exported(connection)
    del content["passes"]
    return content


def asked(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return rows(connection, query)


def from_hub(engine: Engine, days: Sequence[tuple[datetime, Records]]) -> None:
    with HubServer([]) as server:
        for day, records in days:
            server.replace(records)
            options = SyncOptions(as_of=day, lookups=0, since=datetime(2000, 1, 1, tzinfo=UTC))
            sync_models(engine, options, source=Hub(server.url, first_wait=0.01))


def from_file(engine: Engine, path: Path, day: datetime = DAY, **options: Any) -> SyncReport:
    return sync_file(engine, SyncOptions(as_of=day), path, **options)


def lines(path: Path, records: Sequence[Any]) -> Path:
    text = "".join(json.dumps(record) + "\n" for record in records).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def as_table(path: Path, records: Records) -> Path:
    """A Parquet file as data frames make it: documents as text, nulls for what is missing."""
    texts = {"cardData", "config", "safetensors", "gguf", "evalResults"}
    table = [
        {name: json.dumps(value) if name in texts else value for name, value in record.items()}
        for record in records
    ]
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = {name: pa.array([record.get(name) for record in table]) for name in names}
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def other(databases: "Databases") -> Iterator[Engine]:
    """A second database."""
    with databases.lent() as url:
        engine = database.create_engine(url)
        yield engine
        engine.dispose()


def plain(count: int) -> Records:
    """Generated records, without what a table cannot have."""
    return [without_nulls(record) for record in generate(count)]


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_lines_give_what_the_hub_gives(
    engine: Engine, other: Engine, tmp_path: Path, ending: str
) -> None:
    records = plain(400)
    from_hub(engine, [(DAY, records)])
    report = from_file(other, lines(tmp_path / f"models.{ending}", records))
    assert (report.counts.records, report.complete) == (len(records), True)
    assert state(other) == state(engine)
    again = from_file(other, tmp_path / f"models.{ending}")
    assert again.counts.unchanged == len(records)
    assert state(other) == state(engine)


@pytest.mark.shared
@pytest.mark.parametrize("write", [lines, as_table])
def test_real_records_give_what_the_hub_gives(
    engine: Engine,
    other: Engine,
    tmp_path: Path,
    shared: Path,
    write: Callable[[Path, Records], Path],
) -> None:
    with gzip.open(shared / "hub-models" / "models.jsonl.gz", "rt") as file:
        records = [without_nulls(json.loads(line)) for line in file]
    from_hub(engine, [(DAY, records)])
    suffix = "jsonl" if write is lines else "parquet"
    report = from_file(other, write(tmp_path / f"models.{suffix}", records))
    assert report.counts.records == len(records)
    assert state(other) == state(engine)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(each) for name, each in value.items() if each is not None}
    return value


@pytest.mark.shared
def test_real_snapshots_become_the_history_of_the_same_syncs(
    engine: Engine, other: Engine, tmp_path: Path, shared: Path
) -> None:
    table = pd.read_parquet(shared / "hub-daily-snapshots" / "snapshots.parquet")
    days = sorted(table["mined_date"].unique())[-20:]
    table = table[table["mined_date"].isin(days)]
    columns = ["id", "author", "downloads", "likes", "lastModified", "pipeline_tag"]
    from_hub(
        engine,
        [
            (
                datetime.fromisoformat(day).replace(tzinfo=UTC),
                table.loc[table["mined_date"] == day, columns].to_dict("records"),
            )
            for day in days
        ],
    )
    # In no order of days.
    path = tmp_path / "snapshots.parquet"
    table[[*columns, "mined_date"]].sample(frac=1, random_state=1).to_parquet(path)
    report = from_file(other, path, date_column="mined_date")
    assert report.counts.records == len(table)
    assert state(other) == state(engine)
    assert len(asked(other, "SELECT FROM registry.model_history")) > 1000
    from_file(other, path, date_column="mined_date")
    assert state(other) == state(engine)


def record(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "_id": hashlib.sha256(name.encode()).hexdigest()[:24],
        "id": name,
        "lastModified": "2026-05-01T00:00:00.000Z",
        "tags": ["license:mit", "region:us"],
        "downloads": 10,
        "likes": 1,
        **fields,
    }


def test_no_watermark_moves(engine: Engine, tmp_path: Path) -> None:
    # Fields of other replies of the Hub make no difference.
    detail = record("org/a", siblings=[{"rfilename": "README.md"}], spaces=[])
    from_file(engine, lines(tmp_path / "models.jsonl", [detail]))
    assert asked(engine, "SELECT * FROM store.sync_passes") == []
    earlier = record("org/b", lastModified="2026-01-01T00:00:00.000Z")
    with HubServer([record("org/a"), earlier]) as server:
        options = SyncOptions(as_of=DAY, lookups=0)
        report = sync_models(engine, options, source=Hub(server.url, first_wait=0.01))
        assert (report.counts.new, report.counts.unchanged) == (1, 1)
        before = asked(engine, "SELECT * FROM store.sync_passes")
        from_file(engine, lines(tmp_path / "more.jsonl", [
            record("org/c", lastModified="2026-06-01T00:00:00.000Z")
        ]))  # fmt: skip
        assert asked(engine, "SELECT * FROM store.sync_passes") == before


def test_no_record_replaces_a_newer_one(engine: Engine, tmp_path: Path) -> None:
    new = record("org/a", lastModified="2026-05-20T00:00:00.000Z", downloads=50, likes=5)
    from_hub(engine, [(DAY, [new, record("org/b")])])
    old = record("org/a", tags=["license:gpl", "x"], downloads=20)
    past = DAY - timedelta(days=9)
    report = from_file(engine, lines(tmp_path / "old.jsonl", [old]), past)
    assert (report.counts.changed, report.counts.unchanged) == (0, 1)
    assert asked(engine, "SELECT license, downloads FROM registry.models WHERE name = 'org/a'") == [
        ("mit", 50)
    ]
    history = "SELECT observed_at, downloads FROM registry.model_history WHERE model = 'org/a'"
    assert sorted(asked(engine, history)) == [(past, 20), (DAY, 50)]
    # Counters alone do not take the place of a record.
    counters = {"id": "org/b", "downloads": 70, "day": "2026-06-05"}
    from_file(engine, lines(tmp_path / "counters.jsonl", [counters]), date_column="day")
    assert asked(engine, "SELECT license, downloads FROM registry.models WHERE name = 'org/b'") == [
        ("mit", 70)
    ]


def test_no_record_of_an_earlier_day_replaces_one_of_the_same_commit(
    engine: Engine, tmp_path: Path
) -> None:
    """Tags change without a commit, and so may the record while its counters stay."""
    early, late = record("org/a", tags=["license:mit"]), record("org/a", tags=["license:gpl"])
    from_hub(engine, [(DAY - timedelta(days=4), [early]), (DAY, [late])])
    between = record("org/a", tags=["license:bsd"])
    report = from_file(
        engine, lines(tmp_path / "between.jsonl", [between]), DAY - timedelta(days=2)
    )
    assert (report.counts.changed, report.counts.unchanged) == (0, 1)
    licence = "SELECT license FROM registry.models"
    assert asked(engine, licence) == [("gpl",)]
    from_file(engine, lines(tmp_path / "next.jsonl", [between]), DAY + timedelta(days=1))
    assert asked(engine, licence) == [("bsd",)]


def test_a_former_name_does_not_come_back(engine: Engine, tmp_path: Path) -> None:
    old, new = record("org/old"), record("org/new", _id=record("org/old")["_id"])
    from_hub(engine, [(DAY - timedelta(days=1), [old]), (DAY, [new])])
    past = DAY - timedelta(days=9)
    from_file(engine, lines(tmp_path / "old.jsonl", [old]), past)
    assert asked(engine, "SELECT name FROM registry.models") == [("org/new",)]


def test_a_model_that_a_whole_listing_has_by_a_former_name_is_not_gone(
    engine: Engine, tmp_path: Path
) -> None:
    old, other = record("org/old"), record("org/x")
    before = "2026-01-01T00:00:00.000Z"
    new = record("org/new", _id=old["_id"], lastModified=before)
    from_file(engine, lines(tmp_path / "old.jsonl", [old, other]), DAY - timedelta(days=9))
    # A record that is older than the stored one says no more than the new name.
    from_file(engine, lines(tmp_path / "new.jsonl", [new]))
    between = SyncOptions(as_of=DAY - timedelta(days=3), full=True)
    report = sync_file(engine, between, lines(tmp_path / "all.jsonl", [old, other]))
    assert (report.counts.gone, report.counts.new) == (0, 0)
    assert asked(engine, "SELECT name, state FROM registry.models ORDER BY 1") == [
        ("org/new", "available"), ("org/x", "available"),
    ]  # fmt: skip


def test_of_repeated_records_the_newest_counts(engine: Engine, tmp_path: Path) -> None:
    newer = record("org/a", lastModified="2026-05-20T00:00:00.000Z", downloads=3)
    renamed = record("org/b2", _id=record("org/b")["_id"], lastModified="2026-05-21T00:00:00.000Z")
    records = [newer, record("org/a"), renamed, record("org/b"), record("org/c")]
    report = from_file(engine, lines(tmp_path / "models.jsonl", records))
    assert asked(engine, "SELECT name, downloads FROM registry.models ORDER BY 1") == [
        ("org/a", 3), ("org/b2", 10), ("org/c", 10),
    ]  # fmt: skip
    [note] = report.notes
    assert note.startswith("2 records are of models that the file has more than once for a day;")


def test_a_byte_order_mark_is_no_part_of_the_first_record(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "models.jsonl"
    text = "".join(json.dumps(record(f"org/{name}")) + "\n" for name in "ab")
    path.write_text(text, encoding="utf-8-sig")
    packed = tmp_path / "models.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert from_file(engine, path).counts.new == 2
    counts = from_file(engine, packed).counts
    assert (counts.unchanged, counts.quarantined) == (2, 0)


def test_what_is_no_record_goes_to_the_quarantine_with_its_line(
    commands: Commands, tmp_path: Path
) -> None:
    path = tmp_path / "models.jsonl"
    good = json.dumps(record("org/a"))
    path.write_text(
        f'{good}\n\n{{"id": "org/broken"\n{{"likes": 3}}\n[1, 2]\n{json.dumps(record("org/b"))}\n'
        f'{{"id": "org/nan", "tags": [], "trendingScore": NaN}}'
    )
    result = commands("sync", "--from", str(path))
    assert result.exit_code == 3
    names = [row["name"] for row in commands.json("query", "SELECT name FROM models ORDER BY 1")]
    assert names == ["org/a", "org/b", "org/nan"]
    reasons = commands.json("query", "SELECT reason FROM quarantine ORDER BY reason")
    assert [each["reason"].partition(":")[0] for each in reasons] == [
        f"models.jsonl, line {line}" for line in (3, 4, 5)
    ]


def test_a_file_that_ends_too_early_leaves_nothing(engine: Engine, tmp_path: Path) -> None:
    path = lines(tmp_path / "models.jsonl.gz", plain(50))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UnreadableFileError, match=r"jsonl.gz, line \d+: The compressed file"):
        from_file(engine, path)
    table = as_table(tmp_path / "models.parquet", plain(50))
    table.write_bytes(table.read_bytes()[:-20])
    with pytest.raises(UnreadableFileError, match="It is no Parquet file"):
        from_file(engine, table)
    assert asked(engine, "SELECT FROM store.models") == []


@pytest.mark.parametrize(
    ("content", "options", "problem"),
    [
        ('[{"id": "org/a"}]', {}, "line 1: A list; write one record a line"),
        ('{"id": "org/a"}', {"date_column": "day"}, "has no field 'day'; its records have id"),
    ],
)
def test_what_cannot_be_read_is_refused(
    engine: Engine, tmp_path: Path, content: str, options: dict[str, Any], problem: str
) -> None:
    path = tmp_path / "models.jsonl"
    path.write_text(content)
    with pytest.raises(RegistryError, match=problem):
        from_file(engine, path, **options)


def test_a_file_that_is_not_there_is_named(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="models.jsonl cannot be read .No such file"):
        from_file(engine, tmp_path / "models.jsonl")


def test_a_dry_run_changes_nothing(engine: Engine, tmp_path: Path) -> None:
    path = lines(tmp_path / "models.jsonl", plain(50))
    report = sync_file(engine, SyncOptions(dry_run=True), path)
    assert report.counts.new > 0
    assert asked(engine, "SELECT FROM store.models") == []


def test_a_mirror_on_the_hub_is_read(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_DATA_DIR", str(tmp_path / "data"))
    body = as_table(tmp_path / "models.parquet", [record("org/a"), record("org/b")]).read_bytes()
    with remote_files.hub() as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        hub.put("org/stats", {"models.parquet": body, "d/1.jsonl": b"{}", "d/2.jsonl": b"{}"})
        commands.done("sync", "--from", "hf://datasets/org/stats/models.parquet")
        error = commands.refused(2, "sync", "--from", "hf://datasets/org/stats/d")
    assert error == "Error: hf://datasets/org/stats/d has 2 files; name one.\n"
    names = commands.json("query", "SELECT name, license FROM models ORDER BY 1")
    assert [list(each.values()) for each in names] == [["org/a", "mit"], ["org/b", "mit"]]


@pytest.mark.parametrize("option", ["--lookups=3", "--limit=3", "--author=x", "--since=2026-01-01"])
def test_options_of_the_listing_are_refused(commands: Commands, option: str) -> None:
    error = commands.refused(2, "sync", "--from", "models.jsonl", option)
    assert f"--from reads all records: it goes without {option.partition('=')[0]}." in error


def test_a_whole_listing_says_what_is_gone(engine: Engine, tmp_path: Path) -> None:
    records = plain(50)
    first = lines(tmp_path / "first.jsonl", records)
    from_file(engine, first)
    rest = lines(tmp_path / "rest.jsonl", records[3:])
    later = DAY + timedelta(days=1)
    query = "SELECT name FROM registry.models WHERE state = 'gone' ORDER BY 1"
    assert from_file(engine, rest, later).counts.gone == 0
    dry = sync_file(engine, SyncOptions(as_of=later, full=True, dry_run=True), rest)
    assert (dry.counts.gone, asked(engine, query)) == (3, [])
    assert sync_file(engine, SyncOptions(as_of=later, full=True), rest).counts.gone == 3
    gone = sorted((each["id"],) for each in records[:3])
    assert sorted(asked(engine, query)) == gone
    assert asked(engine, "SELECT FROM store.sweep_pages") == []
    # An older listing takes nothing from a newer one, and a later one that has them finds them.
    past = lines(tmp_path / "past.jsonl", records[:1])
    options = SyncOptions(as_of=DAY - timedelta(days=9), full=True, accept_gone=True)
    assert sync_file(engine, options, past).counts.gone == 0
    sync_file(engine, SyncOptions(as_of=later + timedelta(days=1), full=True), first)
    assert asked(engine, query) == []


def test_what_a_listing_lacks_by_mistake_is_not_gone(engine: Engine, tmp_path: Path) -> None:
    records = [record(f"org/m{number}") for number in range(300)]
    from_file(engine, lines(tmp_path / "all.jsonl", records))
    options = SyncOptions(as_of=DAY + timedelta(days=1), full=True)
    half = lines(tmp_path / "half.jsonl", records[:150])
    with pytest.raises(RegistryError, match="did not find 150 of 300 models"):
        sync_file(engine, options, half)
    for bad in ("7", "{}", '{"id": "org/m299"', "x"):
        damaged = lines(tmp_path / "damaged.jsonl", records[:299])
        damaged.write_text(damaged.read_text() + bad + "\n")
        with pytest.raises(RegistryError, match="1 lines of the file are no record with a name"):
            sync_file(engine, options, damaged)
    # A record that is one but cannot be read is there.
    unread = [*records[1:], {**records[0], "lastModified": 3, "tags": 9}]
    sync_file(engine, options, lines(tmp_path / "unread.jsonl", unread))
    assert asked(engine, "SELECT FROM registry.models WHERE state = 'gone'") == []


def test_a_file_of_days_is_no_whole_listing(commands: Commands) -> None:
    options = ("--from", "models.jsonl", "--full", "--date-column", "day")
    assert "goes without --date-column" in commands.refused(2, "sync", *options)


NAMES = st.sampled_from(["org/a", "org/b", "org/c"])
DAYS = st.integers(0, 3)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.tuples(DAYS, NAMES), st.tuples(st.integers(0, 5), DAYS), min_size=1))
def test_days_in_any_order_are_syncs_in_their_order(
    databases: "Databases",
    tmp_path: Path,
    observed: dict[tuple[int, str], tuple[int, int]],
) -> None:
    modified: dict[str, int] = {}
    by_day: dict[int, list[dict[str, Any]]] = {}
    for (day, name), (downloads, change) in sorted(observed.items()):
        modified[name] = max(modified.get(name, 0), change)
        moment = DAY - timedelta(days=30 - modified[name])
        by_day.setdefault(day, []).append(
            record(name, downloads=downloads, lastModified=moment.isoformat())
        )
    with databases.lent() as first, databases.lent() as second:
        one, two = database.create_engine(first), database.create_engine(second)
        from_hub(one, [(DAY + timedelta(days=day), each) for day, each in by_day.items()])
        dated = [
            {**each, "seen": (DAY + timedelta(days=day)).isoformat()}
            for day, records in reversed(by_day.items())
            for each in records
        ]
        from_file(two, lines(tmp_path / "days.jsonl", dated), date_column="seen")
        assert state(two) == state(one)
        one.dispose()
        two.dispose()
