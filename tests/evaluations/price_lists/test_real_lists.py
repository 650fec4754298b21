"""The real lists beside the checkout: what they hold, and whose prices they are taken for."""

import gzip
import json
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import pytest
from factories import rows
from sqlalchemy import Engine

from registry.db import schema
from registry.evaluations.price_lists.price_import import (
    PriceImportOptions,
    PriceReport,
    import_prices,
)

AS_OF = datetime(2026, 6, 15, tzinfo=UTC)


def imported(engine: Engine, path: Path) -> PriceReport:
    (report,) = import_prices(engine, [path], PriceImportOptions(as_of=AS_OF))
    assert report.error is None
    return report


STUBS = (
    "gpt-4o", "o3", "claude-3-5-sonnet-20240620", "claude-3-haiku-20240307", "gpt-5-mini",
    "meta-llama/Llama-3.1-70B-Instruct",
)  # fmt: skip
"""Models that evaluations name."""


@pytest.fixture
def priced(engine: Engine, shared: Path) -> Engine:
    """Models of the Hub, some that evaluations name, and three lists of prices."""
    with gzip.open(shared / "hub-models" / "models.jsonl.gz") as file:
        names = [json.loads(line)["id"] for line in file]
    with engine.begin() as connection:
        connection.execute(
            schema.models.insert(),
            [
                {
                    "name": name,
                    "author": name.rpartition("/")[0] or None,
                    "state": "stub" if name in STUBS else "available",
                    "first_seen": AS_OF,
                    "changed_at": AS_OF,
                }
                for name in (*names, *STUBS)
            ],
        )
    imported(engine, shared / "llm-prices" / "models_dev_api.json.gz")
    imported(engine, shared / "llm-prices" / "litellm_model_prices.json.gz")
    imported(engine, shared / "models-dev-price-history" / "genai_prices.parquet")
    return engine


RIGHT = {
    "us.anthropic.claude-3-5-sonnet-20240620-v1:0": "claude-3-5-sonnet-20240620",
    "anthropic/claude-3-haiku": None,
    "openai/gpt-4o": "gpt-4o",
    "openai/gpt-4o-2024-05-13": None,
    "meta-llama/llama-3.1-70b-instruct": "meta-llama/Llama-3.1-70B-Instruct",
    "meta.llama3-70b-instruct-v1:0": "meta-llama/Meta-Llama-3-70B-Instruct",
    "accounts/fireworks/models/qwen2p5-72b-instruct": "Qwen/Qwen2.5-72B-Instruct",
    "qwen/qwen-2.5-7b-instruct": "Qwen/Qwen2.5-7B-Instruct",
    "hf:deepseek-ai/DeepSeek-V3.2": "deepseek-ai/DeepSeek-V3.2",
    "google/gemma-3-27b-it:free": "google/gemma-3-27b-it",
    "Meta-Llama-3_3-70B-Instruct": "meta-llama/Llama-3.3-70B-Instruct",
    "openai.gpt-oss-20b-1:0": "openai/gpt-oss-20b",
    # The base model has the name, and providers sell the other.
    "llama3-8b": None,
    "zai-org/GLM-5-FP8": "zai-org/GLM-5-FP8",
    "lambda_ai/qwen3-32b-fp8": None,
    "neuralmagic/Meta-Llama-3.1-8B-Instruct-FP8": None,
}
"""Names of offers, and the models that they mean; None: of none in this catalog."""


@pytest.mark.shared
def test_offers_are_those_of_the_right_models(priced: Engine) -> None:
    """And none costs much more or less than others of its model, as of another size it would."""
    with priced.connect() as connection:
        found = {
            row[0]: row[1]
            for row in rows(
                connection,
                """SELECT DISTINCT o.name, m.name FROM store.price_offers o
                     LEFT JOIN store.models m USING (model_id) WHERE o.name = ANY (:names)""",
                names=list(RIGHT),
            )
        }
        assert found == {name: model for name, model in RIGHT.items() if name in found}
        assert len(found) >= 10
        counts = dict(
            rows(connection, "SELECT method, count(*) FROM store.price_offers GROUP BY 1")
        )
    assert counts["exact"] > 500
    assert counts["maker"] > 500
    assert counts["spelling"] > 100
    of_models: dict[str, list[float]] = defaultdict(list)
    with priced.connect() as connection:
        for name, blend in rows(
            connection,
            """SELECT model, 3 * input_per_million + output_per_million FROM registry.prices
                WHERE resolved_by IS NOT NULL AND NOT free AND valid_to IS NULL""",
        ):
            of_models[name].append(blend)
    many = {name: prices for name, prices in of_models.items() if len(prices) >= 5}
    assert len(many) > 80
    far = [
        name
        for name, prices in many.items()
        if max(prices) > 50 * median(prices) or min(prices) < median(prices) / 50
    ]
    assert far == []


@pytest.mark.shared
def test_thirteen_months_of_prices(engine: Engine, shared: Path) -> None:
    path = shared / "models-dev-price-history" / "price_events.parquet"
    report = imported(engine, path)
    assert report.source == "models.dev"
    with engine.connect() as connection:
        before = rows(connection, "SELECT * FROM store.prices ORDER BY 1, 2")
        assert rows(
            connection,
            """SELECT input_per_million, output_per_million
                 FROM registry.price_at('o3', '2025-08-01', 'openai')""",
        ) == [(2.0, 8.0)]
        dearest = rows(connection, "SELECT max(output_per_million) FROM registry.prices")
        assert dearest == [(600.0,)]
    refused = [name for reason, names in report.left_out.items() if "median" in reason
               for name in names]  # fmt: skip
    assert "cloudflare-ai-gateway/workers-ai/llama-3.1-8b-instruct" in refused
    assert "grok/grok-3-mini" in refused
    assert len(refused) < 50
    again = imported(engine, path)
    assert again.written is not None
    assert (again.written.new, again.written.changed, again.written.withdrawn) == (0, 0, 0)
    with engine.connect() as connection:
        assert rows(connection, "SELECT * FROM store.prices ORDER BY 1, 2") == before
