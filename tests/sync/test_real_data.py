import csv
import gzip
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Engine, text

from registry.demo.hub.server import HubServer
from registry.hub.client import Hub
from registry.sync import sync
from registry.sync.sync import SyncOptions, SyncReport

pytestmark = pytest.mark.shared

DAY = datetime(2026, 5, 21, tzinfo=UTC)


def listing(shared: Path) -> list[dict[str, Any]]:
    """The real records, as a listing gives them: without baseModels, and with a key."""
    with gzip.open(shared / "hub-models" / "models.jsonl.gz", "rt") as file:
        records = [json.loads(line) for line in file]
    for record in records:
        record.pop("baseModels", None)
        record["_id"] = hashlib.sha256(record["id"].encode()).hexdigest()[:24]
    return records


def run(engine: Engine, server: HubServer, **options: Any) -> SyncReport:
    settings = replace(SyncOptions(as_of=DAY, lookups=0), **options)
    return sync.sync_models(engine, settings, source=Hub(server.url, first_wait=0.01))


def values(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_every_real_record_lands_with_the_hubs_own_edges(engine: Engine, shared: Path) -> None:
    records = listing(shared)
    with HubServer(records) as server:
        report = run(engine, server)
        assert (report.counts.records, report.counts.new) == (len(records), len(records))
        assert report.counts.quarantined == 0
        names = {name for (name,) in values(
            engine, "SELECT name FROM registry.models WHERE state <> 'stub'"
        )}  # fmt: skip
        assert names == {record["id"] for record in records}

        with (shared / "hub-models" / "lineage_edges.csv").open() as file:
            expected = {
                (row["child_id"], row["parent_id"], row["relation"]) for row in csv.DictReader(file)
            }
        stated = set(
            values(
                engine, "SELECT child, parent, relation FROM registry.lineage WHERE source = 'tag'"
            )
        )
        # Tags keep a parent's name as cards once gave it. Where the same repository goes by two
        # names (in other case, or renamed since), the registry has one model: names are resolved.
        aliases = dict(values(engine, "SELECT alias, model FROM registry.model_aliases"))
        folded = {alias.casefold(): model for alias, model in aliases.items()}
        resolved = {
            (child, aliases.get(parent) or folded[parent.casefold()], relation)
            for child, parent, relation in expected
        }
        assert stated == resolved
        assert len(stated) == len(expected)
        assert {parent for _, parent, _ in expected - stated} == OTHER_NAMES
        # The rest is what only cards state. The Hub drops a parent that was deleted since; the
        # registry keeps it, as a stub, at the lower confidence of a card.
        extra = values(
            engine,
            "SELECT child, parent, relation, confidence, parent_missing FROM registry.lineage"
            " WHERE source <> 'tag'",
        )
        assert all(confidence < 1 for *_, confidence, _ in extra)
        missing = sum(parent_missing for *_, parent_missing in extra)
        assert (len(extra), missing) == (EXTRA_EDGES, EXTRA_TO_STUBS)

        written = (
            "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"
            " WHERE schemaname = 'store'"
            "   AND relname NOT IN ('job_runs', 'sync_passes', 'sweep_pages')"
        )
        values(engine, "SELECT pg_stat_force_next_flush()")
        before = values(engine, written)
        again = run(engine, server, full=True)
        assert (again.counts.unchanged, again.counts.gone) == (len(records), 0)
        values(engine, "SELECT pg_stat_force_next_flush()")
        assert values(engine, written) == before


OTHER_NAMES = {
    "Spestly/Athena-1-3B",  # renamed to aayanmishra-ml/Athena-1-3B, as other cards state
}
EXTRA_EDGES = 245
EXTRA_TO_STUBS = 204


def test_full_detail_records_land_with_their_tree(engine: Engine, shared: Path) -> None:
    with (shared / "hub-model-details" / "models.jsonl").open() as file:
        records = [json.loads(line) for line in file]
    with HubServer(records) as server:
        report = run(engine, server)
    assert (report.counts.new, report.counts.quarantined) == (len(records), 0)
    with (shared / "hub-model-details" / "tree_edges.csv").open() as file:
        tree = {(row["child_id"], row["parent_id"]) for row in csv.DictReader(file)}
    # The source listed children of models of any kind; what both ends' records state is kept.
    known = {record["id"] for record in records}
    edges = set(values(engine, "SELECT child, parent FROM registry.lineage"))
    assert {edge for edge in tree if edge[0] in known} <= edges
    measured = values(
        engine,
        "SELECT count(*) FROM registry.models WHERE parameters_source IN ('safetensors', 'gguf')",
    )
    assert measured[0][0] == sum(bool(r.get("safetensors") or r.get("gguf")) for r in records)
    root = "mistralai/Mistral-Small-24B-Base-2501"
    assert values(
        engine,
        f"SELECT count(*) > 40 FROM registry.family('{root}')",
    ) == [(True,)]


def test_two_weeks_of_snapshots_become_history(engine: Engine, shared: Path) -> None:
    table = pd.read_parquet(shared / "hub-daily-snapshots" / "snapshots.parquet")
    days = sorted(table["mined_date"].unique())[-14:]
    expected: list[tuple[str, datetime, int, int]] = []
    last: dict[str, tuple[int, int]] = {}
    with HubServer([]) as server:
        for day in days:
            rows = table[table["mined_date"] == day]
            moment = datetime.fromisoformat(str(day)[:10]).replace(tzinfo=UTC)
            records = [
                {
                    "_id": hashlib.sha256(row.id.encode()).hexdigest()[:24],
                    "id": row.id,
                    "downloads": int(row.downloads),
                    "likes": int(row.likes),
                    "lastModified": str(row.lastModified),
                    "createdAt": "2023-01-01T00:00:00.000Z",
                    "pipeline_tag": row.pipeline_tag,
                    "tags": [],
                }
                for row in rows.itertuples()
            ]
            server.replace(records)
            run(engine, server, full=True, as_of=moment, accept_gone=True)
            for record in records:
                now = (record["downloads"], record["likes"])
                if last.get(record["id"]) != now:
                    expected.append((record["id"], moment, *now))
                    last[record["id"]] = now
    history = values(
        engine,
        "SELECT model, observed_at, downloads, likes FROM registry.model_history",
    )
    assert sorted(history) == sorted(expected)
    assert len(history) > 1000
