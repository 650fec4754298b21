"""Commands `registry prices`."""

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cli_commands import Commands
from factories import NOON, model
from priced import offer
from sqlalchemy import create_engine

DAY = timedelta(days=1)


def listed(path: Path, **prices: float) -> str:
    entries = {
        name: {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": price / 1e6,
               "output_cost_per_token": 2 * price / 1e6}
        for name, price in prices.items()
    }  # fmt: skip
    path.write_text(json.dumps(entries))
    return str(path)


def table(printed: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(printed)))


@pytest.fixture
def priced(commands: Commands) -> Commands:
    """Two models with prices, and an offer without a model."""
    assert commands.url is not None
    engine = create_engine(commands.url)
    with engine.begin() as connection:
        a, b = model(connection, "org/a"), model(connection, "org/b")
        offer(connection, "a", a, (4.0, 8.0), (2.0, 4.0), provider="one", context=4096)
        offer(connection, "a:free", a, (0.0, 0.0), provider="two", source="models.dev")
        offer(connection, "b", b, (1.0, 1.0), None, provider="one")
        offer(connection, "b", b, (3.0, 3.0), (3.5, 2.0), provider="two", context=128_000)
        offer(connection, "gpt-4o", None, (2.5, 10.0), provider="one", since=NOON + 2 * DAY)
    engine.dispose()
    return commands


def test_an_import_says_what_it_did(commands: Commands, tmp_path: Path) -> None:
    path = listed(tmp_path / "a.json", **{"gpt-x": 1.0, "bad": -1.0})
    result = commands("prices", "import", path, "--as-of", "2026-01-31", "--format", "json")
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert row == {
        "path": path, "format": "litellm", "source": "litellm", "offers": 1, "new": 1,
        "changed": 1, "withdrawn": 0, "unchanged": 0, "resolved": 0,
        "methods": {"unresolved": 1}, "left_out": {"negative prices": 1}, "error": None,
    }  # fmt: skip
    assert "left out 1 negative prices: openai/bad" in result.stderr
    (found,) = table(commands.done("prices", "show", "GPT-X"))
    assert (found["valid_from"], found["input_per_million"]) == ("2026-01-31T00:00:00Z", "1.0")


def test_options_of_an_import(commands: Commands, tmp_path: Path) -> None:
    path = listed(tmp_path / "a.json", **{"gpt-x": 1.0, "gpt-y": 1.0})
    assert "nothing was changed" in commands("prices", "import", path, "--dry-run").stderr
    assert commands.json("prices", "list") == []
    commands.done("prices", "import", path, "--source", "ours", "--as", "litellm")
    part = listed(tmp_path / "b.json", **{"gpt-x": 1.0})
    (row,) = commands.json("prices", "import", part, "--source", "ours", "--part")
    assert (row["withdrawn"], row["source"]) == (0, "ours")
    (row,) = commands.json("prices", "import", part, "--source", "ours")
    assert row["withdrawn"] == 1


def test_files_that_fail(commands: Commands, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    assert "Nothing was imported" in commands.refused(1, "prices", "import", str(broken))
    good = listed(tmp_path / "a.json", **{"gpt-x": 1.0})
    assert str(broken) in commands.refused(3, "prices", "import", str(broken), good)
    commands.refused(2, "prices", "import", str(tmp_path / "nothing.json"))
    assert "models.dev" in commands.refused(2, "prices", "import", good, "--as", "csv")


def test_show_lists_offers_of_a_date_or_all(priced: Commands) -> None:
    now = table(priced.done("prices", "show", "org/a"))
    assert [(row["provider"], row["input_per_million"], row["free"]) for row in now] == [
        ("two", "0.0", "true"), ("one", "2.0", "false")
    ]  # fmt: skip
    then = table(priced.done("prices", "show", "org/a", "--at", NOON.isoformat()))
    assert [row["input_per_million"] for row in then] == ["0.0", "4.0"]
    history = table(priced.done("prices", "show", "ORG/b", "--history"))
    assert [(row["provider"], row["input_per_million"]) for row in history] == [
        ("one", "1.0"), ("two", "3.0"), ("two", "3.5")
    ]  # fmt: skip
    assert len(table(priced.done("prices", "show", "GPT-4O", "--history"))) == 1


def test_show_of_what_has_no_price(priced: Commands, commands: Commands) -> None:
    assert "Did you mean gpt-4o" in priced.refused(1, "prices", "show", "gpt-4oo")
    before = (NOON - DAY).isoformat()
    error = priced.refused(1, "prices", "show", "org/a", "--at", before)
    assert "No price of 2026-02-28 is known of 'org/a'." in error
    assert "No price is known" in priced.refused(1, "prices", "show", "zzzz", "--history")
    priced.refused(2, "prices", "show", "org/a", "--at", before, "--history")
    del commands


def test_show_without_any_prices(commands: Commands) -> None:
    assert "registry prices import" in commands.refused(1, "prices", "show", "org/a")


@pytest.mark.parametrize(
    ("options", "offers"),
    [
        ([], ["a:free", "a", "b", "gpt-4o"]),
        (["--provider", "two"], ["a:free", "b"]),
        (["--source", "models.dev"], ["a:free"]),
        (["--max-input", "2"], ["a:free", "a"]),
        (["--max-output", "2"], ["a:free", "b"]),
        (["--min-context", "4096"], ["a", "b"]),
        (["--min-context", "4097"], ["b"]),
        (["--free"], ["a:free"]),
        (["--paid"], ["a", "b", "gpt-4o"]),
        (["--resolved"], ["a:free", "a", "b"]),
        (["--unresolved"], ["gpt-4o"]),
        (["--limit", "2"], ["a:free", "a"]),
        (["org/b"], ["b"]),
        (["4O"], ["gpt-4o"]),
        (["--at", NOON.isoformat()], ["a:free", "b", "b", "a"]),
        (["--at", (NOON + DAY).isoformat()], ["a:free", "a", "b"]),
    ],
)
def test_filters_of_the_list(priced: Commands, options: list[str], offers: list[str]) -> None:
    found = table(priced.done("prices", "list", *options))
    assert [row["offered_as"] for row in found] == offers


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ([], [("gpt-4o", "new"), ("org/a", "cheaper"), ("org/b", "gone"), ("org/b", "both")]),
        (["--change", "gone"], [("org/b", "gone")]),
        (["--provider", "two"], [("org/b", "both")]),
        (["--model", "org/a"], [("org/a", "cheaper")]),
        (["--model", "GPT-4o"], [("gpt-4o", "new")]),
        (["--unresolved"], [("gpt-4o", "new")]),
        (["--since", (NOON + 2 * DAY).isoformat()], [("gpt-4o", "new")]),
        (["--until", (NOON + DAY).isoformat()], []),
        (["--limit", "1"], [("gpt-4o", "new")]),
    ],
)
def test_changes(priced: Commands, options: list[str], changes: list[tuple[str, str]]) -> None:
    since = [] if "--since" in options else ["--since", "2026-01-01"]
    found = table(priced.done("prices", "changes", *since, *options))
    assert [(row["model"], row["change"]) for row in found] == changes


def test_a_change_has_the_prices_before_and_after(priced: Commands) -> None:
    (found,) = priced.json("prices", "changes", "--since", "2026-01-01", "--model", "org/a")
    wanted = ("changed_at", "input_before", "input_after", "output_before", "output_after")
    assert [found[name] for name in wanted] == ["2026-03-02T12:00:00Z", 4.0, 2.0, 8.0, 4.0]
