"""The sample's facts hold together, and its counters grow with the days."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from huggingface_hub import HfApi, ModelInfo

from registry.demo.hub.server import HubServer
from registry.demo.models import MISSING, RENAMED, models

DAY = date(2026, 1, 1)
PAPER_MODELS = """
01-ai/Yi-34B-Chat 01-ai/Yi-6B 01-ai/Yi-6B-200K AdaptLLM/medicine-LLM-13B BioMistral/BioMistral-7B
EleutherAI/llemma_34b FelixChao/Scorpio-7B HuggingFaceH4/zephyr-7b-beta Qwen/Qwen1.5-32B-Chat
TheBloke/CodeLlama-70B-Instruct-AWQ bigcode/octocoder deepseek-ai/deepseek-math-7b-instruct
google/gemma-2b-it meta-llama/LlamaGuard-7b meta-llama/Meta-Llama-3-70B-Instruct
microsoft/phi-1_5 mistralai/Mixtral-8x7B-Instruct-v0.1 mlabonne/AlphaMonarch-7B
openchat/openchat_3.5 project-baize/baize-v2-13b scb10x/typhoon-7b tiiuae/falcon-40b-instruct
upstage/SOLAR-10.7B-Instruct-v1.0 yam-peleg/Experiment26-7B zhengr/MixTAO-7Bx2-MoE-v8.1
"""


@pytest.fixture(scope="module")
def records() -> dict[str, dict[str, Any]]:
    return {record["id"]: record for record in models(DAY)}


def parents(record: dict[str, Any]) -> list[str]:
    """The parents that the card states, by their present names."""
    stated = record["cardData"].get("base_model", [])
    stated = [stated] if isinstance(stated, str) else stated
    return [RENAMED.get(name, name) for name in stated]


def relations(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for tag in record["tags"]:
        kind, _, name = tag.removeprefix("base_model:").partition(":")
        if tag.startswith("base_model:") and name:
            yield kind, name


def depth(records: dict[str, dict[str, Any]], name: str, at: frozenset[str]) -> int:
    known = [p for p in parents(records[name]) if p in records and p not in at]
    return max((1 + depth(records, parent, at | {parent}) for parent in known), default=0)


def test_names_are_unique(records: dict[str, dict[str, Any]]) -> None:
    assert len(records) == len(models(DAY)) > 300
    assert len({name.casefold() for name in records}) == len(records)
    assert len({record["_id"] for record in records.values()}) == len(records)


def test_models_of_the_paper_are_there(records: dict[str, dict[str, Any]]) -> None:
    assert set(PAPER_MODELS.split()) <= set(records)


def test_every_parent_is_listed_or_known_to_be_missing(records: dict[str, dict[str, Any]]) -> None:
    named = {parent for record in records.values() for parent in parents(record)}
    assert named - set(records) == MISSING


def test_tags_name_the_parents_that_the_sample_holds(records: dict[str, dict[str, Any]]) -> None:
    for record in records.values():
        tagged = {name for _, name in relations(record)}
        assert tagged == set(parents(record)) - MISSING
        assert {f"base_model:{name}" for name in tagged} <= set(record["tags"])
        assert len({kind for kind, _ in relations(record)}) <= 1


def test_former_names_lead_to_models(records: dict[str, dict[str, Any]]) -> None:
    assert set(RENAMED.values()) <= set(records)
    assert not set(RENAMED) & set(records)
    cards = [str(record["cardData"].get("base_model")) for record in records.values()]
    assert any("meta-llama/Meta-Llama-3.1-8B" in card for card in cards)


def test_the_tour_has_what_it_shows(records: dict[str, dict[str, Any]]) -> None:
    line = ["mlabonne/NeuralPipe-7B-slerp", "mlabonne/NeuralHermes-2.5-Mistral-7B"]
    line += ["teknium/OpenHermes-2.5-Mistral-7B", "mistralai/Mistral-7B-v0.1"]
    for child, parent in pairwise(line):
        assert parent in parents(records[child])
    assert max(depth(records, name, frozenset({name})) for name in records) >= 4
    assert parents(records["tiiuae/Falcon3-3B-Instruct"]) == ["tiiuae/Falcon3-3B-Instruct"]
    assert records["meta-llama/Llama-2-7b-hf"]["gated"] == "manual"
    kinds = {kind for record in records.values() for kind, _ in relations(record)}
    assert kinds == {"finetune", "adapter", "merge", "quantized"}
    beagle = records["mlabonne/Beagle14-7B"]
    licences = {records[parent]["cardData"]["license"] for parent in parents(beagle)}
    assert len(licences) == 2


def test_merge_configurations_name_the_sources(records: dict[str, dict[str, Any]]) -> None:
    merged = [record for record in records.values() if "merge_config" in record["cardData"]]
    assert len(merged) == 7
    for record in merged:
        configuration = record["cardData"]["merge_config"]
        slices = configuration.get("slices", [{"sources": configuration.get("models", [])}])
        sources = {source["model"] for layers in slices for source in layers["sources"]}
        assert set(parents(record)) <= sources
        assert "mergekit" in record["tags"] or "dare" in record["tags"]


def test_records_are_the_hubs(records: dict[str, dict[str, Any]]) -> None:
    for name, record in records.items():
        found = ModelInfo(**record)  # type: ignore[no-untyped-call] # untyped there
        assert found.id == name
        assert found.created_at is not None
        assert found.last_modified is not None
        assert found.created_at <= found.last_modified
        assert found.last_modified.date() < DAY
        assert len(record["_id"]) == 24
        assert len(record["sha"]) == 40
        if found.safetensors is not None:
            assert found.safetensors.total == sum(found.safetensors.parameters.values())


def test_a_day_is_always_the_same(records: dict[str, dict[str, Any]]) -> None:
    assert models(DAY) == list(records.values())


def test_a_month_later_counters_have_grown_and_some_models_changed(
    records: dict[str, dict[str, Any]],
) -> None:
    later = {record["id"]: record for record in models(DAY + timedelta(days=31))}
    changed = 0
    for name, record in records.items():
        assert later[name]["downloadsAllTime"] > record["downloadsAllTime"]
        assert later[name]["likes"] >= record["likes"]
        assert later[name]["lastModified"] >= record["lastModified"]
        moved = later[name]["lastModified"] != record["lastModified"]
        assert moved == (later[name]["sha"] != record["sha"])
        changed += moved
    assert 20 < changed < 200
    assert sum(later[name]["likes"] > records[name]["likes"] for name in records) > 200


def test_early_days_hold_fewer_models() -> None:
    early = {record["id"] for record in models(date(2023, 10, 1))}
    assert "mistralai/Mistral-7B-v0.1" in early
    assert "HuggingFaceH4/zephyr-7b-beta" not in early


def test_the_client_lists_the_sample_and_follows_a_former_name() -> None:
    with HubServer(models(DAY), moved=RENAMED, page_limit=100) as hub:
        client = HfApi(endpoint=hub.url, token=False)
        finetunes = client.list_models(filter="base_model:finetune:mistralai/Mistral-7B-v0.1")
        assert "HuggingFaceH4/zephyr-7b-beta" in {found.id for found in finetunes}
        assert len(list(client.list_models())) == len(models(DAY))
        assert client.model_info("gpt2").id == "openai-community/gpt2"
