"""Formats of price lists, on small files as their sources write them."""

import csv
import gzip
import json
import math
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzzing import damaged, value

from registry.catalog.prices.checks import check
from registry.catalog.prices.records import PriceList, TokenPrice
from registry.enums import PriceFormat
from registry.errors import UnreadableFileError
from registry.evaluations.price_lists.price_files import read_list

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)

LITELLM = {
    "sample_spec": {"input_cost_per_token": 0.0, "litellm_provider": "one of ...", "mode": "chat"},
    "gpt-4o": {
        "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2.5e-06,
        "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1.25e-06,
        "max_input_tokens": 128000,
    },
    "together_ai/meta-llama/Llama-3-8b": {
        "litellm_provider": "together_ai", "input_cost_per_token": 2e-07,
        "output_cost_per_token": 3.6000000000000003e-06,
        "input_cost_per_token_above_200k_tokens": 4e-07,
    },
    "vertex_ai/claude-x@2026": {
        "litellm_provider": "vertex_ai-anthropic_models", "mode": "chat",
        "input_cost_per_token": "3e-06", "output_cost_per_token": 1.5e-05,
    },
    "azure/o1": {"litellm_provider": "azure", "input_cost_per_token": 1e-6,
                 "output_cost_per_token": 2e-6},
    "azure_ai/o1": {"litellm_provider": "azure_ai", "input_cost_per_token": 3e-6,
                    "output_cost_per_token": 4e-6},
    "dall-e": {"litellm_provider": "openai", "mode": "image_generation",
               "input_cost_per_token": 5e-6, "output_cost_per_token": 5e-6},
    "half": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 5e-6},
    "nobody": {"mode": "chat", "input_cost_per_token": 5e-6, "output_cost_per_token": 5e-6},
}  # fmt: skip

MODELS_DEV = {
    "openrouter": {
        "id": "openrouter",
        "models": {
            "qwen/qwen3-32b:free": {"cost": {"input": 0, "output": 0}, "limit": {"context": 0}},
            "qwen/qwen3-32b": {
                "cost": {"input": 0.1, "output": 0.3, "cache_read": 0.05,
                         "context_over_200k": {"input": 0.2, "output": 0.6}},
                "limit": {"context": 40960.0, "output": 100},
            },
            "no-cost": {"limit": {"context": 10}},
        },
    },
    "empty": {"id": "empty"},
}  # fmt: skip

GENAI = [
    {
        "id": "together",
        "models": [
            {"id": "a", "context_window": 1000, "prices": {"input_mtok": 1, "output_mtok": 2}},
            {"id": "tiers", "prices": {
                "input_mtok": {"base": 1.25, "tiers": [{"start": 200000, "price": 2.5}]},
                "output_mtok": 10, "cache_read_mtok": 0.3}},
            {"id": "dated", "prices": [
                {"prices": {"input_mtok": 10, "output_mtok": 40}},
                {"constraint": {"start_date": "2026-02-01"},
                 "prices": {"input_mtok": 2, "output_mtok": 8}},
                {"constraint": {"start_date": "2027-01-01"},
                 "prices": {"input_mtok": 1, "output_mtok": 4}}]},
            {"id": "later", "prices": [
                {"prices": {"input_mtok": 3, "output_mtok": 4}},
                {"constraint": {"start_date": "2027-01-01"},
                 "prices": {"input_mtok": 1, "output_mtok": 4}}]},
            {"id": "hours", "prices": [
                {"constraint": {"start_time": "00:30:00Z", "end_time": "16:30:00Z"},
                 "prices": {"input_mtok": 0.27, "output_mtok": 1.1}},
                {"prices": {"input_mtok": 0.135, "output_mtok": 0.55}}]},
            {"id": "input only", "prices": {"input_mtok": 1}},
        ],
    }
]  # fmt: skip


def written(folder: Path, content: object, name: str = "list.json") -> Path:
    path = folder / name
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(json.dumps(content).encode()))
    else:
        path.write_text(json.dumps(content))
    return path


def priced(prices: PriceList) -> dict[tuple[str, str], TokenPrice | None]:
    return {(row.provider, row.name): row.price for row in prices.rows}


def test_litellm(tmp_path: Path) -> None:
    found, prices = read_list(written(tmp_path, LITELLM, "x.json.gz"), None, as_of=AS_OF)
    assert (found, prices.source, prices.complete) == (PriceFormat.LITELLM, "litellm", True)
    assert priced(prices) == {
        ("openai", "gpt-4o"): TokenPrice(2.5, 10.0, 1.25, 128000),
        ("togetherai", "meta-llama/Llama-3-8b"): TokenPrice(0.2, 3.6, tiered=True),
        ("google-vertex", "claude-x@2026"): TokenPrice(3.0, 15.0),
        # Two keys of one provider that differ in its name alone.
        ("azure", "azure/o1"): TokenPrice(1.0, 2.0),
        ("azure", "azure_ai/o1"): TokenPrice(3.0, 4.0),
    }
    assert prices.left_out == {
        "entries that are not priced by tokens of text": ["dall-e"],
        "entries that do not state both prices": ["half"],
        "entries without a provider, or a name that can be stored": ["nobody"],
    }


def test_models_dev(tmp_path: Path) -> None:
    found, prices = read_list(written(tmp_path, MODELS_DEV), None, as_of=AS_OF)
    assert (found, prices.source, prices.complete) == (PriceFormat.MODELS_DEV, "models.dev", True)
    assert priced(prices) == {
        ("openrouter", "qwen/qwen3-32b:free"): TokenPrice(0.0, 0.0),
        ("openrouter", "qwen/qwen3-32b"): TokenPrice(0.1, 0.3, 0.05, 40960, tiered=True),
    }
    assert prices.left_out == {"entries that do not state both prices": ["openrouter/no-cost"]}


def test_genai_prices(tmp_path: Path) -> None:
    found, prices = read_list(written(tmp_path, GENAI), None, as_of=AS_OF)
    assert (found, prices.source) == (PriceFormat.GENAI_PRICES, "genai-prices")
    assert [(row.name, row.price, row.at) for row in prices.rows] == [
        ("a", TokenPrice(1.0, 2.0, None, 1000), None),
        ("tiers", TokenPrice(1.25, 10.0, 0.3, tiered=True), None),
        # What came before the first date has no beginning, and what is to come is not yet true.
        ("dated", TokenPrice(2.0, 8.0), datetime(2026, 2, 1, tzinfo=UTC)),
        ("later", TokenPrice(3.0, 4.0), None),
        ("hours", TokenPrice(0.27, 1.1, tiered=True), None),
    ]
    assert {row.provider for row in prices.rows} == {"togetherai"}
    assert prices.left_out == {"entries that do not state both prices": ["together/input only"]}


def test_rules_in_a_table(tmp_path: Path) -> None:
    rules = [
        {"provider": "aws", "model": "m", "input_mtok": 1.0, "output_mtok": 2.0,
         "start_date": None, "tiered": False},
        {"provider": "aws", "model": "m", "input_mtok": 2.0, "output_mtok": 3.0,
         "start_date": "2026-02-01", "tiered": True},
        {"provider": "aws", "model": "n", "input_mtok": 2.0, "output_mtok": 3.0,
         "start_date": "soon", "tiered": True},
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rules), tmp_path / "rules.parquet")
    found, prices = read_list(tmp_path / "rules.parquet", None, as_of=AS_OF)
    assert found is PriceFormat.GENAI_PRICES
    since = datetime(2026, 2, 1, tzinfo=UTC)
    assert [tuple(row) for row in prices.rows] == [
        ("amazon-bedrock", "m", TokenPrice(2.0, 3.0, tiered=True), since)
    ]
    assert prices.left_out == {"entries that begin on no date": ["aws/n"]}


EVENTS: list[dict[str, Any]] = [
    {"committed": "2026-01-02T10:00:00+02:00", "provider": "p", "model": "m", "removed": False,
     "input_per_million": 2.0, "output_per_million": 4.0, "cache_read": 0.5, "context": 1000},
    {"committed": "2026-01-01", "provider": "p", "model": "m", "removed": False,
     "input_per_million": 1.0, "output_per_million": 3.0, "cache_read": None, "context": None},
    {"committed": "2026-01-03", "provider": "p", "model": "m", "removed": True,
     "input_per_million": None, "output_per_million": None, "cache_read": None, "context": None},
    {"committed": "2026-01-04", "provider": "p", "model": "unpriced", "removed": False,
     "input_per_million": None, "output_per_million": 1.0, "cache_read": None, "context": None},
]  # fmt: skip


def table(folder: Path, ending: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    path = folder / f"events{ending}"
    if ending == ".parquet":
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)
    elif ending == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_dated_prices(tmp_path: Path, ending: str) -> None:
    found, prices = read_list(table(tmp_path, ending, EVENTS), None, as_of=AS_OF)
    assert (found, prices.source, prices.complete) == (PriceFormat.EVENTS, "events", False)
    assert [tuple(row) for row in prices.rows] == [
        ("p", "m", TokenPrice(1.0, 3.0), datetime(2026, 1, 1, tzinfo=UTC)),
        ("p", "m", TokenPrice(2.0, 4.0, 0.5, 1000), datetime(2026, 1, 2, 8, tzinfo=UTC)),
        ("p", "m", None, datetime(2026, 1, 3, tzinfo=UTC)),
        ("p", "unpriced", None, datetime(2026, 1, 4, tzinfo=UTC)),
    ]
    assert prices.seen_at == datetime(2026, 1, 4, tzinfo=UTC)
    assert prices.left_out == {"rows that do not state both prices": ["p/unpriced"]}


def test_the_history_of_models_dev_is_of_its_list(tmp_path: Path) -> None:
    rows = [{**row, "commit": "ab"} for row in EVENTS]
    _, prices = read_list(table(tmp_path, ".csv", rows), None, as_of=AS_OF)
    assert prices.source == "models.dev"
    _, prices = read_list(table(tmp_path, ".csv", rows), None, as_of=AS_OF, source="mine")
    assert prices.source == "mine"


def test_a_list_can_be_kept_under_another_name(tmp_path: Path) -> None:
    _, prices = read_list(written(tmp_path, LITELLM), None, as_of=AS_OF, source="mine")
    assert prices.source == "mine"


def test_changes_that_are_to_come_are_left_out(tmp_path: Path) -> None:
    path = table(tmp_path, ".csv", EVENTS)
    _, prices = read_list(path, None, as_of=datetime(2026, 1, 2, 8, tzinfo=UTC))
    assert [row.at for row in prices.rows] == [
        datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, 8, tzinfo=UTC)
    ]  # fmt: skip
    assert prices.left_out == {"rows of the future": ["p/m", "p/unpriced"]}


def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    draw = random.Random(5)
    seeds: dict[str, tuple[bytes, Any]] = {
        f"{n}.json": (json.dumps(content).encode(), content)
        for n, content in enumerate((LITELLM, MODELS_DEV, GENAI))
    }
    for ending in (".csv", ".jsonl", ".parquet"):
        seeds[f"events{ending}"] = table(tmp_path, ending, EVENTS).read_bytes(), None
    for name, (content, document) in list(seeds.items()) * 60:
        damage = damaged(draw, content)
        if document is not None and draw.random() < 0.7:
            damage = json.dumps(_altered(draw, document)).encode()
        (tmp_path / name).write_bytes(damage)
        try:
            _, prices = read_list(tmp_path / name, None, as_of=AS_OF)
        except UnreadableFileError:
            continue
        check(prices)
        assert all(row.provider and row.name for row in prices.rows)


def _altered(draw: random.Random, document: Any) -> Any:
    """Return a document of which some values are others."""
    if draw.random() < 0.1:
        return value(draw)
    if isinstance(document, dict):
        return {key: _altered(draw, each) for key, each in document.items()}
    if isinstance(document, list):
        return [_altered(draw, each) for each in document]
    return document


def test_dated_prices_in_other_currencies(tmp_path: Path) -> None:
    rows = [{"date": "2026-01-01", "provider": "p", "model": "m", "input_per_million": 1,
             "output_per_million": 2, "currency": "cny", "tiered": "yes",
             "cached_input_per_million": 0.5}]  # fmt: skip
    _, prices = read_list(table(tmp_path, ".csv", rows), None, as_of=AS_OF)
    assert prices.rows[0].price == TokenPrice(1.0, 2.0, 0.5, None, "CNY", tiered=True)


def test_a_row_without_a_time_is_named(tmp_path: Path) -> None:
    rows = [EVENTS[0], {**EVENTS[1], "committed": "yesterday"}]
    with pytest.raises(UnreadableFileError, match=r"line 3, field 'committed': 'yesterday' is no"):
        read_list(table(tmp_path, ".csv", rows), None, as_of=AS_OF)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({}, "no list of prices that is known"),
        ([], "no list of prices that is known"),
        ([1], "no list of prices that is known"),
        ({"a": 1}, "no list of prices that is known"),
        ("text", "no list of prices that is known"),
        ({"x": {"litellm_provider": "openai"}}, "no price in it, read as litellm"),
        ({"x": {"models": {}}}, "no price in it, read as models.dev"),
        ([{"models": 3}], "no price in it, read as genai-prices"),
    ],
)
def test_other_documents_are_refused(tmp_path: Path, content: object, problem: str) -> None:
    with pytest.raises(UnreadableFileError, match=problem):
        read_list(written(tmp_path, content), None, as_of=AS_OF)


def test_other_tables_are_refused(tmp_path: Path) -> None:
    rows = [{"provider": "p", "model": "m", "input_per_million": 1, "output_per_million": 2}]
    with pytest.raises(UnreadableFileError, match="one of committed, valid_from, date, at"):
        read_list(table(tmp_path, ".csv", rows), None, as_of=AS_OF)
    with pytest.raises(UnreadableFileError, match="not of the format litellm"):
        read_list(written(tmp_path, GENAI), PriceFormat.LITELLM, as_of=AS_OF)
    with pytest.raises(UnreadableFileError, match="has the columns"):
        read_list(table(tmp_path, ".csv", EVENTS), PriceFormat.GENAI_PRICES, as_of=AS_OF)


def test_values_of_other_kinds_are_no_prices(tmp_path: Path) -> None:
    odd = {"litellm_provider": "p", "output_cost_per_token": 1e-6}
    entries: dict[str, object] = {
        f"m{n}": {**odd, "input_cost_per_token": value}
        for n, value in enumerate([True, [1], {"a": 1}, "free", "1e-06"])
    }
    entries |= {"list": [1], "": {**odd, "input_cost_per_token": 1e-6},
                "a\nb": {**odd, "input_cost_per_token": 1e-6},
                "c": {**odd, "input_cost_per_token": 1e-6, "litellm_provider": "a\0b"}}  # fmt: skip
    _, prices = read_list(written(tmp_path, entries), None, as_of=AS_OF)
    given = [row.price.input_per_million for row in prices.rows if row.price]
    assert [math.isnan(each) for each in given] == [True, True, True, True, False]
    assert sum(map(len, prices.left_out.values())) == 4
