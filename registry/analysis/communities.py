"""Communities of models, and whether learned vectors know of them (EmbedLLM, section 6.1).

A community is what models have in common by what the catalog says of them, their outcomes apart:
size, family, author, task, tags, what they are made for. Vectors that place such models nearer to
each other than to the rest have learned of it from outcomes alone.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, text

from registry.analysis.probe_metrics import FEWEST_MODELS, Community, community_distances
from registry.embeddings.read import read_embeddings
from registry.enums import CommunityKind
from registry.errors import UsageError
from registry.hub.parameters import parameters_in_name

LEAST_MEMBERS = 5
"""Models that a community needs to be looked at."""

MOST_OF_A_KIND = 10
"""Communities of a kind that are looked at: the largest."""

MOST_MODELS = 10_000
"""Models that are compared: of more, so many drawn at random, for distances take M^2 numbers."""

SIZES: Sequence[tuple[str, float]] = (
    ("below 1B", 1e9),
    ("1B", 2e9),
    ("3B", 5e9),
    ("7B", 9.5e9),
    ("13B", 17e9),
    ("30B", 45e9),
    ("70B", 100e9),
)
"""Bands of size by what models in them are called, each up to below so many weights."""

LARGEST = "above 100B"


class Topic(NamedTuple):
    """What tells that a model is made for something: one of some tags, or a word in its name."""

    tags: frozenset[str]
    word: str
    """Pattern that is searched for in the name after the author, in lower case."""


TOPICS: Mapping[str, Topic] = {
    "coding": Topic(
        frozenset({"code", "coder", "coding", "code-generation", "programming"}),
        r"(?<!en)(?<!de)cod(?:e(?!c)|ing)",
    ),
    "maths": Topic(frozenset({"math", "maths", "mathematics"}), r"math|gsm8?k"),
    "medicine": Topic(
        frozenset({"medical", "medicine", "biology", "biomedical", "clinical", "health"}),
        r"\bmed\b|medic|meditron|medalpaca|medllama|\bbio|clinic|pubmed|health|doctor",
    ),
    "physics": Topic(frozenset({"physics"}), r"physic"),
    "law": Topic(frozenset({"legal", "law"}), r"legal|\blaw"),
    "chat": Topic(frozenset({"chat", "conversational"}), r"chat|instruct|\bit\b|assistant"),
}
"""What models are made for: the paper's Coding, Bio/Med and Physics, and three more.

Of models that the catalog knows by name only, such as those that were evaluated and never synced,
there are no tags; their names are all there is, as in the paper.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunityComparison:
    """Communities of a version's models.

    Attributes:
        version: whose vectors.
        models: number of models that were compared.
        left_out: models with a vector that were not: those placed by metadata and lineage alone,
            whose vectors would know of communities by construction, and those not drawn.
        communities: each with its kind; kinds as asked for, the largest communities first.
    """

    version: int
    models: int
    left_out: int
    communities: Sequence[tuple[str, Community]]

    @property
    def comparable(self) -> int:
        """Number of communities whose ratio is known."""
        return sum(not np.isnan(each.ratio) for _, each in self.communities)

    @property
    def tighter(self) -> int:
        """Number of communities that are nearer to each other than to the rest."""
        return sum(each.ratio < 1 for _, each in self.communities)


def compare(
    connection: Connection,
    *,
    by: Sequence[str] = (),
    version: int | None = None,
    least: int = LEAST_MEMBERS,
    most: int = MOST_OF_A_KIND,
) -> CommunityComparison:
    """Compare distances inside communities with those to all other models.

    Args:
        connection: in a transaction that sees one moment (REPEATABLE READ).
        by: kinds of communities, of `KINDS`; all without any.
        version: whose vectors; the current one's without.
        least: models that a community has at least.
        most: communities of a kind at most, the largest ones. A tag that more than half of the
            models have is no community.

    Raises:
        RegistryError: when there is no such version, or none is current.
        UsageError: when there is no such kind, or fewer than 10 models to compare.
    """
    for kind in by:
        if kind not in KINDS:
            raise UsageError(f"There are no communities by {kind!r}; there are {', '.join(KINDS)}.")
    found = read_embeddings(connection, version)
    learned = np.flatnonzero(found.kind != "cold")
    if learned.size < FEWEST_MODELS:
        raise UsageError(
            f"Version {found.version} has vectors of {learned.size} models that were evaluated; "
            f"comparing communities takes at least {FEWEST_MODELS}."
        )
    drawn = np.sort(np.random.default_rng(0).permutation(learned)[:MOST_MODELS])
    facts = _facts(connection, [found.models[place] for place in drawn])
    vectors = found.vectors[drawn]
    communities = [
        (kind, each)
        for kind in by or KINDS
        for each in community_distances(vectors, _members(facts, kind, least, most))
    ]
    return CommunityComparison(
        version=found.version,
        models=drawn.size,
        left_out=len(found.models) - drawn.size,
        communities=communities,
    )


def _facts(connection: Connection, models: Sequence[str]) -> Sequence[Any]:
    """Return what is known of each of the models, in their order."""
    return connection.execute(
        text("""
        SELECT w.name, m.author, m.family_root, m.parameters, m.pipeline_tag,
               ARRAY(SELECT DISTINCT lower(tag) FROM unnest(m.tags) AS tag
                      WHERE store.is_telling(tag)) AS tags
          FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS w (name, place)
          JOIN registry.models m ON m.name = w.name
         ORDER BY w.place"""),
        {"names": list(models)},
    ).all()


def _members(facts: Sequence[Any], kind: str, least: int, most: int) -> dict[str, list[int]]:
    """Return the places of the members of the largest communities of a kind."""
    found: dict[str, list[int]] = {}
    for place, fact in enumerate(facts):
        for name in KINDS[kind](fact):
            found.setdefault(name, []).append(place)
    at_most = len(facts) // 2 if kind == "tag" else len(facts)
    kept = [(name, places) for name, places in found.items() if least <= len(places) <= at_most]
    kept.sort(key=lambda each: (-len(each[1]), each[0]))
    return dict(kept[:most])


def size(parameters: int) -> str:
    """Return the band of `SIZES` that so many weights are in."""
    return next((name for name, below in SIZES if parameters < below), LARGEST)


def topics(name: str, tags: Iterable[str]) -> list[str]:
    """Return which of `TOPICS` a model is made for, by its name and its tags in lower case."""
    words = re.sub(r"[^a-z0-9]+", " ", name.rpartition("/")[2].lower())
    told = frozenset(tags)
    return [
        topic
        for topic, each in TOPICS.items()
        if not told.isdisjoint(each.tags) or re.search(each.word, words)
    ]


def _sizes(fact: Any) -> Iterator[str]:
    parameters = fact.parameters or parameters_in_name(fact.name)
    if parameters is not None:
        yield size(parameters)


KINDS: Mapping[str, Callable[[Any], Iterable[str]]] = {
    CommunityKind.SIZE: _sizes,
    CommunityKind.FAMILY: lambda fact: filter(None, [fact.family_root]),
    CommunityKind.AUTHOR: lambda fact: filter(None, [fact.author]),
    CommunityKind.TASK: lambda fact: filter(None, [fact.pipeline_tag]),
    CommunityKind.TAG: lambda fact: fact.tags,
    CommunityKind.TOPIC: lambda fact: topics(fact.name, fact.tags),
}
"""Kinds of communities: each tells which ones a model is a member of."""
