"""Model records, parsed from raw records of the Hub without network or database.

An unreadable field does not keep the others from being read.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias

from registry.coerce import (
    MAX_LIST,
    MAX_TEXT,
    count,
    document,
    number,
    short_text,
    storable,
    timestamp,
)
from registry.hub.decode import Rejected
from registry.hub.digest import COUNTERS, Encoded
from registry.hub.fields import NOTHING, Fields, Object
from registry.hub.parameters import (
    ParametersSource,
    Weights,
    of_adapter,
    quantization,
    tagged_model_type,
    unpack,
)
from registry.hub.parents import (
    Parent,
    model_name,
    model_reference,
    read_parentage,
)

__all__ = [
    "Counters",
    "ModelRecord",
    "ParametersSource",
    "Parent",
    "counters",
    "name_of",
    "parse_record",
    "parse_records",
    "unread_counters",
]

_Tagged: TypeAlias = Mapping[str, list[str]]
"""Values of tags by the prefix before their colon."""

SEVERAL = "; "
"""Between the licences of a card that lists several."""

_PREFIXES = ("base_model", "license", "language", "dataset", "arxiv")
_ARXIV = re.compile(r"(\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})(?:v\d+)?", re.ASCII)

_LIBRARIES = frozenset(
    """adapter-transformers allennlp asteroid coreml ctranslate2 diffusers espnet fairseq fastai
    flair gguf gliner jax keras litert mlc-llm mlx nemo onnx open_clip openvino peft pyannote-audio
    sentence-transformers setfit spacy span-marker speechbrain stanza tensorrt timm transformers
    transformers.js vllm""".split()  # noqa: SIM905 - reads as what it is, a list of words
)

# ISO 639-1 codes of written languages that as a bare tag rarely mean anything else.
_LANGUAGES = frozenset(
    """af ar az be bg bn bs ca cs cy da de el en eo es et eu fa fi fr ga gl gu he hi hr hu hy it ja
    ka kk km kn ko ky lt lv mk mn mr ne nl pa pl pt ro ru sk sl sq sr sv sw ta te th tl tr uk ur uz
    vi zh""".split()  # noqa: SIM905 - as above
)


class ModelRecord(NamedTuple):
    """One model as one reply of the Hub describes it; a field is None (or empty) where unknown.

    `parameters` counts weights; `stored_parameters` and `dtypes` the numbers that hold them, of
    which packed formats have fewer. `card` and `config` are the
    raw JSON documents, as text that Postgres' jsonb accepts. `unread` names the fields of the
    reply that are present but cannot be read. `renames` pairs a parent's former name with its
    present one, where the record itself shows both. `evaluations` is the JSON of the Hub's
    evaluation results: an empty list where only the card has some, None where there are none.
    """

    name: str
    hub_id: str | None
    author: str | None
    sha: str | None
    created_at: datetime | None
    last_modified: datetime | None
    downloads: int | None
    downloads_all_time: int | None
    likes: int | None
    trending_score: float | None
    gated: Literal["auto", "manual"] | None
    private: bool
    disabled: bool
    pipeline_tag: str | None
    library: str | None
    license: str | None
    license_name: str | None
    license_link: str | None
    languages: tuple[str, ...]
    datasets: tuple[str, ...]
    arxiv: tuple[str, ...]
    tags: tuple[str, ...]
    architectures: tuple[str, ...]
    model_type: str | None
    parameters: int | None
    parameters_source: ParametersSource | None
    stored_parameters: int | None
    dtypes: Mapping[str, int]
    quantization: str | None
    new_version: str | None
    card: str | None
    config: str | None
    parents: tuple[Parent, ...]
    renames: tuple[tuple[str, str], ...]
    unread: tuple[str, ...]
    evaluations: str | None = None


class Counters(NamedTuple):
    """The numbers of a record that change without a change of the model."""

    downloads: int | None
    downloads_all_time: int | None
    likes: int | None
    trending_score: float | None


def name_of(raw: object) -> str | None:
    """Return the model's name in a raw record, None if it has no usable one."""
    if not isinstance(raw, dict):
        return None
    return model_name(raw.get("id")) or model_name(raw.get("modelId"))


def counters(raw: object) -> Counters:
    """Read the counters of a raw record; None for what is missing or unreadable."""
    if not isinstance(raw, dict):
        return Counters(None, None, None, None)
    return Counters(
        count(raw.get("downloads")),
        count(raw.get("downloadsAllTime")),
        count(raw.get("likes")),
        number(raw.get("trendingScore")),
    )


def unread_counters(raw: Object, read: Counters) -> tuple[str, ...]:
    """Return the names of the counters that are present but that `counters` could not read."""
    if None not in read:
        return ()
    return tuple(
        key
        for key, value in zip(COUNTERS, read, strict=True)
        if value is None and raw.get(key) not in (None, "")
    )


def parse_record(raw: object) -> ModelRecord | Rejected:
    """Read one record of the Hub's listing, or one reply of its detail endpoint.

    Never raises for any JSON. Only a record that is no object or has no usable name is rejected;
    any other unreadable field is left out and named in `unread`. A `Rejected`, which `decode_page`
    may put in a record's place, is returned as it is.
    """
    return parse_records([raw])[0]


def parse_records(
    raws: Sequence[object], encoded: Sequence[Encoded | None] | None = None
) -> list[ModelRecord | Rejected]:
    """Read records as `parse_record` does.

    Each field is read of all records before the next field: its code then stays in the processor's
    cache, which takes a sixth less time.

    Args:
        raws: the records.
        encoded: the result of `encode` for each, where there is one already.
    """
    names = list(map(name_of, raws))
    parsed = iter(
        _parsed(
            [name for name in names if name is not None],
            [
                raw
                for raw, name in zip(raws, names, strict=True)
                if name is not None and isinstance(raw, dict)
            ],
            [
                each
                for each, name in zip(
                    [None] * len(raws) if encoded is None else encoded, names, strict=True
                )
                if name is not None
            ],
        )
    )
    return [
        _rejected(raw) if name is None else next(parsed)
        for raw, name in zip(raws, names, strict=True)
    ]


def _rejected(raw: object) -> Rejected:
    if isinstance(raw, Rejected):
        return raw
    if not isinstance(raw, dict):
        return Rejected("", f"The record is of type {type(raw).__name__}, not an object.")
    keys = (raw.get(key) for key in ("id", "modelId", "_id"))
    seen = next((key for key in keys if isinstance(key, str) and key), "")
    return Rejected(storable(seen[:MAX_TEXT]), "The record has no id that could be a model's name.")


def _parsed(
    names: Sequence[str], raws: Sequence[Object], encoded: Sequence[Encoded | None]
) -> list[ModelRecord]:
    """Read the records of these names."""
    fields = Fields(raws)
    read, read_missing = fields.read, fields.read_missing
    raw_cards, raw_configs = read("cardData", _mapping), read("config", _mapping)
    cards = [_lower_keys(card) if card else NOTHING for card in raw_cards]
    configs = [config or NOTHING for config in raw_configs]
    ggufs = [gguf or NOTHING for gguf in read("gguf", _mapping)]
    tags = fields.tags()
    tagged = list(map(_by_prefix, tags))
    weights = fields.weights(names, ggufs)
    quantized_to = list(map(_quantization, names, configs, tags, ggufs, weights))
    weights = list(map(unpack, weights, names, quantized_to))
    libraries = read_missing(read("library_name", short_text), "library_name", short_text, cards)
    parentages = [
        read_parentage(
            groups["base_model"],
            card,
            adapter=library == "peft" or "peft" in model_tags,
            quantized=quantized is not None or _has_gguf(gguf, model_tags),
        )
        for groups, card, library, model_tags, quantized, gguf in zip(
            tagged, cards, libraries, tags, quantized_to, ggufs, strict=True
        )
    ]
    weights = [
        of_adapter(each, name, bases)
        if (bases := [one.name for one in stated.parents if one.relation == "adapter"])
        else each
        for each, name, stated in zip(weights, names, parentages, strict=True)
    ]
    columns: tuple[Iterable[object], ...] = (
        names,
        read("_id", short_text),
        map(_author, read("author", short_text), names),
        read("sha", short_text),
        read("createdAt", timestamp),
        read("lastModified", timestamp),
        read("downloads", count),
        read("downloadsAllTime", count),
        read("likes", count),
        read("trendingScore", number),
        fields.gates("gated"),
        fields.flags("private"),
        fields.flags("disabled"),
        read_missing(read("pipeline_tag", short_text), "pipeline_tag", short_text, cards),
        map(_library, libraries, tags),
        map(_else_tagged, read("license", _license, cards), [each["license"] for each in tagged]),
        map(_licenses, read("license_name", short_text, cards), cards),
        read("license_link", short_text, cards),
        map(_languages, fields.texts("language", cards), tagged, tags),
        map(_datasets, fields.texts("datasets", cards), tagged),
        [_papers(each["arxiv"]) for each in tagged],
        map(tuple, tags),
        map(tuple, fields.texts("architectures", configs)),
        map(
            _model_type,
            read_missing(
                read("model_type", short_text, configs), "architecture", short_text, ggufs
            ),
            tags,
        ),
        [each.parameters for each in weights],
        [each.source for each in weights],
        [each.stored for each in weights],
        [each.dtypes for each in weights],
        quantized_to,
        read("new_version", model_reference, cards),
        fields.documents("cardData", raw_cards, [each and each.card for each in encoded]),
        fields.documents("config", raw_configs, [each and each.config for each in encoded]),
        [each.parents for each in parentages],
        [each.renames for each in parentages],
        [
            _unique([*unread, *each.unread])
            for unread, each in zip(fields.unread, parentages, strict=True)
        ],
        [_evaluations(raw.get("evalResults"), card) for raw, card in zip(raws, cards, strict=True)],
    )
    return list(map(ModelRecord._make, zip(*columns, strict=True)))


def _author(stated: str | None, name: str) -> str | None:
    return stated or name.rpartition("/")[0] or None


def _has_gguf(gguf: Object, tags: Sequence[str]) -> bool:
    return bool(gguf) or "gguf" in tags


def _quantization(
    name: str, config: Object, tags: Sequence[str], gguf: Object, weights: Weights
) -> str | None:
    full = bool(weights.dtypes) or "safetensors" in tags or "pytorch" in tags
    return quantization(name, config, tags, gguf_only=not full and _has_gguf(gguf, tags))


def _library(stated: str | None, tags: Sequence[str]) -> str | None:
    if stated is not None or _LIBRARIES.isdisjoint(tags):
        return stated
    return next(tag for tag in tags if tag in _LIBRARIES)


def _else_tagged(stated: str | None, tagged: Sequence[str]) -> str | None:
    return stated or next(iter(tagged), None)


def _languages(stated: Sequence[str], tagged: _Tagged, tags: Sequence[str]) -> tuple[str, ...]:
    if stated:
        return _unique([text.lower() for text in stated])
    if tagged["language"] or _LANGUAGES.isdisjoint(tags):
        return tuple(tagged["language"])
    return tuple(tag for tag in tags if tag in _LANGUAGES)


def _datasets(stated: list[str], tagged: _Tagged) -> tuple[str, ...]:
    return _unique(stated + tagged["dataset"])


def _model_type(stated: str | None, tags: Sequence[str]) -> str | None:
    return stated or tagged_model_type(tags)


def _evaluations(results: object, card: Object) -> str | None:
    if isinstance(results, list) and results:
        return document(results)
    return "[]" if card.get("model-index") else None


def _mapping(value: object) -> Object | None:
    return value if isinstance(value, dict) else None


def _lower_keys(card: Object) -> Object:
    """Return `Base_model`, as some cards have it, as `base_model`, unless both are present."""
    joined = "".join(card)
    if joined == joined.lower():
        return card
    return {key.lower(): value for key, value in card.items()} | dict(card)


def _by_prefix(tags: Iterable[str]) -> _Tagged:
    """Group tags such as `license:mit` by the prefix before the colon."""
    groups: dict[str, list[str]] = {prefix: [] for prefix in _PREFIXES}
    for tag in tags:
        if ":" in tag:
            prefix, _, rest = tag.partition(":")
            if rest and prefix in groups:
                groups[prefix].append(rest)
    return groups


def _license(value: object) -> str | None:
    first = next(iter(value), None) if isinstance(value, list) else value
    text = short_text(first)
    return text.lower() if text else None


def _licenses(name: str | None, card: Object) -> str | None:
    """Return a licence's name; where a card lists several licences, all of them."""
    stated = card.get("license")
    if name is not None or not isinstance(stated, list):
        return name
    listed = dict.fromkeys(text.lower() for each in stated if (text := short_text(each)))
    return short_text(SEVERAL.join(listed)) if len(listed) > 1 else None


def _papers(tags: list[str]) -> tuple[str, ...]:
    return _unique([match[1] for tag in tags if (match := _ARXIV.fullmatch(tag))])


def _unique(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))[:MAX_LIST] if texts else ()
