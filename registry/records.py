"""What the registry knows of one model, as read from one record of the Hub; no network, no database."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Relation = Literal["finetune", "adapter", "merge", "quantized", "base_unknown"]
EdgeSource = Literal["tag", "card", "merge_config"]
ParametersSource = Literal["safetensors", "gguf", "name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """One model that another was made from.

    `position` is the place in the list it was read from (0 first); `confidence` lies in (0, 1].
    """

    name: str
    relation: Relation
    source: EdgeSource
    confidence: float
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """One model as one reply of the Hub describes it; a field is None (or empty) where unknown.

    `parameters` counts weights; `dtypes` counts them by data type. `card` and `config` are the
    raw JSON documents, as text that Postgres' jsonb accepts. `unread` names the fields of the
    reply that were there but could not be read. `renames` pairs a parent's former name with its
    present one, as far as the record itself tells.
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


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be read: why, and under which key it was seen ('' if it has none)."""

    key: str
    reason: str
