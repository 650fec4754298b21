"""Generated models, in the shape, size and proportions of the Hub's."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from generated_hub.naming import Families, author_name, word
from generated_hub.vocabulary import BOARD, EVALUATIONS, LANGUAGES, QUANTIZATIONS, TEMPLATE, TOPICS
from registry.demo.draws import ADAPTER, FINETUNE, MERGE, QUANTIZED, Numbers, descend, heavy, shares

_BATCH = 2000
_OPENING = 1_646_263_744  # 2022-03-02T23:29:04Z, before which the Hub states no date
_SPACING = 12
_SHA_STEP = 0x9E3779B97F4A7C15F39CC0605CEDC8341082276B
_RELATIONS = {FINETUNE: "finetune", ADAPTER: "adapter", QUANTIZED: "quantized", MERGE: "merge"}
_DTYPES = ("BF16", "BF16", "BF16", "F16", "F32")
_GGUF = {
    "context_length": 32_768,
    "chat_template": TEMPLATE,
    "bos_token": "<s>",
    "eos_token": "</s>",
}
_TOKENIZER = {
    "bos_token": "<s>",
    "chat_template": TEMPLATE,
    "eos_token": "</s>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "use_default_system_prompt": False,
}
# Shares of the models that are or state something.
_GATED, _RELATED, _EVALUATED, _USUAL, _CONFIGURED, _HOT = 0.015, 0.05, 0.28, 0.6, 0.85, 0.01


def generate(count: int, *, seed: int = 0, start: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the generated models `start` to `start + count - 1`, oldest first.

    A record depends on its number and the seed alone. Per 1,000,000 models there are about
    600,000 edges; the largest family holds about 3% of the models; generations go to 8. Parents
    are nearly always earlier records; some are later, some are missing from the Hub, a few models
    name themselves or each other.
    """
    for first in range(start, start + count, _BATCH):
        yield from _render(np.arange(first, min(first + _BATCH, start + count)), seed)


class GeneratedModels:
    """`count` generated models as prepared pages need them: by number, in any order."""

    def __init__(self, count: int, *, seed: int = 0) -> None:
        self._count, self._seed = count, seed

    def order(self, sort: str) -> Numbers:
        """Return all numbers by `sort`, largest first; ties (and `_id`) follow the number."""
        numbers = np.arange(self._count)
        if sort == "createdAt":
            return numbers[::-1]
        if sort == "lastModified":
            key = _modified(numbers, self._seed)
        else:
            downloads, likes, trending = _counters(numbers, self._seed)
            key = {"downloads": downloads, "likes": likes, "trendingScore": trending}[sort]
        return np.argsort(-key, kind="stable")

    def records(self, numbers: Numbers) -> list[dict[str, Any]]:
        """Return the models of these numbers."""
        return _render(numbers, self._seed)


def _created(numbers: Numbers, seed: int) -> Numbers:
    jitter = np.floor(shares(numbers, seed, 10) * _SPACING).astype(np.int64)
    return _OPENING + numbers * _SPACING + jitter


def _modified(numbers: Numbers, seed: int) -> Numbers:
    return _created(numbers, seed) + heavy(shares(numbers, seed, 11), 300 * 86_400)


def _counters(numbers: Numbers, seed: int) -> tuple[Numbers, Numbers, Numbers]:
    tail = np.power(1 - shares(numbers, seed, 12), -1.15)
    downloads = np.minimum(6 * tail - 4, 2e8).astype(np.int64)
    likes = (np.power(downloads, 0.55) * shares(numbers, seed, 13) ** 4).astype(np.int64)
    hot = shares(numbers, seed, 14) < _HOT
    return downloads, likes, np.where(hot, 1 + likes % 40, 0)


class _Row(NamedTuple):
    """One model to write out: what was drawn for it, and what it descends from."""

    number: int
    created: str
    modified: str
    root: int
    made: int
    sources: list[int]
    missing: bool
    downloads: int
    likes: int
    trending: int
    draws: list[float]
    topics: list[int]
    papers: list[int]
    datasets: list[int]


def _render(numbers: Numbers, seed: int) -> list[dict[str, Any]]:
    descent = descend(numbers, seed)
    named = np.unique(np.concatenate([numbers, descent.sources[descent.sources >= 0]]))
    families = Families(named, descent.root, seed)
    rows = zip(
        numbers.tolist(),
        _stamps(_created(numbers, seed)),
        _stamps(_modified(numbers, seed)),
        descent.root.tolist(),
        descent.kind.tolist(),
        descent.sources.tolist(),
        descent.missing.tolist(),
        *(column.tolist() for column in _counters(numbers, seed)),
        np.stack([shares(numbers, seed, 30 + at) for at in range(10)], axis=1).tolist(),
        _ranks(numbers, seed, 50, 5, 60 + numbers // 3),
        _ranks(numbers, seed, 60, 2, 30 + numbers // 40),
        _ranks(numbers, seed, 65, 2, 40 + numbers // 12),
        strict=True,
    )
    return [_record(families, _Row(*row)) for row in rows]


def _record(families: Families, row: _Row) -> dict[str, Any]:
    number, draws = row.number, row.draws
    kind, size, shape, _ = families.of(row.root)
    model_type, _, architecture = shape.partition(":")
    name = families.name(number, row.root)
    library = "peft" if row.made == ADAPTER else kind.library
    gguf = row.made == QUANTIZED and QUANTIZATIONS[number % len(QUANTIZATIONS)].endswith("GGUF")
    card = _card(families, row, name, library)
    record: dict[str, Any] = {
        "_id": f"{_OPENING + number * _SPACING:08x}{number:016x}",
        "id": name,
        "modelId": name,
        "author": name.partition("/")[0],
        "sha": f"{(number + 1) * _SHA_STEP % 2**160:040x}",
        "createdAt": row.created,
        "lastModified": row.modified,
        "private": False,
        "gated": ("auto", "manual")[number & 1] if draws[9] < _GATED else False,
        "disabled": False,
        "downloads": row.downloads,
        "downloadsAllTime": int(row.downloads * (4 + 40 * draws[9])),
        "likes": row.likes,
        "trendingScore": row.trending,
        "tags": _tags(
            row, card, (library, "gguf" if gguf else "safetensors", model_type), kind.task
        ),
        "library_name": library,
        "cardData": card,
    }
    if kind.task:
        record["pipeline_tag"] = kind.task
    if gguf:
        record["gguf"] = {"total": size, "architecture": model_type, **_GGUF}
    elif size:
        weights = size // 50 if row.made == ADAPTER else size
        dtype = _DTYPES[int(draws[8] * len(_DTYPES))]
        record["safetensors"] = {"parameters": {dtype: weights}, "total": weights}
    if shape and draws[5] < _CONFIGURED:
        record["config"] = {
            "architectures": [architecture],
            "model_type": model_type,
            "tokenizer_config": _TOKENIZER,
        }
    return record


def _card(families: Families, row: _Row, name: str, library: str) -> dict[str, Any]:
    draws, (kind, _, _, license_name) = row.draws, families.of(row.root)
    parents = [families.name(source, row.root) for source in row.sources if source >= 0]
    if row.missing:
        parents = [f"{author_name(row.number)}/{word(row.root).title()}"]
    topics = ["mergekit", "merge"] if row.made == MERGE else []
    topics += [
        TOPICS[rank] if rank < len(TOPICS) else word(rank)
        for rank in row.topics[: int(draws[0] * 6.5)]
    ]
    datasets = [
        f"{author_name(rank // 3)}/{word(rank)}" for rank in row.datasets[: int(draws[2] * 2.7)]
    ]
    card = {
        "license": license_name,
        "language": _languages(draws[3]),
        "base_model": parents if row.made in {MERGE, QUANTIZED} else parents and parents[0],
        "base_model_relation": _RELATIONS.get(row.made) if draws[4] < _RELATED else None,
        "datasets": datasets,
        "library_name": library if draws[4] < _USUAL else None,
        "pipeline_tag": kind.task if draws[5] < _USUAL else None,
        "tags": list(dict.fromkeys(topics)),
        "model-index": _evaluations(name, draws[6]) if draws[7] < _EVALUATED else None,
    }
    return {field: value for field, value in card.items() if value}


def _tags(
    row: _Row, card: dict[str, Any], beginning: tuple[str, ...], task: str | None
) -> list[str]:
    tags = [tag for tag in (*beginning, task) if tag]
    tags += card.get("tags", ())
    tags += card.get("language", ())
    tags += [f"dataset:{name}" for name in card.get("datasets", ())]
    tags += [
        f"arxiv:{17 + rank % 9}{1 + rank % 12:02}.{(rank * 7919 + 311) % 19000:05}"
        for rank in row.papers[: int(row.draws[1] * 2.6)]
    ]
    parents = card.get("base_model", ())
    # The Hub makes no tag of a parent that it does not hold.
    for parent in () if row.missing else [parents] if isinstance(parents, str) else parents:
        tags += (f"base_model:{parent}", f"base_model:{_RELATIONS[row.made]}:{parent}")
    if "license" in card:
        tags.append(f"license:{card['license']}")
    if "model-index" in card:
        tags.append("model-index")
    if task == "text-generation" and row.draws[5] < _CONFIGURED:
        tags += ("conversational", "text-generation-inference")
    if row.draws[8] < _CONFIGURED:
        tags.append("endpoints_compatible")
    tags.append("region:us")
    return tags


def _languages(share: float) -> list[str]:
    """Return no language for half of the models, English for most others, a few have many."""
    none, english = 0.5, 0.8
    if share < none:
        return []
    if share < english:
        return ["en"]
    spread = (share - english) / (1 - english)
    if spread < none:
        return LANGUAGES[: 2 + int(24 * (spread * 17 % 1) ** 3)]
    return [LANGUAGES[int(len(LANGUAGES) ** (spread * 2 - 1))]]


def _evaluations(name: str, share: float) -> list[dict[str, Any]]:
    results = []
    for at, (title, dataset, metric, shots) in enumerate(EVALUATIONS):
        share = share * 7.31 % 1
        results.append(
            {
                "task": {"type": "text-generation", "name": "Text Generation"},
                "dataset": {
                    "name": title,
                    "type": dataset,
                    "split": "test",
                    "args": {"num_few_shot": shots},
                },
                "metrics": [
                    {
                        "type": metric,
                        "value": round(share * (80 - 9 * at), 2),
                        "name": metric.replace("_", " "),
                    }
                ],
                "source": {"url": f"{BOARD}{name}", "name": "Open LLM Leaderboard"},
            }
        )
    return [{"name": name.partition("/")[2], "results": results}]


def _ranks(
    numbers: Numbers, seed: int, column: int, width: int, vocabulary: Numbers
) -> list[list[int]]:
    ranks = [heavy(shares(numbers, seed, column + at), vocabulary) for at in range(width)]
    rows: list[list[int]] = np.stack(ranks, axis=1).tolist()
    return rows


def _stamps(seconds: Numbers) -> list[str]:
    return [f"{stamp}.000Z" for stamp in seconds.astype("datetime64[s]").astype(str).tolist()]
