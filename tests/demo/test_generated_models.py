"""Generated models: the same for the same seed, and in the proportions of the Hub's."""

from collections import Counter, defaultdict
from itertools import islice
from typing import Any

import numpy as np
import orjson
import pytest
from generated_hub.models import GeneratedModels, generate
from generated_hub.naming import word
from huggingface_hub import ModelInfo

from registry.demo.draws import heavy, shares

COUNT = 20_000


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return list(generate(COUNT, seed=7))


@pytest.fixture(scope="module")
def edges(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(record["id"], parent) for record in records for parent in parents(record)]


def parents(record: dict[str, Any]) -> list[str]:
    stated = record["cardData"].get("base_model", [])
    return [stated] if isinstance(stated, str) else stated


def test_a_record_depends_on_its_number_and_the_seed(records: list[dict[str, Any]]) -> None:
    assert list(generate(30, seed=7, start=4_990)) == records[4_990:5_020]
    assert GeneratedModels(COUNT, seed=7).records(np.array([19_999, 3])) == [
        records[19_999],
        records[3],
    ]
    assert next(generate(1, seed=8)) != records[0]


def test_later_records_do_not_need_the_earlier_ones() -> None:
    assert next(generate(1, start=30_000_000))["id"].count("/") == 1


def test_generation_is_lazy() -> None:
    assert len(list(islice(generate(10**9), 5))) == 5


def test_names_and_ids_are_unique(records: list[dict[str, Any]]) -> None:
    assert len({record["id"].casefold() for record in records}) == COUNT
    assert len({record["_id"] for record in records}) == COUNT
    assert len({record["sha"] for record in records}) == COUNT
    assert max(len(record["id"]) for record in records) <= 96


def test_words_are_unique_at_each_length() -> None:
    for start in (0, (1 << 24) - 5_000, 1 << 24):
        assert len({word(number) for number in range(start, start + 10_000)}) == 10_000


def test_order_of_numbers_is_order_of_creation(records: list[dict[str, Any]]) -> None:
    stamps = [(record["createdAt"], record["_id"]) for record in records]
    assert stamps == sorted(stamps)
    assert all(record["createdAt"] <= record["lastModified"] for record in records)


def test_records_have_the_hubs_size(records: list[dict[str, Any]]) -> None:
    assert 1_800 < np.mean([len(orjson.dumps(record)) for record in records]) < 2_500


def test_records_are_the_hubs(records: list[dict[str, Any]]) -> None:
    for record in records[:2_000]:
        found = ModelInfo(**record)  # type: ignore[no-untyped-call] # untyped there
        assert found.author == found.id.partition("/")[0]
        assert found.tags is not None
        assert found.tags[-1] == "region:us"


def test_edges_per_model(edges: list[tuple[str, str]]) -> None:
    assert 0.55 < len(edges) / COUNT < 0.65


def test_tags_name_parents_as_the_cards_do(records: list[dict[str, Any]]) -> None:
    untagged = 0
    for record in records:
        tagged = [tag.split(":", 2)[2] for tag in record["tags"] if tag.count(":") == 2]
        assert tagged in (parents(record), [])
        untagged += tagged != parents(record)
    assert 0.005 < untagged / COUNT < 0.02


def test_relations_and_numbers_of_sources(records: list[dict[str, Any]]) -> None:
    kinds = Counter(tag.split(":")[1] for r in records for tag in r["tags"] if tag.count(":") == 2)
    assert set(kinds) == {"finetune", "adapter", "merge", "quantized"}
    sources = Counter(
        len(parents(r)) for r in records if "mergekit" in r["cardData"].get("tags", ())
    )
    assert set(sources) >= {2, 3, 4, 5, 6}


def test_parents_are_nearly_always_earlier_records(
    records: list[dict[str, Any]], edges: list[tuple[str, str]]
) -> None:
    place = {record["id"]: number for number, record in enumerate(records)}
    missing = sum(parent not in place for _, parent in edges)
    later = sum(place.get(parent, -1) > place[child] for child, parent in edges)
    itself = sum(child == parent for child, parent in edges)
    assert 0.005 < missing / len(edges) < 0.03
    assert 0 < later / len(edges) < 0.02
    assert 0 < itself < 20
    both = set(edges)
    assert any((parent, child) in both for child, parent in edges if child != parent)


def test_families(records: list[dict[str, Any]], edges: list[tuple[str, str]]) -> None:
    children = defaultdict(list)
    for child, parent in edges:
        if child != parent:
            children[parent].append(child)
    members = {record["id"] for record in records}
    size, deepest = 0, 0
    for root in members - {child for child, _ in edges}:
        seen, front, depth = {root}, [root], 0
        while front := [child for name in front for child in children[name] if child not in seen]:
            seen.update(front)
            depth += 1
        size, deepest = max(size, len(seen)), max(deepest, depth)
    assert 0.02 < size / COUNT < 0.06
    assert 6 <= deepest <= 10


def test_a_few_authors_and_tags_have_most(records: list[dict[str, Any]]) -> None:
    authors = Counter(record["author"] for record in records).most_common()
    assert len(authors) > COUNT / 10
    assert 0.01 < authors[0][1] / COUNT < 0.1
    tags = Counter(tag for record in records for tag in record["tags"])
    assert tags["region:us"] == COUNT
    assert sum(times == 1 for times in tags.values()) > len(tags) / 2
    small = Counter(tag for record in records[: COUNT // 10] for tag in record["tags"])
    assert len(tags) > 4 * len(small)


def test_tasks_downloads_and_gates(records: list[dict[str, Any]]) -> None:
    tasks = Counter(record.get("pipeline_tag") for record in records)
    assert tasks.most_common(1)[0][0] == "text-generation"
    assert len(tasks) > 35
    downloads = sorted(record["downloads"] for record in records)
    assert downloads[-1] > 10_000 * downloads[COUNT // 2]
    assert {record["gated"] for record in records} == {False, "auto", "manual"}
    assert any("gguf" in record for record in records)


@pytest.mark.parametrize("sort", ["createdAt", "lastModified", "downloads", "likes"])
def test_orders_agree_with_the_records(records: list[dict[str, Any]], sort: str) -> None:
    order = GeneratedModels(COUNT, seed=7).order(sort).tolist()
    keys = [(records[number][sort], -number) for number in order]
    assert keys == sorted(keys, reverse=True)


def test_shares_are_even_and_ranks_are_heavy() -> None:
    drawn = shares(np.arange(100_000), 1, 2)
    assert np.histogram(drawn, bins=10, range=(0, 1))[0] == pytest.approx(10_000, rel=0.05)
    ranks = heavy(drawn, 1000)
    assert ranks.min() == 0
    assert ranks.max() < 1000
    assert (ranks == 0).mean() == pytest.approx(np.log(2) / np.log(1000), rel=0.05)


@pytest.mark.benchmark
def test_speed(benchmark: Any) -> None:
    benchmark(lambda: list(generate(2_000)))
