import json
import random
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from databases import Databases
from exported import exported
from generated_hub.models import generate
from hub_faults import (
    NOT_A_LIST,
    Body,
    Drip,
    ExpiredCursor,
    Faults,
    Hang,
    RepeatingPage,
    Reset,
    Status,
    Truncated,
    following,
    listing,
)
from sqlalchemy import Engine, text

from registry.db import connection as database
from registry.demo.hub.server import Fault, HubServer
from registry.errors import HubError, HubUnavailableError
from registry.hub.client import Hub
from registry.sync import sync
from registry.sync.sync import SyncOptions, SyncReport

DAY = datetime(2026, 6, 1, tzinfo=UTC)


def run(engine: Engine, server: HubServer, *, patience: float = 20, **options: Any) -> SyncReport:
    hub = Hub(server.url, first_wait=0.01, patience=patience, read_timeout=0.5)
    return sync.sync_models(
        engine, replace(SyncOptions(as_of=DAY, lookups=0), **options), source=hub
    )


def contents(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return exported(connection)


@pytest.fixture(scope="module")
def undisturbed(databases: Databases) -> dict[str, str]:
    """The catalog after a sync in which nothing went wrong."""
    with databases.lent() as url, HubServer(generate(120), page_limit=40) as server:
        engine = database.create_engine(url)
        run(engine, server)
        return contents(engine)


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([Status(500), Status(502), Status(503), Status(504)], id="server errors"),
        pytest.param([Status(429, reset=0)], id="rate limit by window"),
        pytest.param([Status(429, retry_after=1, limits=False)], id="rate limit by Retry-After"),
        pytest.param([Status(429, limits=False)], id="rate limit without a word"),
        pytest.param([Hang(1.5)], id="timeout"),
        pytest.param([Reset(), Reset(after=500)], id="connection reset"),
        pytest.param([Truncated()], id="truncated body"),
        pytest.param([Body(b"<html>bad gateway</html>")], id="not JSON"),
        pytest.param([NOT_A_LIST], id="not a list"),
        pytest.param([ExpiredCursor()], id="cursor expired"),
    ],
)
@pytest.mark.parametrize("where", [listing, following], ids=["first page", "later page"])
def test_what_passes_leaves_no_trace(
    engine: Engine,
    undisturbed: dict[str, str],
    faults: list[Fault],
    where: Callable[[Any], bool],
    request: pytest.FixtureRequest,
) -> None:
    if isinstance(faults[0], ExpiredCursor) and where is listing:
        where = following
    plan = Faults({where: faults})
    with HubServer(generate(120), page_limit=40, faults=plan) as server:
        report = run(engine, server)
    assert plan.left == 0
    assert report.complete
    assert contents(engine) == undisturbed


def test_a_hub_that_stays_down_is_given_up_and_resumed(
    engine: Engine, undisturbed: dict[str, str]
) -> None:
    plan = Faults({following: [Status(503)] * 50})
    with HubServer(generate(120), page_limit=40, faults=plan) as server:
        with pytest.raises(HubUnavailableError, match="503"):
            run(engine, server, patience=0.2)
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT pages FROM store.sync_passes")) == 1
            assert connection.scalar(text("SELECT status FROM store.job_runs")) == "failed"
        server._faults = None
        assert run(engine, server).resumed
    assert contents(engine) == undisturbed


def test_a_listing_that_goes_in_a_circle_ends(engine: Engine) -> None:
    with (
        HubServer(
            generate(120), page_limit=40, faults=Faults({following: [RepeatingPage()] * 9})
        ) as server,
        pytest.raises(HubError, match="circle|itself"),
    ):
        run(engine, server)


def test_cursors_that_keep_expiring_end_the_sync(engine: Engine) -> None:
    plan = Faults({following: [ExpiredCursor()] * 20})
    with HubServer(generate(120), page_limit=40, faults=plan) as server:
        with pytest.raises(HubError, match="cursor"):
            run(engine, server)
        # What was read before the cursor expired is there.
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM store.counters")) == 40


def test_a_slow_reply_is_read_to_its_end(engine: Engine, undisturbed: dict[str, str]) -> None:
    with HubServer(
        generate(120), page_limit=40, faults=Faults({following: [Drip(seconds=1.0)]})
    ) as server:
        run(engine, server)
    assert contents(engine) == undisturbed


def hostile(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Spoil one field each of a few records, in every way that a field can be spoiled."""
    good = list(records)
    values: list[Any] = [
        None, True, 0, -1, 10**30, 1.5, "", "x" * 100_000, "nul\0byte", "\udc80", [], [[[]]], {},
        {"a": {"b": ["\0", "\ud800"]}}, [None, 1, "x"], "https://huggingface.co/a/b", "../path",
    ]  # fmt: skip
    spoiled: list[dict[str, Any]] = []
    fields = [
        "id", "author", "sha", "createdAt", "lastModified", "downloads", "downloadsAllTime",
        "likes", "trendingScore", "gated", "private", "disabled", "pipeline_tag", "library_name",
        "tags", "cardData", "config", "safetensors", "gguf", "_id",
    ]  # fmt: skip
    for number, field in enumerate(fields):
        for value in values:
            record = dict(good[number % len(good)])
            name = f"hostile/{field}-{len(spoiled)}"
            record |= {"id": name, "modelId": name, "_id": f"{len(spoiled):024x}", field: value}
            spoiled.append(record)
    for value in (
        "self", ["a/b", "a/b"], "https://huggingface.co/org/base/tree/main", "/local/path", 7, None,
        {"model": "x/y"}, ["x/y", None, 3, ["z/w"]], "org/name extra", "\0/\0",
    ):  # fmt: skip
        record = dict(good[0])
        name = f"hostile/base-{len(spoiled)}"
        base = name if value == "self" else value
        record |= {
            "id": name, "modelId": name, "_id": f"{len(spoiled):024x}",
            "cardData": {"base_model": base},
        }  # fmt: skip
        spoiled.append(record)
    return spoiled


def hostile_page() -> bytes:
    good = list(generate(20))
    cycle = [
        {"id": f"cycle/{here}", "tags": [f"base_model:finetune:cycle/{there}"]}
        for here, there in (("a", "b"), ("b", "c"), ("c", "a"))
    ]
    big = {"id": "big/card", "cardData": {"text": "x" * 5_000_000}}
    odd: list[Any] = [None, 1, "text", [], [1, 2], {}, {"id": None}, {"modelId": 3}]
    return json.dumps([*good, *hostile(good), *cycle, big, *odd]).encode()


def test_hostile_records_land_or_are_quarantined(engine: Engine) -> None:
    body = hostile_page()
    with HubServer(generate(5), faults=Faults({listing: [Body(body), Body(body)]})) as server:
        report = run(engine, server)
        again = run(engine, server, since=datetime(2020, 1, 1, tzinfo=UTC))
    counts = report.counts
    assert counts.new + counts.quarantined == counts.records
    assert counts.new > 300
    assert counts.quarantined >= 8
    assert counts.partly_read > 100
    assert (again.counts.new, again.counts.changed) == (0, 0)
    with engine.connect() as connection:
        reasons = connection.scalars(text("SELECT reason FROM registry.quarantine")).all()
        assert all(reasons)
        payloads = connection.scalars(text("SELECT payload FROM registry.quarantine")).all()
        assert {"id": None} in list(map(json.loads, payloads))
        cycle = connection.execute(
            text("SELECT model FROM registry.lineage_problems WHERE problem = 'cycle' ORDER BY 1")
        ).scalars()
        assert list(cycle) == ["cycle/a", "cycle/b", "cycle/c"]
        selves = connection.scalar(
            text("SELECT count(*) FROM registry.lineage_problems WHERE problem = 'self_edge'")
        )
        assert selves == 1
        assert len(connection.scalar(text(
            "SELECT card ->> 'text' FROM registry.models WHERE name = 'big/card'"
        ))) == 5_000_000  # fmt: skip


def test_one_repository_twice_on_a_page_is_taken_in_once(engine: Engine) -> None:
    one, other = (dict(record) for record in list(generate(2)))
    body = json.dumps([one, {**other, "_id": one["_id"]}, {**one, "likes": 1}]).encode()
    with HubServer(faults=Faults({listing: [Body(body), Body(body)]})) as server:
        assert run(engine, server).counts.new == 1
        assert run(engine, server, since=datetime(2020, 1, 1, tzinfo=UTC)).counts.unchanged == 1
    with engine.connect() as connection:
        names = connection.scalars(text("SELECT name FROM registry.models WHERE state <> 'stub'"))
        assert names.all() == [one["id"]]


def test_a_counter_that_goes_wrong_is_named_until_it_is_mended(engine: Engine) -> None:
    record = next(iter(generate(1)))
    wrong = {**record, "downloads": "many", "likes": -3}
    bodies = [Body(json.dumps([each]).encode()) for each in (record, wrong, record)]
    unread = text("SELECT unread_fields FROM registry.models WHERE state <> 'stub'")
    with HubServer([record], faults=Faults({listing: bodies})) as server:
        with engine.connect() as connection:
            run(engine, server)
            assert connection.scalar(unread) == []
            report = run(engine, server, full=True)
            assert (report.counts.changed, report.counts.partly_read) == (1, 1)
            connection.rollback()
            assert connection.scalar(unread) == ["downloads", "likes"]
            report = run(engine, server, full=True)
            assert (report.counts.changed, report.counts.partly_read) == (1, 0)


def test_a_quarantined_record_that_is_mended_leaves_quarantine(engine: Engine) -> None:
    record = next(iter(generate(1)))
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    broken = (
        b'[{"id": "%s", "cardData": ' % record["id"].encode()
        + b"[" * 5000 + b"]" * 5000 + b"}]"
    )  # fmt: skip
    with HubServer([record], faults=Faults({listing: Body(broken)})) as server:
        first = run(engine, server)
        with engine.connect() as connection:
            kept = connection.execute(text("SELECT key FROM registry.quarantine")).scalars().all()
        run(engine, server, full=True)
    assert first.counts.quarantined + first.counts.partly_read == 1
    assert kept in ([record["id"]], [])
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM registry.quarantine")) == 0
        assert connection.scalar(text("SELECT count(*) FROM registry.models")) == 1


def test_random_faults_never_change_the_outcome(
    engine: Engine, undisturbed: dict[str, str]
) -> None:
    random.seed(7)
    kinds: list[Callable[[], Fault]] = [
        lambda: Status(random.choice([429, 500, 502, 504]), retry_after=0),
        lambda: Reset(after=random.randrange(2000)),
        Truncated,
        lambda: Body(b"]["),
        ExpiredCursor,
    ]
    plan = Faults(
        {listing: [random.choice(kinds)() for _ in range(2)], following: [
            random.choice(kinds)() for _ in range(8)
        ]}
    )  # fmt: skip
    with HubServer(generate(120), page_limit=40, faults=plan) as server:
        run(engine, server)
    assert contents(engine) == undisturbed


def test_an_address_where_nobody_listens(engine: Engine) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    hub = Hub(address, first_wait=0.01, patience=0.1)
    with pytest.raises(HubUnavailableError, match="127.0.0.1"):
        sync.sync_models(engine, SyncOptions(), source=hub)
    assert threading.active_count() < 20
