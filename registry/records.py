"""What the registry knows of one model, read from one record of the Hub.

No network, no database, and no record that stops the rest: whatever a field holds, the others
are still read.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias, TypeVar

import msgspec
import orjson

from registry.errors import HubError
from registry.fingerprints import Encoded
from registry.parentage import (
    EdgeSource,
    Parent,
    Relation,
    model_name,
    model_reference,
    read_parentage,
)
from registry.values import (
    MAX_DIGITS,
    MAX_LIST,
    MAX_TEXT,
    count,
    document,
    number,
    short_text,
    storable,
    texts,
    timestamp,
)
from registry.values import tags as read_tags
from registry.weights import (
    ParametersSource,
    Weights,
    quantization,
    read_weights,
    tagged_model_type,
)

__all__ = [
    "Counters",
    "EdgeSource",
    "ModelRecord",
    "ParametersSource",
    "Parent",
    "Rejected",
    "Relation",
    "counters",
    "decode_page",
    "decode_parts",
    "name_of",
    "parse_record",
    "parse_records",
]

_T = TypeVar("_T")

_Object: TypeAlias = Mapping[str, object]
_Tagged: TypeAlias = Mapping[str, list[str]]
"""What tags say, by what stands before their colon."""

_NOTHING: _Object = {}

_PREFIXES = ("base_model", "license", "language", "dataset", "arxiv")
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{},]', re.DOTALL)
_ID = re.compile(r'"id"\s*:\s*"([^"\\]{1,255})"')
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


PART = 40
"""Records that are decoded at once: what is made of them takes less than the cache of a core."""

_SPLITTER = msgspec.json.Decoder(list[msgspec.Raw])


class ModelRecord(NamedTuple):
    """One model as one reply of the Hub describes it; a field is None (or empty) where unknown.

    `parameters` counts weights; `dtypes` counts them by data type. `card` and `config` are the
    raw JSON documents, as text that Postgres' jsonb accepts. `unread` names the fields of the
    reply that were there but could not be read. `renames` pairs a parent's former name with its
    present one, as far as the record itself tells. `evaluations` is the JSON of the Hub's
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
    dtypes: Mapping[str, int]
    quantization: str | None
    new_version: str | None
    card: str | None
    config: str | None
    parents: tuple[Parent, ...]
    renames: tuple[tuple[str, str], ...]
    unread: tuple[str, ...]
    evaluations: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be read: why, and under which key it was seen ('' if it has none)."""

    key: str
    reason: str


def decode_page(body: bytes) -> list[object]:
    """Decode one page of the listing into its raw records.

    Also reads what strict parsers refuse but Python's writes: NaN, infinities and lone
    surrogates; bytes that are no UTF-8 become U+FFFD. A record nested too deeply to decode
    becomes a `Rejected` in its place, so that it cannot hold up the page. Raises `HubError` if
    the body is not JSON or not a list.
    """
    try:
        page = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.decode(errors="replace")
        try:
            page = _loads(text)
        except RecursionError:
            page = [_decode_alone(element) for element in _elements(text)]
        except ValueError as error:
            raise HubError(f"The reply is not JSON ({error}); it begins {text[:80]!r}.") from error
    if isinstance(page, list):
        return page
    if isinstance(page, dict) and "error" in page:
        raise HubError(f"The Hub answered with an error: {str(page['error'])[:500]}.")
    raise HubError(f"The reply should be a list of records but is of type {type(page).__name__}.")


def decode_parts(body: bytes) -> Iterator[list[object]]:
    """Decode one page as `decode_page`, PART records at a time.

    What is to be made of some is then made before the next ones take their place in the
    processor's cache.
    """
    try:
        raws = _SPLITTER.decode(body)
    except (msgspec.DecodeError, RecursionError):
        yield decode_page(body)
        return
    for start in range(0, len(raws), PART):
        yield decode_page(b"[" + b",".join(raws[start : start + PART]) + b"]")


def _loads(text: str) -> object:
    # Python refuses to read integers of more than 4,300 digits; as floats they are infinite.
    return json.loads(
        text, parse_int=lambda digits: (int if len(digits) <= MAX_DIGITS else float)(digits)
    )


def _elements(text: str) -> Iterator[str]:
    """Split the text of a JSON list into the texts of its elements, without recursion."""
    depth = start = 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "[{":
            depth += 1
            if depth == 1:
                start = token.end()
        elif mark in "]}":
            depth -= 1
        if (depth == 1 and mark == ",") or (depth == 0 and mark in "]}"):
            yield text[start : token.start()]
            start = token.end()


def _decode_alone(text: str) -> object:
    try:
        return _loads(text)
    except RecursionError:
        key = _ID.search(text)
        return Rejected(key[1] if key else "", "The record is nested too deeply to be read.")
    except ValueError as error:
        raise HubError(f"The reply is not JSON ({error}).") from error


class Counters(NamedTuple):
    """The numbers of a record that move without the model having changed."""

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


def parse_record(raw: object) -> ModelRecord | Rejected:
    """Read one record of the Hub's listing, or one reply of its detail endpoint.

    Never raises, whatever JSON it is given. Rejected is only what is no object or has no usable
    name; any other field that cannot be read is left out and named in `unread`. A `Rejected`, as
    `decode_page` may put in a record's place, is passed on.
    """
    return parse_records([raw])[0]


def parse_records(
    raws: Sequence[object], encoded: Sequence[Encoded | None] | None = None
) -> list[ModelRecord | Rejected]:
    """Read records as `parse_record` does.

    Field by field, each of all records before the next: the processor then has its code at hand,
    and they take a sixth less time.

    Args:
        raws: the records.
        encoded: what `encode` makes of each, where that is known.
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
    names: Sequence[str], raws: Sequence[_Object], encoded: Sequence[Encoded | None]
) -> list[ModelRecord]:
    """Read the records of these names."""
    fields = _Fields(raws)
    take, else_take = fields.take, fields.else_take
    raw_cards, raw_configs = take("cardData", _mapping), take("config", _mapping)
    cards = [_lower_keys(card) if card else _NOTHING for card in raw_cards]
    configs = [config or _NOTHING for config in raw_configs]
    ggufs = [gguf or _NOTHING for gguf in take("gguf", _mapping)]
    tags = fields.tags()
    tagged = list(map(_by_prefix, tags))
    weights = fields.weights(names, ggufs)
    quantized_to = list(map(_quantization, names, configs, tags, ggufs, weights))
    libraries = else_take(take("library_name", short_text), "library_name", short_text, cards)
    parentages = [
        read_parentage(
            groups["base_model"],
            card,
            adapter=library == "peft" or "peft" in some,
            quantized=quantized is not None or _has_gguf(gguf, some),
        )
        for groups, card, library, some, quantized, gguf in zip(
            tagged, cards, libraries, tags, quantized_to, ggufs, strict=True
        )
    ]
    columns: tuple[Iterable[object], ...] = (
        names,
        take("_id", short_text),
        map(_author, take("author", short_text), names),
        take("sha", short_text),
        take("createdAt", timestamp),
        take("lastModified", timestamp),
        take("downloads", count),
        take("downloadsAllTime", count),
        take("likes", count),
        take("trendingScore", number),
        fields.gates("gated"),
        fields.flags("private"),
        fields.flags("disabled"),
        else_take(take("pipeline_tag", short_text), "pipeline_tag", short_text, cards),
        map(_library, libraries, tags),
        map(_else_tagged, take("license", _license, cards), [each["license"] for each in tagged]),
        take("license_name", short_text, cards),
        take("license_link", short_text, cards),
        map(_languages, fields.texts("language", cards), tagged, tags),
        map(_datasets, fields.texts("datasets", cards), tagged),
        [_papers(each["arxiv"]) for each in tagged],
        map(tuple, tags),
        map(tuple, fields.texts("architectures", configs)),
        map(
            _model_type,
            else_take(take("model_type", short_text, configs), "architecture", short_text, ggufs),
            tags,
        ),
        [each.parameters for each in weights],
        [each.source for each in weights],
        [each.dtypes for each in weights],
        quantized_to,
        take("new_version", model_reference, cards),
        fields.keep("cardData", raw_cards, [each and each.card for each in encoded]),
        fields.keep("config", raw_configs, [each and each.config for each in encoded]),
        [each.parents for each in parentages],
        [each.renames for each in parentages],
        [
            _unique([*unread, *each.unread])
            for unread, each in zip(fields.unread, parentages, strict=True)
        ],
        [_evaluations(raw.get("evalResults"), card) for raw, card in zip(raws, cards, strict=True)],
    )
    return list(map(ModelRecord._make, zip(*columns, strict=True)))


class _Fields:
    """The fields of raw records, one of all of them at a time.

    Gathers the names of those that cannot be read, for each record.
    """

    __slots__ = ("raws", "unread")

    def __init__(self, raws: Sequence[_Object]) -> None:
        self.raws = raws
        self.unread: list[list[str]] = [[] for _ in raws]

    def note(self, key: str, lost: Iterable[bool]) -> None:
        """Take note of the records that a field cannot be read of."""
        for unread, is_lost in zip(self.unread, lost, strict=True):
            if is_lost:
                unread.append(key)

    def take(
        self,
        key: str,
        read: Callable[[object], _T | None],
        sources: Sequence[_Object] | None = None,
    ) -> list[_T | None]:
        """Read one field of the records, or of `sources`; None is missing, not unreadable."""
        found: list[_T | None] = []
        for source, unread in zip(
            self.raws if sources is None else sources, self.unread, strict=True
        ):
            value = source.get(key)
            if value is None:
                found.append(None)
                continue
            result = read(value)
            if result is None and value != "":
                unread.append(key)
            found.append(result)
        return found

    def else_take(
        self,
        found: Sequence[_T | None],
        key: str,
        read: Callable[[object], _T | None],
        sources: Sequence[_Object],
    ) -> list[_T | None]:
        """Read a field of `sources` for the records of which nothing was found elsewhere."""
        asked = [
            source if value is None else _NOTHING
            for value, source in zip(found, sources, strict=True)
        ]
        return [
            value if other is None else other
            for value, other in zip(found, self.take(key, read, asked), strict=True)
        ]

    def texts(self, key: str, sources: Sequence[_Object]) -> list[list[str]]:
        return self._lists(key, sources, texts)

    def tags(self) -> list[list[str]]:
        return self._lists("tags", self.raws, read_tags)

    def _lists(
        self,
        key: str,
        sources: Sequence[_Object],
        read: Callable[[object], tuple[list[str], bool]],
    ) -> list[list[str]]:
        found: list[list[str]] = []
        for source, unread in zip(sources, self.unread, strict=True):
            value = source.get(key)
            if value is None:
                found.append([])
                continue
            kept, partial = read(value)
            if partial:
                unread.append(key)
            found.append(kept)
        return found

    def flags(self, key: str) -> list[bool]:
        values = [raw.get(key) for raw in self.raws]
        self.note(key, [value is not None and not isinstance(value, bool) for value in values])
        return [value is True for value in values]

    def gates(self, key: str) -> list[Literal["auto", "manual"] | None]:
        values = [raw.get(key) for raw in self.raws]
        found = list(map(_gate, values))
        self.note(
            key,
            [
                gate is None and value is not None and value is not False
                for value, gate in zip(values, found, strict=True)
            ],
        )
        return found

    def weights(self, names: Sequence[str], ggufs: Sequence[_Object]) -> list[Weights]:
        headers = [raw.get("safetensors") for raw in self.raws]
        found = list(map(read_weights, names, headers, ggufs))
        self.note("safetensors", [not each.complete for each in found])
        return found

    def keep(
        self,
        key: str,
        values: Sequence[_Object | None],
        encoded: Sequence[bytes | None],
    ) -> list[str | None]:
        found = [
            None if value is None else document(value, known)
            for value, known in zip(values, encoded, strict=True)
        ]
        self.note(
            key,
            [value is not None and text is None for value, text in zip(values, found, strict=True)],
        )
        return found


def _author(stated: str | None, name: str) -> str | None:
    return stated or name.rpartition("/")[0] or None


def _gate(value: object) -> Literal["auto", "manual"] | None:
    if value is True or value == "auto":
        return "auto"
    return "manual" if value == "manual" else None


def _has_gguf(gguf: _Object, tags: Sequence[str]) -> bool:
    return bool(gguf) or "gguf" in tags


def _quantization(
    name: str, config: _Object, tags: Sequence[str], gguf: _Object, weights: Weights
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


def _evaluations(results: object, card: _Object) -> str | None:
    if isinstance(results, list) and results:
        return document(results)
    return "[]" if card.get("model-index") else None


def _mapping(value: object) -> _Object | None:
    return value if isinstance(value, dict) else None


def _lower_keys(card: _Object) -> _Object:
    """Let `Base_model` stand for `base_model`, as some cards have it, unless both are there."""
    joined = "".join(card)
    if joined == joined.lower():
        return card
    return {key.lower(): value for key, value in card.items()} | dict(card)


def _by_prefix(tags: Iterable[str]) -> _Tagged:
    """Group tags such as `license:mit` by what stands before the colon."""
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


def _papers(tags: list[str]) -> tuple[str, ...]:
    return _unique([match[1] for tag in tags if (match := _ARXIV.fullmatch(tag))])


def _unique(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))[:MAX_LIST] if texts else ()
