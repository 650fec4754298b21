import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from databases import Databases
from exported import exported
from generated_hub.models import generate
from hub_faults import Body, Faults, listing
from sqlalchemy import Engine, text

from registry.catalog import indexes
from registry.db import connection as database
from registry.demo.hub.http import Request
from registry.demo.hub.server import HubServer
from registry.demo.models import MISSING, RENAMED
from registry.demo.models import models as sample_models
from registry.errors import HubError, LockHeldError
from registry.hub.client import Hub
from registry.sync import sync
from registry.sync.sync import SyncOptions, SyncReport
from registry.workers import Progress

DAY = datetime(2026, 6, 1, tzinfo=UTC)
CATALOG = (
    "models",
    "model_aliases",
    "counters",
    "model_history",
    "documents",
    "edges",
    "model_families",
    "model_features",
    "quarantine",
    "lookups",
)


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer(generate(250), page_limit=100) as running:
        yield running


def run(engine: Engine, server: HubServer, **options: Any) -> SyncReport:
    settings = replace(SyncOptions(as_of=DAY, lookups=0), **options)
    hub = Hub(server.url, first_wait=0.01, patience=2)
    return sync.sync_models(engine, settings, source=hub)


def rows(engine: Engine, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query), parameters)]


def state(engine: Engine, name: str) -> Any:
    found = rows(engine, "SELECT state FROM registry.models WHERE name = :name", name=name)
    return found[0][0] if found else None


def updates(engine: Engine) -> int:
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
        return int(
            connection.scalar(
                text(
                    "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)"
                    "  FROM pg_stat_user_tables"
                    " WHERE schemaname = 'store' AND relname = ANY (:tables)"
                ),
                {"tables": list(CATALOG)},
            )
            or 0
        )


def touched(server: HubServer, number: int = 0, **changes: Any) -> dict[str, Any]:
    """Change a record of the server's, as a commit on the Hub does, and return it."""
    record = dict(list(generate(250))[number])
    record |= {"lastModified": "2026-05-31T12:00:00.000Z", **changes}
    server.put(record)
    return record


def test_a_first_sync_takes_everything_in(engine: Engine, server: HubServer) -> None:
    report = run(engine, server)
    assert report.complete
    assert (report.counts.new, report.counts.records, report.counts.pages) == (250, 250, 3)
    assert rows(engine, "SELECT count(*) FROM registry.models WHERE state <> 'stub'") == [(250,)]
    assert rows(engine, "SELECT count(*) FROM registry.model_history") == [(250,)]
    newest = max(record["lastModified"] for record in generate(250))
    assert report.watermark == datetime.fromisoformat(newest)
    assert rows(engine, "SELECT status FROM registry.job_runs") == [("done",)]


def test_a_second_sync_of_the_same_data_writes_no_row(engine: Engine, server: HubServer) -> None:
    run(engine, server)
    before = updates(engine)
    assert run(engine, server).counts.unchanged > 0
    full = run(engine, server, full=True)
    assert (full.counts.unchanged, full.counts.gone) == (250, 0)
    assert updates(engine) == before


def test_a_delta_stops_at_the_watermark(engine: Engine, server: HubServer) -> None:
    run(engine, server)
    changed = touched(server, 7, pipeline_tag="summarization")
    asked = len(server.requests)
    report = run(engine, server)
    assert (report.counts.changed, report.counts.new) == (1, 0)
    assert len(server.requests) == asked + 1
    assert rows(
        engine, "SELECT pipeline_tag FROM registry.models WHERE name = :name", name=changed["id"]
    ) == [("summarization",)]


def test_counters_move_without_a_commit_and_leave_history(
    engine: Engine, server: HubServer
) -> None:
    run(engine, server)
    record = list(generate(250))[3]
    server.put({**record, "downloads": 4321, "likes": 99})
    later = DAY + timedelta(days=1)
    report = run(engine, server, full=True, as_of=later)
    assert (report.counts.changed, report.counts.counters_changed) == (0, 1)
    history = rows(
        engine,
        "SELECT observed_at, downloads, likes FROM registry.model_history"
        " WHERE model = :name ORDER BY 1",
        name=record["id"],
    )
    assert history == [(DAY, record["downloads"], record["likes"]), (later, 4321, 99)]


def test_a_full_sweep_marks_what_vanished_and_what_came_back(
    engine: Engine, server: HubServer
) -> None:
    run(engine, server)
    record = list(generate(250))[5]
    server.remove(record["id"])
    later = DAY + timedelta(days=7)
    assert run(engine, server, full=True, as_of=later).counts.gone == 1
    assert state(engine, record["id"]) == "gone"
    assert rows(
        engine, "SELECT gone_at FROM registry.models WHERE name = :name", name=record["id"]
    ) == [(later,)]
    server.put(record)
    report = run(engine, server, full=True)
    assert (report.counts.changed, report.counts.gone) == (1, 0)
    assert state(engine, record["id"]) in {"available", "gated"}


def test_a_sweep_that_loses_much_is_not_believed(engine: Engine) -> None:
    with HubServer(generate(600), page_limit=200) as server:
        run(engine, server)
        for record in list(generate(600))[:150]:
            server.remove(record["id"])
        with pytest.raises(HubError, match="did not find 150 of 600 models.*--accept-gone"):
            run(engine, server, full=True)
        assert rows(engine, "SELECT count(*) FROM registry.models WHERE state = 'gone'") == [(0,)]
        assert rows(engine, "SELECT count(*) FROM store.sweep_pages") == [(0,)]
        assert run(engine, server, full=True, accept_gone=True).counts.gone == 150


def test_a_sweep_of_one_author_leaves_the_others_alone(engine: Engine, server: HubServer) -> None:
    run(engine, server)
    (author, known), *_ = rows(
        engine,
        "SELECT author, count(*) FROM registry.models WHERE state <> 'stub'"
        " GROUP BY 1 ORDER BY 2 DESC, 1",
    )
    name = rows(
        engine,
        "SELECT name FROM registry.models WHERE author = :author AND state <> 'stub' ORDER BY 1",
        author=author,
    )[0][0]
    server.remove(name)
    report = run(engine, server, full=True, author=author)
    assert (report.counts.records, report.counts.gone) == (known - 1, 1)
    assert state(engine, name) == "gone"


def test_a_sync_by_tag_takes_in_only_those(engine: Engine, server: HubServer) -> None:
    report = run(engine, server, filters=("gguf",))
    expected = sum("gguf" in record["tags"] for record in generate(250))
    assert report.counts.new == expected > 0


def test_tags_in_another_order_are_the_same_sync(engine: Engine, server: HubServer) -> None:
    first = run(engine, server, filters=("transformers", "safetensors"), limit=1)
    assert (first.complete, first.counts.records) == (False, 1)
    assert run(engine, server, filters=("safetensors", "transformers")).resumed


def test_a_limit_pauses_and_the_next_run_goes_on(engine: Engine, server: HubServer) -> None:
    first = run(engine, server, limit=50)
    assert not first.complete
    assert first.counts.records == 50
    second = run(engine, server, limit=100)
    assert second.resumed
    assert second.counts.records == 150
    third = run(engine, server)
    assert third.complete
    assert third.counts.new == 250


def test_since_goes_back_beyond_the_watermark(engine: Engine, server: HubServer) -> None:
    run(engine, server)
    assert run(engine, server).counts.pages == 1
    assert run(engine, server, since=datetime(2022, 1, 1, tzinfo=UTC)).counts.pages == 3


def test_a_dry_run_tells_and_changes_nothing(engine: Engine, server: HubServer) -> None:
    with engine.connect() as connection:
        before = exported(connection)
    report = run(engine, server, dry_run=True)
    assert report.counts.new == 250
    with engine.connect() as connection:
        assert exported(connection) == before
    run(engine, server)
    server.remove(next(iter(generate(250)))["id"])
    with engine.connect() as connection:
        before = exported(connection)
    assert run(engine, server, full=True, dry_run=True).counts.gone == 1
    with engine.connect() as connection:
        assert exported(connection) == before


def test_one_sync_at_a_time(engine: Engine, server: HubServer) -> None:
    def meanwhile(what: str, done: int, total: int) -> None:
        with pytest.raises(LockHeldError, match="Another sync is running"):
            run(engine, server)

    hub = Hub(server.url)
    sync.sync_models(engine, SyncOptions(lookups=0, limit=10), source=hub, on_progress=meanwhile)


def test_a_rename_keeps_the_row_and_the_old_name(engine: Engine, server: HubServer) -> None:
    run(engine, server)
    record = list(generate(250))[9]
    key = rows(engine, "SELECT registry.model_id(:name)", name=record["id"])
    server.rename(record["id"], "renamed-org/renamed-model")
    report = run(engine, server, full=True)
    assert report.counts.gone == 0
    assert rows(engine, "SELECT registry.model_id('renamed-org/renamed-model')") == key
    assert rows(engine, "SELECT registry.model_id(:name)", name=record["id"]) == key
    assert rows(
        engine,
        "SELECT source, valid_to FROM registry.model_aliases WHERE alias = :name",
        name=record["id"],
    ) == [("rename", DAY)]


def test_two_models_that_swap_names_are_followed(engine: Engine, server: HubServer) -> None:
    run(engine, server)
    one, other = (dict(record) for record in list(generate(250))[20:22])
    keys = [rows(engine, "SELECT registry.model_id(:n)", n=r["id"])[0][0] for r in (one, other)]
    server.remove(one["id"])
    server.remove(other["id"])
    stamp = "2026-05-31T12:00:00.000Z"
    server.put({**one, "id": other["id"], "modelId": other["id"], "lastModified": stamp})
    server.put({**other, "id": one["id"], "modelId": one["id"], "lastModified": stamp})
    report = run(engine, server, full=True)
    assert report.counts.gone == 0
    swapped = [rows(engine, "SELECT registry.model_id(:n)", n=r["id"])[0][0] for r in (other, one)]
    assert swapped == keys
    assert rows(engine, "SELECT count(*) FROM registry.models WHERE name LIKE '%@%'") == [(0,)]


def test_unlisted_names_are_looked_up(engine: Engine) -> None:
    day = DAY.date()
    with HubServer(sample_models(day), moved=RENAMED) as server:
        run(engine, server, lookups=50)
        # Cards name parents by former names: the Hub redirects to the present ones.
        stubs = {
            name
            for (name,) in rows(engine, "SELECT name FROM registry.models WHERE state = 'stub'")
        }
        assert stubs <= set(MISSING)
        gone, disabled = "lmsys/vicuna-7b-v1.5", "lmsys/vicuna-13b-v1.5"
        server.remove(gone)
        server.disable(disabled)
        run(engine, server, full=True, lookups=50, as_of=DAY + timedelta(days=1))
        assert state(engine, gone) == "gone"
        assert state(engine, disabled) == "disabled"


def test_a_stub_becomes_the_model_when_it_is_seen(engine: Engine) -> None:
    parent, child = (dict(record) for record in list(generate(2)))
    child["tags"] = [
        *child["tags"],
        f"base_model:finetune:{parent['id']}",
        f"base_model:{parent['id']}",
    ]
    with HubServer([child]) as server:
        run(engine, server)
        assert state(engine, parent["id"]) == "stub"
        key = rows(engine, "SELECT registry.model_id(:name)", name=parent["id"])
        server.put({**parent, "lastModified": "2026-05-31T00:00:00.000Z"})
        report = run(engine, server)
        assert report.counts.new == 1
        assert state(engine, parent["id"]) != "stub"
        assert rows(engine, "SELECT registry.model_id(:name)", name=parent["id"]) == key
        assert rows(
            engine, "SELECT family_root FROM registry.models WHERE name = :name", name=child["id"]
        ) == [(parent["id"],)]


def test_history_follows_replayed_days(engine: Engine) -> None:
    first, last = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    with HubServer(sample_models(first.date()), moved=RENAMED) as server:
        run(engine, server, full=True, as_of=first)
        server.replace(sample_models(last.date()))
        run(engine, server, full=True, as_of=last)
    grown = rows(
        engine,
        "SELECT count(*) FROM (SELECT model FROM registry.model_history"
        " GROUP BY model HAVING count(*) = 2) AS twice",
    )
    assert grown[0][0] > 100


def test_a_delta_between_two_halves_of_a_sweep_takes_nothing_from_it(
    engine: Engine, server: HubServer
) -> None:
    run(engine, server)
    run(engine, server, full=True, limit=100)
    later = DAY + timedelta(hours=1)
    touched(server, 200, lastModified="2026-06-01T00:30:00.000Z")
    fresh = {**next(iter(generate(1, start=900))), "lastModified": "2026-06-01T00:40:00.000Z"}
    server.put({**fresh, "createdAt": "2026-06-01T00:40:00.000Z"})
    assert run(engine, server, as_of=later).counts.new == 1
    report = run(engine, server, full=True, as_of=later)
    assert report.resumed
    assert report.counts.gone == 0
    assert rows(engine, "SELECT count(*) FROM registry.models WHERE state = 'gone'") == [(0,)]


def test_a_forward_since_leaves_the_watermark_where_it_was(
    engine: Engine, server: HubServer
) -> None:
    before = run(engine, server).watermark
    touched(server, 3, lastModified="2026-05-30T00:00:00.000Z", pipeline_tag="gap")
    touched(server, 4, lastModified="2026-05-31T00:00:00.000Z")
    report = run(engine, server, since=datetime(2026, 5, 30, 12, tzinfo=UTC))
    assert report.watermark == before
    run(engine, server)
    gap = rows(engine, "SELECT count(*) FROM registry.models WHERE pipeline_tag = 'gap'")
    assert gap == [(1,)]


def test_a_first_delta_from_a_moment_on_leaves_the_rest_to_the_next(
    engine: Engine, server: HubServer
) -> None:
    first = run(engine, server, since=DAY)
    assert (first.complete, first.watermark, first.counts.new) == (True, None, 100)
    second = run(engine, server)
    assert (second.counts.new, second.watermark is None) == (150, False)


def test_dates_that_are_wrong_lose_nothing(engine: Engine, server: HubServer) -> None:
    run(engine, server)
    for number in range(10, 130):
        touched(server, number, lastModified=f"2026-05-31T12:00:{number % 60:02}.000Z")
    touched(server, 5, lastModified="2999-01-01T00:00:00.000Z")
    report = run(engine, server)
    assert report.counts.changed == 121
    assert report.watermark is not None
    assert report.watermark < DAY
    touched(server, 6, lastModified="2026-05-31T13:00:00.000Z")
    assert run(engine, server).counts.changed == 1


def test_a_pass_that_was_read_to_its_end_is_not_read_again(
    engine: Engine, server: HubServer
) -> None:
    class KilledError(BaseException):
        pass

    def die_at_the_end(what: str, done: int, total: int) -> None:
        if done == 250:
            raise KilledError

    hub = Hub(server.url)
    with pytest.raises(KilledError):
        sync.sync_models(engine, SyncOptions(lookups=0), source=hub, on_progress=die_at_the_end)
    asked = len(server.requests)
    report = sync.sync_models(engine, SyncOptions(lookups=0), source=hub)
    assert len(server.requests) == asked
    assert report.resumed
    assert report.counts.records == 250
    assert rows(engine, "SELECT count(*) > 100 FROM store.search_vocabulary") == [(True,)]


def test_a_sweep_by_tag_does_not_take_a_lost_tag_for_a_lost_model(
    engine: Engine, server: HubServer
) -> None:
    run(engine, server)
    number, record = next(
        (number, record) for number, record in enumerate(generate(250)) if "gguf" in record["tags"]
    )
    touched(server, number, tags=[tag for tag in record["tags"] if tag != "gguf"])
    assert run(engine, server, full=True, filters=("gguf",)).counts.gone == 0
    assert state(engine, record["id"]) != "gone"


def test_a_small_first_try_does_not_make_later_pages_small(
    engine: Engine, server: HubServer
) -> None:
    run(engine, server, limit=10)
    assert run(engine, server).counts.pages == 1 + 3


@pytest.mark.parametrize("levels", [5, 900, 1000, 1015, 3000])
def test_a_nameless_record_however_deep_stops_nothing(engine: Engine, levels: int) -> None:
    deep = b'{"q": ' + b"[" * levels + b"]" * levels + b"}"
    body = b"[" + deep + b"," + json.dumps(next(iter(generate(1)))).encode() + b"]"
    with HubServer(faults=Faults({listing: Body(body)})) as server:
        report = run(engine, server)
    assert (report.counts.quarantined, report.counts.new) == (1, 1)


def test_a_model_that_cannot_be_read_any_more_is_not_gone(engine: Engine) -> None:
    first, *others = generate(5)
    deep = json.dumps(first).encode()[:-1] + b', "q": ' + b"[" * 3000 + b"]" * 3000 + b"}"
    body = b"[" + b",".join([deep, *(json.dumps(each).encode() for each in others)]) + b"]"

    def sweep(request: Request) -> bool:
        return listing(request) and request.query["sort"] == ["createdAt"]

    with HubServer(generate(5), faults=Faults({sweep: Body(body)})) as server:
        run(engine, server)
        counts = run(engine, server, full=True, as_of=DAY + timedelta(days=7)).counts
    assert (counts.quarantined, counts.gone) == (1, 0)
    assert state(engine, first["id"]) != "gone"


def test_a_large_first_sync_reads_beside_and_ends_as_page_by_page(
    engine: Engine, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = list(generate(3000))
    with HubServer(records, page_limit=200, rate_limit=None) as server:
        report = run(engine, server)
        assert (report.counts.new, report.counts.pages) == (3000, 15)
        with databases.made(template=databases.template()) as url:
            other = database.create_engine(url)
            # Readers are started with this interpreter: without it, as where no process can be
            # started (a limit of processes, no memory), this one does it all.
            monkeypatch.setattr(sys, "executable", "/nonexistent/python")
            alone = run(other, server)
            with engine.connect() as one, other.connect() as two:
                assert exported(one) == exported(two)
            other.dispose()
    assert alone.counts == report.counts


def test_indexes_that_a_killed_initial_load_left_out_are_built_before_the_next_pages(
    engine: Engine, server: HubServer
) -> None:
    run(engine, server)
    present = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'store'"
    ((before,),) = rows(engine, present)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX store.edges_parent_id_child_id_idx")
    built: list[int] = []
    hub = Hub(server.url, first_wait=0.01, patience=2)
    sync.sync_models(
        engine,
        SyncOptions(as_of=DAY, lookups=0, full=True),
        source=hub,
        on_progress=lambda *_: built.append(rows(engine, present)[0][0]),
    )
    assert built == [before] * 3


class _KilledError(Exception):
    pass


def _kill_after(records: int) -> Progress:
    def on_progress(_what: str, done: int, _total: int) -> None:
        if done == records:
            raise _KilledError

    return on_progress


@pytest.mark.parametrize("full", [False, True], ids=["resumed", "by a sweep"])
def test_an_initial_load_that_a_later_run_ends_leaves_words_and_indexes(
    engine: Engine, server: HubServer, *, full: bool
) -> None:
    hub = Hub(server.url, first_wait=0.01, patience=2)
    with pytest.raises(_KilledError):
        sync.sync_models(engine, SyncOptions(as_of=DAY), source=hub, on_progress=_kill_after(200))
    present = text("SELECT indexname FROM pg_indexes WHERE schemaname = 'store'")
    with engine.begin() as connection:
        assert set(connection.scalars(present)).isdisjoint(indexes.DEFERRED)
        # Most of it is there already, and Postgres may have found that out meanwhile.
        connection.exec_driver_sql(
            "UPDATE pg_class SET reltuples = 200 WHERE oid = 'store.models'::regclass"
        )
    late = run(engine, server, full=full, as_of=DAY + timedelta(hours=1))
    assert late.counts.new == (50 if full else 250)
    with engine.connect() as connection:
        assert set(connection.scalars(present)).issuperset(indexes.DEFERRED)
    assert rows(engine, "SELECT word, models FROM store.search_vocabulary ORDER BY 1") == rows(
        engine,
        """
        SELECT word, ndoc FROM ts_stat('SELECT search FROM store.models')
         WHERE length(word) <= 60 ORDER BY word COLLATE "C"
        """,
    )


def test_a_large_initial_load_leaves_statistics_whichever_run_ends_it(engine: Engine) -> None:
    with HubServer(generate(1100), page_limit=500, rate_limit=None) as server:
        hub = Hub(server.url, first_wait=0.01, patience=2)
        with pytest.raises(_KilledError):
            sync.sync_models(
                engine, SyncOptions(as_of=DAY), source=hub, on_progress=_kill_after(1000)
            )
        assert run(engine, server, full=True).counts.new == 100
    analyzed = rows(engine, "SELECT DISTINCT tablename FROM pg_stats WHERE schemaname = 'store'")
    assert {name for (name,) in analyzed} >= {
        "models", "counters", "edges", "model_families", "model_features", "feature_sets",
        "search_vocabulary",
    }  # fmt: skip


def test_indexes_of_lineage_are_built_when_there_is_some(engine: Engine, server: HubServer) -> None:
    run(engine, server)
    # A new index has the number of rows that it was built of; one that was there before them, 0.
    counted = rows(
        engine,
        "SELECT relname, reltuples > 0 FROM pg_class WHERE relname = ANY (:names)",
        names=list(indexes.DEFERRED),
    )
    assert dict(counted) == dict.fromkeys(indexes.DEFERRED, True)
