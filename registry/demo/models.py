"""Models of the sample Hub: well-known ones as published, with made-up counters.

Names, authors, parents, licences, sizes, days of creation (some to within days), languages, data
sets and papers are facts, and a field is left out where the fact is not known. A parent is stated
in the card also where the original states it in its text alone. Counters, hours, commits, ids and
days of modification are generated, fixed by name and day.
"""

import csv
import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

RENAMED: Mapping[str, str] = {
    "meta-llama/Meta-Llama-3.1-8B": "meta-llama/Llama-3.1-8B",
    "meta-llama/Meta-Llama-3.1-8B-Instruct": "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Meta-Llama-3.1-70B": "meta-llama/Llama-3.1-70B",
    "meta-llama/Meta-Llama-3.1-70B-Instruct": "meta-llama/Llama-3.1-70B-Instruct",
    "meta-llama/Meta-Llama-3.1-405B": "meta-llama/Llama-3.1-405B",
    "meta-llama/Meta-Llama-3.1-405B-Instruct": "meta-llama/Llama-3.1-405B-Instruct",
    "WizardLM/WizardLM-70B-V1.0": "WizardLMTeam/WizardLM-70B-V1.0",
    "WizardLM/WizardLM-13B-V1.2": "WizardLMTeam/WizardLM-13B-V1.2",
    "WizardLM/WizardMath-70B-V1.0": "WizardLMTeam/WizardMath-70B-V1.0",
    "WizardLM/WizardCoder-Python-34B-V1.0": "WizardLMTeam/WizardCoder-Python-34B-V1.0",
    "ehartford/dolphin-2.2.1-mistral-7b": "cognitivecomputations/dolphin-2.2.1-mistral-7b",
    "gpt2": "openai-community/gpt2",
    "bert-base-uncased": "google-bert/bert-base-uncased",
    "roberta-base": "FacebookAI/roberta-base",
    "distilbert-base-uncased": "distilbert/distilbert-base-uncased",
}
"""Former names to present ones; pass it to HubServer as `moved`."""

MISSING = frozenset(
    {
        "The-Face-Of-Goonery/Huginn-13b-FP16",
        "jeonsworld/CarbonVillain-en-10.7B-v1",
        "wenge-research/yayi2-30b",
    }
)
"""Parents that the sample does not hold: cards name them, tags do not, as on the Hub."""

_FORMATS = ("GGUF", "GPTQ", "AWQ")
_CHAT = ("chat", "instruct", "-it", "zephyr", "hermes", "vicuna", "dolphin", "starling", "tulu")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    model_type: str
    architecture: str
    parameters: int | None
    context: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """A row of models.tsv; `more` holds the rarer facts by key, lists joined with commas."""

    name: str
    shape: _Shape | None
    created: date
    license: str
    relation: str
    parents: tuple[str, ...]
    more: Mapping[str, str]

    def many(self, key: str) -> list[str]:
        """Return a fact that is a list, empty where it is not known."""
        return [value for value in self.more.get(key, "").split(",") if value]

    @property
    def packed(self) -> str | None:
        """The quantized format that the name states."""
        return next((kind for kind in _FORMATS if f"-{kind}" in self.name), None)

    @property
    def safetensors(self) -> bool:
        """Whether the weights' header, and with it their number, is known."""
        return self.more.get("params") != "no" and self.packed is None


def models(day: date) -> list[dict[str, Any]]:
    """Return the records that the Hub would list on `day`, by name; older ones have more likes."""
    rows = _rows()
    children = Counter(parent for row in rows for parent in row.parents)
    return [_record(row, day, children[row.name]) for row in rows if row.created < day]


@cache
def _rows() -> tuple[_Model, ...]:
    folder = files("registry.demo") / "data"
    with (folder / "shapes.tsv").open(encoding="utf-8") as table:
        shapes = {
            row["shape"]: _Shape(
                model_type=row["model_type"],
                architecture=row["architecture"],
                parameters=int(row["parameters"]) if row["parameters"] else None,
                context=int(row["context"]) if row["context"] else None,
            )
            for row in csv.DictReader(table, delimiter="\t", restval="")
        }
    with (folder / "models.tsv").open(encoding="utf-8") as table:
        return tuple(
            _Model(
                name=row["name"],
                shape=shapes[row["shape"]] if row["shape"] else None,
                created=date.fromisoformat(row["created"]),
                license=row["license"],
                relation=row["relation"],
                parents=tuple(filter(None, row["parents"].split(","))),
                more=dict(fact.split("=", 1) for fact in row["more"].split(";") if fact),
            )
            for row in csv.DictReader(table, delimiter="\t")
        )


@cache
def _merges() -> dict[str, dict[str, Any]]:
    text = (files("registry.demo") / "data" / "merges.yaml").read_text(encoding="utf-8")
    configurations: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return configurations


def _record(row: _Model, day: date, children: int) -> dict[str, Any]:
    drawn = hashlib.sha256(row.name.encode()).digest()
    library = "peft" if row.relation == "adapter" else row.more.get("library", "transformers")
    task = None if library == "peft" else row.more.get("task", "text-generation")
    created = _moment(row.created, drawn[0] * 337)
    modified = max(created, _last_change(row, day, drawn))
    sha = hashlib.sha1(f"{row.name} {modified}".encode(), usedforsecurity=False).hexdigest()
    return {
        "_id": f"{int(created.timestamp()):08x}{drawn[:8].hex()}",
        "id": row.name,
        "modelId": row.name,
        "author": row.name.partition("/")[0],
        "sha": sha,
        "createdAt": _stamp(created),
        "lastModified": _stamp(modified),
        "private": False,
        "gated": row.more.get("gated", False),
        "disabled": False,
        **_counters(row, day, children, drawn),
        "tags": _tags(row, library, task),
        **({"pipeline_tag": task} if task else {}),
        "library_name": library,
        "cardData": _card(row, library, task),
        **_weights(row),
        "siblings": [{"rfilename": name} for name in (".gitattributes", "README.md")],
    }


def _card(row: _Model, library: str, task: str | None) -> dict[str, Any]:
    stated = row.many("card") or list(row.parents)
    card = {
        "license": row.license,
        "license_name": row.more.get("license_name"),
        "language": row.many("lang"),
        "datasets": row.many("data"),
        "base_model": stated[0] if len(stated) == 1 else stated,
        "library_name": library,
        "pipeline_tag": task,
        "tags": row.many("tags"),
        "quantized_by": row.name.partition("/")[0] if row.packed else None,
        "merge_config": _merges().get(row.name),
    }
    return {field: value for field, value in card.items() if value}


def _tags(row: _Model, library: str, task: str | None) -> list[str]:
    weights = "gguf" if row.packed == "GGUF" else "safetensors"
    if not row.safetensors and row.packed is None:
        weights = "pytorch"
    tags = [library, weights]
    if row.shape and library == "transformers":
        tags.append(row.shape.model_type)
    tags += [*([task] if task else []), *row.many("tags")]
    if task == "text-generation" and any(word in row.name.lower() for word in _CHAT):
        tags.append("conversational")
    tags += row.many("lang")
    tags += [f"dataset:{name}" for name in row.many("data")]
    tags += [f"arxiv:{number}" for number in row.many("arxiv")]
    for parent in row.parents:
        if parent not in MISSING:
            tags += [f"base_model:{parent}", f"base_model:{row.relation}:{parent}"]
    tags += [f"license:{row.license}"] if row.license else []
    tags += ["text-generation-inference"] if task == "text-generation" else []
    tags += ["endpoints_compatible"] if library == "transformers" else []
    tags += ["4-bit", row.packed.lower()] if row.packed in {"GPTQ", "AWQ"} else []
    return list(dict.fromkeys([*tags, "region:us"]))


def _weights(row: _Model) -> dict[str, Any]:
    shape = row.shape
    if shape is None or row.relation == "adapter":
        return {}
    config: dict[str, Any] = {
        "architectures": [shape.architecture],
        "model_type": shape.model_type,
    }
    if row.packed in {"GPTQ", "AWQ"}:
        config["quantization_config"] = {"bits": 4, "quant_method": row.packed.lower()}
    weights_of: dict[str, Any] = {"config": config}
    if row.packed == "GGUF":
        gguf = {
            "total": shape.parameters,
            "architecture": "llama" if "mi" in shape.model_type[:2] else shape.model_type,
            "context_length": shape.context,
        }
        return {"gguf": {field: value for field, value in gguf.items() if value is not None}}
    if row.safetensors and shape.parameters:
        dtype = row.more.get("dtype", "BF16")
        weights = {"parameters": {dtype: shape.parameters}, "total": shape.parameters}
        weights_of["safetensors"] = weights
    return weights_of


def _counters(row: _Model, day: date, children: int, drawn: bytes) -> dict[str, int]:
    # Parents of many are downloaded more; the rest is drawn, from a few a day to thousands.
    rate = 2.0 * 1000 ** (drawn[1] / 255) * (1 + children)
    age = (day - row.created).days

    def total(days: int) -> int:
        weekly = 0.8 * math.sin(2 * math.pi * (days + drawn[2]) / 7)
        return max(0, int(rate * (days + 1 + weekly)))

    return {
        "downloads": total(age) - (total(age - 30) if age > 30 else 0),  # noqa: PLR2004 - a month
        "downloadsAllTime": total(age),
        "likes": int(math.sqrt(total(age)) * (0.2 + drawn[3] / 255)),
        "trendingScore": (day.toordinal() + drawn[4]) % 30 if drawn[5] < 32 else 0,  # noqa: PLR2004
    }


def _last_change(row: _Model, day: date, drawn: bytes) -> datetime:
    """Return the newest change up to `day`: most models rest, some change every month or so."""
    first = row.created + timedelta(days=drawn[6] % 60)
    if drawn[7] < 160 or first >= day:  # noqa: PLR2004
        return _moment(min(first, day - timedelta(days=1)), drawn[8] * 300)
    period = 20 + drawn[9] % 100
    latest = first + timedelta(days=(day - first).days // period * period)
    return _moment(min(latest, day - timedelta(days=1)), drawn[8] * 300)


def _moment(day: date, seconds: int) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=seconds)


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
