"""Import of price lists into the database."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from evaluated import grid, write
from factories import NOON, model, rows
from remote_files import Web
from sqlalchemy import Engine

from registry.db.jobs import Lock, exclusive
from registry.errors import LockHeldError, UsageError
from registry.evaluations.importer import ImportOptions, import_files
from registry.evaluations.price_lists.price_import import PriceImportOptions, import_prices
from registry.evaluations.reassignment import change_aliases, resolve_names
from registry.sync.from_file import sync_file
from registry.sync.sync import SyncOptions


def listed(path: Path, **prices: float) -> Path:
    entries = {
        name: {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": price / 1e6,
               "output_cost_per_token": price / 1e6}
        for name, price in prices.items()
    }  # fmt: skip
    path.write_text(json.dumps(entries))
    return path


AT_NOON = PriceImportOptions(as_of=NOON)


def test_a_list_is_stored_and_its_names_resolved(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        model(connection, "openai/gpt-x")
    path = listed(tmp_path / "a.json", **{"gpt-x": 1.5, "gpt-y": 2.0, "bad": -1.0})
    (report,) = import_prices(engine, [path], AT_NOON)
    assert report.error is None
    assert report.written == (2, 2, 2, 0, 0)
    assert report.methods == {"maker": 1, "unresolved": 1}
    assert report.left_out == {"negative prices": ["openai/bad"]}
    with engine.connect() as connection:
        assert rows(
            connection,
            "SELECT model, input_per_million, valid_from FROM registry.prices ORDER BY 1",
        ) == [("gpt-y", 2.0, NOON), ("openai/gpt-x", 1.5, NOON)]
        jobs = rows(connection, "SELECT job, status, summary FROM registry.job_runs")
        assert jobs == [("prices import", "done", {"files": 1, "failed": 0, "changed": 2})]


def test_a_dry_run_changes_nothing(engine: Engine, tmp_path: Path) -> None:
    path = listed(tmp_path / "a.json", **{"gpt-x": 1.5})
    (report,) = import_prices(engine, [path], PriceImportOptions(as_of=NOON, dry_run=True))
    assert report.written == (1, 1, 1, 0, 0)
    with engine.connect() as connection:
        assert rows(connection, "SELECT * FROM store.price_offers") == []
        assert rows(connection, "SELECT * FROM store.job_runs") == []


def test_a_file_that_fails_leaves_the_others(engine: Engine, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"gpt-x": ')
    good = listed(tmp_path / "good.json", **{"gpt-x": 1.5})
    first, second = import_prices(engine, [broken, good], AT_NOON)
    assert first.error is not None
    assert str(broken) in first.error
    assert first.written is None
    assert second.written == (1, 1, 1, 0, 0)


def test_a_part_withdraws_nothing(engine: Engine, tmp_path: Path) -> None:
    import_prices(engine, [listed(tmp_path / "a.json", a=1.0, b=1.0)], AT_NOON)
    part = listed(tmp_path / "b.json", a=1.0)
    (report,) = import_prices(engine, [part], PriceImportOptions(part=True))
    assert report.written == (1, 0, 0, 0, 1)
    (report,) = import_prices(engine, [part])
    assert report.written == (1, 0, 0, 1, 1)


def test_prices_are_not_of_the_future(engine: Engine, tmp_path: Path) -> None:
    path = listed(tmp_path / "a.json", a=1.0)
    with pytest.raises(UsageError, match="to come"):
        import_prices(engine, [path], PriceImportOptions(as_of=datetime.now(UTC) + timedelta(1)))
    for name in ("", " x", "a\0b"):
        with pytest.raises(UsageError, match="no name of a list"):
            import_prices(engine, [path], PriceImportOptions(source=name))


def test_lists_at_addresses(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_DATA_DIR", str(tmp_path / "data"))
    with Web() as web:
        web.files["/api.json"] = listed(tmp_path / "a.json", a=1.0).read_bytes()
        web.files["/bad.json"] = b"{"
        good, bad = f"{web.url}/api.json", f"{web.url}/bad.json"
        first, second = import_prices(engine, [good, bad], AT_NOON)
    assert (first.path, first.written) == (good, (1, 1, 1, 0, 0))
    assert second.error is not None
    assert second.error.startswith(bad)


def test_one_import_at_a_time(engine: Engine, tmp_path: Path) -> None:
    path = listed(tmp_path / "a.json", a=1.0)
    with exclusive(engine, Lock.EVALUATIONS), pytest.raises(LockHeldError):
        import_prices(engine, [path])


def test_a_new_alias_gives_a_model_its_price(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        model(connection, "org/a")
        write(connection, grid("b", {"org/a": [1, 0]}))
    import_prices(engine, [listed(tmp_path / "a.json", sold=1.0)], AT_NOON)
    change_aliases(engine, "org/a", added=["sold"])
    with engine.connect() as connection:
        assert rows(connection, "SELECT model FROM registry.prices") == [("org/a",)]
    change_aliases(engine, "org/a", removed=["sold"])
    with engine.connect() as connection:
        assert rows(connection, "SELECT model FROM registry.prices") == [("sold",)]


def models_of_prices(engine: Engine) -> list[tuple[str, str | None]]:
    with engine.connect() as connection:
        found = rows(connection, "SELECT model, resolved_by FROM registry.prices ORDER BY 1")
    return [(name, method) for name, method in found]


def test_models_that_evaluations_name_have_their_prices(engine: Engine, tmp_path: Path) -> None:
    import_prices(engine, [listed(tmp_path / "a.json", **{"gpt-x": 1.0})], AT_NOON)
    assert models_of_prices(engine) == [("gpt-x", None)]
    scores = tmp_path / "scores.csv"
    scores.write_text("name,score\ngpt-x,0.5\n")
    roles = {"model": "name", "score": "score"}
    (report,) = import_files(engine, [scores], ImportOptions(roles=roles, benchmark="b"))
    assert report.error is None
    assert models_of_prices(engine) == [("gpt-x", "exact")]


def test_models_that_a_sync_finds_have_their_prices(engine: Engine, tmp_path: Path) -> None:
    import_prices(engine, [listed(tmp_path / "a.json", **{"openai/gpt-x": 1.0})], AT_NOON)
    records = tmp_path / "models.jsonl"
    records.write_text(json.dumps({"id": "openai/gpt-x", "lastModified": "2026-01-01T00:00:00Z"}))
    sync_file(engine, SyncOptions(as_of=NOON), records)
    assert models_of_prices(engine) == [("openai/gpt-x", "maker")]


def test_names_that_are_resolved_again_have_their_prices(engine: Engine, tmp_path: Path) -> None:
    import_prices(engine, [listed(tmp_path / "a.json", **{"openai/gpt-x": 1.0})], AT_NOON)
    with engine.begin() as connection:
        model(connection, "openai/gpt-x")
    resolve_names(engine)
    assert models_of_prices(engine) == [("openai/gpt-x", "maker")]
