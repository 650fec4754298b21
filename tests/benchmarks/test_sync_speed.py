"""The sync's speed beside its floor: decoding the same pages and copying the same columns."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.request import urlopen

import orjson
import pytest
from generated_hub.server import generated_hub
from measuring import listing_query, resident
from sqlalchemy import text

from registry.db import connection as db
from registry.db import copy, migrate
from registry.hub.client import Hub, ListingQuery

pytestmark = pytest.mark.benchmark

RECORDS = int(os.environ.get("BENCHMARK_RECORDS", "100000"))

FLOOR_TABLE = """
CREATE TABLE floor (
    id text, author text, sha text, created_at timestamptz, last_modified timestamptz,
    downloads bigint, downloads_all_time bigint, likes bigint, trending_score real, gated text,
    private boolean, disabled boolean, pipeline_tag text, library_name text, tags text[],
    card jsonb, config jsonb, safetensors jsonb)"""

FLOOR_COLUMNS = (
    "id", "author", "sha", "createdAt", "lastModified", "downloads", "downloadsAllTime", "likes",
    "trendingScore", "gated", "private", "disabled", "pipeline_tag", "library_name", "tags",
    "cardData", "config", "safetensors",
)  # fmt: skip


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    with generated_hub(RECORDS, prepare=listing_query("lastModified")) as url:
        yield url


def pages(url: str) -> Iterator[bytes]:
    """The bodies of the listing, fetched as cheaply as it can be done."""
    address: str | None = Hub(url).first_url(ListingQuery())
    while address is not None:
        with urlopen(address) as reply:
            body = reply.read()
            link = reply.headers.get("Link")
        yield body
        address = link[1 : link.index(">")] if link else None


def floor(database: str, url: str) -> float:
    """Seconds to decode the pages and COPY their columns into a table without an index."""
    engine = db.create_engine(database)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS floor")
        connection.exec_driver_sql(FLOOR_TABLE)
    began = time.perf_counter()
    with engine.connect() as connection:
        for body in pages(url):
            rows = (
                [
                    value if not isinstance(value, dict) else orjson.dumps(value).decode()
                    for value in (record.get(name) for name in FLOOR_COLUMNS)
                ]
                for record in orjson.loads(body)
            )
            columns = [column.split()[0] for column in FLOOR_TABLE.split("(")[1].split(",")]
            copy.copy_rows(connection, "floor", [c.strip(" )\n") for c in columns], rows)
            connection.commit()
    seconds = time.perf_counter() - began
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE floor")
    engine.dispose()
    return seconds


def sync_process(database: str, url: str, *options: str) -> tuple[float, float, float]:
    """Run `registry sync`; return its seconds, and its resident memory early on and at most, MB."""
    command = [sys.executable, "-m", "registry", "--database-url", database, "sync", "--lookups",
               "0", *options]  # fmt: skip
    environment = {**os.environ, "HF_ENDPOINT": url}
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    memory: list[float] = []
    while True:
        try:
            process.wait(0.25)
            break
        except subprocess.TimeoutExpired:
            memory.append(resident(process.pid))
    seconds = time.perf_counter() - began
    assert process.returncode == 0
    return seconds, memory[min(4, len(memory) - 1)], max(memory)


def test_a_first_sync_and_an_unchanged_one(speed_database: str, hub: str) -> None:
    engine = db.create_engine(speed_database)
    migrate.upgrade(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM store.models")) == 0
    lowest = min(floor(speed_database, hub) for _ in range(2))
    # The catalog alone, as the floor has it; then the scores in the cards.
    first, early, most = sync_process(speed_database, hub, "--no-evaluations")
    again, _, _ = sync_process(speed_database, hub, "--no-evaluations", "--since", "2000-01-01")
    scored, _, _ = sync_process(speed_database, hub)
    with engine.connect() as connection:
        known = connection.scalar(text("SELECT count(*) FROM store.models WHERE state <> 'stub'"))
        runs = connection.scalar(text("SELECT count(*) FROM store.runs"))
    engine.dispose()
    assert known == RECORDS
    print(
        f"\n{RECORDS:,} records: floor {lowest:.1f} s; first sync {first:.1f} s "
        f"({RECORDS / first:,.0f} a second, {first / lowest:.2f} x the floor); unchanged "
        f"{again:.1f} s ({first / again:.1f} x faster); memory {early:.0f} MB early, "
        f"{most:.0f} MB most; {runs:,} scores in the cards taken up in {scored:.1f} s"
    )
