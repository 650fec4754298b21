"""Parents of a model, from the tags and the card of its record.

The Hub derives its `base_model:` tags from the card: it follows renames, sorts, and leaves out
what is deleted or private. So a tag is the better source, and a card's entry without a tag is
either a tagged parent under a former name or a parent that the Hub no longer shows.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from registry.coerce import MAX_TEXT, short_text, texts
from registry.enums import Relation
from registry.hub.mergekit import merged_models

# Plain strings, which are sent between processes as they are.
_RELATIONS = {relation.value: relation.value for relation in Relation}

_STATED = 0.9  # the card names the relation, or a merge configuration the model
_INFERRED = 0.6  # the relation follows from what the model is
_UNKNOWN = 0.4  # the card names a relation that is none of the Hub's
_AMBIGUOUS = 0.3  # the parent may be one of the tagged ones, under a former name

_NAME = re.compile(r"(?!\.{1,2}(?:/|$))[\w.-]+(?:/(?!\.{1,2}$)[\w.-]+)?", re.ASCII)
_URL = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/"
    r"(?!(?:datasets|spaces|collections|papers|blog|docs)/)([\w.-]+/[\w.-]+)(?:[/?#].*)?",
    re.ASCII,
)


_CACHED = re.compile(
    r"(?:.*/)?models--([\w.-]+?)(?:--([\w.-]+?))?(?:/snapshots/([\w.-]+)(?:/.*)?|/.*|)", re.ASCII
)

# What trainers write to the card of a model that was made from a folder: the Hub tags no such name.
_FOLDER = re.compile(
    r"(?:out|outputs?|results?|checkpoints?|ckpts?|runs?|saves?|saved|saved_models?|models?|merged"
    r"|base_models?|pretrained|pretrained_models?|finetuned?|finetuned_models?|weights|experiments?"
    r"|exps?|logs|artifacts|trained|train|training|data|cache|autodl-tmp|kaggle|downloads?"
    r"|tmp|workspace|content|mnt|home|root|local|local_models?|drive)/.*"
    r"|.*/(?:checkpoint|ckpt|global_step)[-_]?\d+|.*/(?:outputs?|results?|checkpoints?|ckpts?)",
    re.ASCII | re.IGNORECASE,
)

_NOTHING = frozenset({"none", "null", "nan", "n/a", "na", "unknown", "undefined", "tbd", "-", "--"})
"""What stands where a model's name would, in lower case, if there is none."""


class CachedName(NamedTuple):
    """The model that a folder of the Hub's local cache holds, and the revision, where known."""

    name: str
    revision: str | None


def cached_name(path: str) -> CachedName | None:
    """Read a path such as `~/.cache/huggingface/hub/models--org--name/snapshots/HASH`."""
    match = _CACHED.fullmatch(path)
    if match is None:
        return None
    name = f"{match[1]}/{match[2]}" if match[2] else match[1]
    return CachedName(name, match[3])


class Parent(NamedTuple):
    """A model that another one was made from.

    `relation` is of `enums.Relation`, `source` of `enums.EdgeSource`; `position` is the place in
    the list it was read from (0 first); `confidence` lies in (0, 1].
    """

    name: str
    relation: str
    source: str
    confidence: float
    position: int


class Parentage(NamedTuple):
    """A model's parents, the (former, present) names among them, and the unreadable fields."""

    parents: tuple[Parent, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()
    unread: tuple[str, ...] = ()


_NO_PARENTAGE = Parentage()


def model_name(value: object) -> str | None:
    """Return `value` if it can name a repository: `org/name` or `name`, at most 255 characters.

    Spaces, control characters, empty parts, paths and URLs are rejected; letters of any script
    are accepted, for the Hub's own rule may change.
    """
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        return None
    if _NAME.fullmatch(value):
        return value
    parts = value.split("/")
    foreign = (
        value.isprintable()
        and not value.isascii()
        and "\ufffd" not in value  # stands for bytes that are no text
        and len(parts) <= 2  # noqa: PLR2004 - an organisation and a name
        and {"", ".", ".."}.isdisjoint(parts)
        and {*" :\\?#%~"}.isdisjoint(value)
    )
    return value if foreign else None


def model_reference(value: object) -> str | None:
    """Return the model that a card names by its id, a link to the Hub or a path of its local cache.

    Any other path, such as `outputs/checkpoint-500`, names none.
    """
    text = short_text(value)
    if text is None:
        return None
    if cached := cached_name(text):
        return cached.name
    link = _URL.fullmatch(text)
    name = link[1].removesuffix(".git") if link else text.rstrip("/")
    if name.lower() in _NOTHING:
        return None
    return name if _NAME.fullmatch(name) and not _FOLDER.fullmatch(name) else None


def read_parentage(
    tags: Sequence[str], card: Mapping[str, object], *, adapter: bool, quantized: bool
) -> Parentage:
    """Read the parents of one model.

    `tags` are its `base_model:` tags without that prefix. `adapter` and `quantized` describe the
    model's weights; a relation that is not stated is inferred from them, else it is a merge
    if the card lists several parents, else a finetune.

    A tag gives an edge of confidence 1, of relation base_unknown if it has none. An entry of the
    card whose parent has a tag adds nothing. Any other entry is compared with the tags that no
    entry matches: the same name in another case, the same name under another organisation, or
    the only one left on both sides is a rename; the rest are edges of lower confidence. A merge
    configuration adds edges of relation merge. `base_unknown` is dropped beside a known
    relation of the same parent.
    """
    merged = merged_models(card)
    if not tags and not merged and "base_model" not in card:
        return _NO_PARENTAGE
    parents, complete = _tagged(tags)
    unread = [] if complete else ["tags"]
    present = {parent.name: parent.name for parent in parents}
    listed, complete = _listed(card.get("base_model"), present)
    renames, unmatched, ambiguous = _compare(listed, present)

    relation, confidence = _card_relation(card)
    if confidence == _UNKNOWN:
        unread.append("base_model_relation")
    if relation is None:
        inferred = "merge" if merged or len(listed) > 1 else "finetune"
        relation = "adapter" if adapter else "quantized" if quantized else inferred
    for name in unmatched:
        if "/" in name:
            certainty = _AMBIGUOUS if ambiguous else confidence
            parents.append(Parent(name, relation, "card", certainty, listed.index(name)))
        else:  # the Hub would have tagged a model's name
            complete = False
    if not complete:
        unread.append("base_model")

    if merged:
        present |= {name.lower(): name for name in present} | dict(renames)
        for position, name in enumerate(merged):
            name_now = present.get(name) or present.get(name.lower(), name)
            parents.append(Parent(name_now, "merge", "merge_config", _STATED, position))
    return Parentage(_distinct(parents), tuple(renames), tuple(unread))


def _tagged(tags: Sequence[str]) -> tuple[list[Parent], bool]:
    """Read the parents that the Hub tagged, and whether all of the tags could be read.

    The Hub tags each parent twice, with the relation and without it; the second adds nothing.
    """
    parents: list[Parent] = []
    complete = True
    if not tags:
        return parents, complete
    typed = [tag.partition(":") for tag in tags if ":" in tag]
    names = {name for _, _, name in typed}
    bare = [("", "", tag) for tag in tags if ":" not in tag and tag not in names]
    for position, (kind, _, name) in enumerate(typed + bare):
        if model_name(name):
            relation = _RELATIONS.get(kind, "base_unknown")
            parents.append(Parent(name, relation, "tag", 1.0, position))
        else:
            complete = False
    return parents, complete


def _listed(value: object, present: Collection[str]) -> tuple[list[str], bool]:
    """Read a card's `base_model`: an id, a link to the Hub, or a list of them."""
    entries, partial = texts(value)
    names = [
        name for entry in entries if (name := entry if entry in present else model_reference(entry))
    ]
    return list(dict.fromkeys(names)), not partial and len(names) == len(entries)


def _compare(
    listed: Sequence[str], tagged: Collection[str]
) -> tuple[list[tuple[str, str]], list[str], bool]:
    """Match a card's entries with tags: (renames, entries left, whether a tag is left too)."""
    unmatched = [name for name in listed if name not in tagged]
    if not unmatched or not tagged:
        return [], unmatched, False
    free = [name for name in tagged if name not in listed]
    renames: list[tuple[str, str]] = []

    def rename(pairs: Mapping[str, str]) -> None:
        renames.extend((name, pairs[name]) for name in unmatched if name in pairs)
        unmatched[:] = [name for name in unmatched if name not in pairs]
        free[:] = [name for name in free if name not in pairs.values()]

    by_case = {name.lower(): name for name in tagged}
    rename({name: by_case[name.lower()] for name in unmatched if name.lower() in by_case})

    old, new = Counter(map(_base, unmatched)), {_base(name): name for name in free}
    unique = {base for base, times in Counter(map(_base, free)).items() if times == old[base] == 1}
    rename({name: new[_base(name)] for name in unmatched if _base(name) in unique})

    if len(unmatched) == len(free) == 1:
        rename({unmatched[0]: free[0]})
    return renames, unmatched, bool(free)


def _base(name: str) -> str:
    return name.rpartition("/")[2].lower()


def _card_relation(card: Mapping[str, object]) -> tuple[str | None, float]:
    """Read the relation that a card states, with a confidence; None if it states none."""
    stated = card.get("base_model_relation")
    if stated is None:
        return None, _INFERRED
    relation = _RELATIONS.get(stated.strip().lower()) if isinstance(stated, str) else None
    return (relation, _STATED) if relation else ("base_unknown", _UNKNOWN)


def _distinct(parents: Sequence[Parent]) -> tuple[Parent, ...]:
    """Keep one edge for each name, relation and source, and no base_unknown beside a relation."""
    known = {parent.name for parent in parents if parent.relation != "base_unknown"}
    if len(known) == len(parents):
        return tuple(parents)
    distinct: dict[tuple[str, str, str], Parent] = {}
    for parent in parents:
        if parent.relation != "base_unknown" or parent.name not in known:
            distinct.setdefault((parent.name, parent.relation, parent.source), parent)
    return tuple(distinct.values())
