"""Communities of models in the space of learned vectors (EmbedLLM, section 6.1).

A community is a group of models that share a property in the catalog: size, family, author, task, a
tag, a topic. If the vectors of its models are closer to each other than to the rest, the property
was learned from outcomes alone.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, text

from registry.analysis.probe_metrics import MIN_MODELS, Community, community_distances
from registry.embeddings.read import read_embeddings
from registry.enums import CommunityKind
from registry.errors import UsageError
from registry.hub.parameters import parameters_in_name
from registry.workers import Progress, no_progress

MIN_MEMBERS = 5
"""Models that a community needs to be compared."""

MAX_OF_A_KIND = 10
"""Communities of a kind that are compared: the largest."""

MAX_MODELS = 10_000
"""Models that are compared; of more, a random sample, as distances take M^2 numbers."""

SIZES: Sequence[tuple[str, float]] = (
    ("below 1B", 1e9),
    ("1B", 2e9),
    ("3B", 5e9),
    ("7B", 9.5e9),
    ("13B", 17e9),
    ("30B", 45e9),
    ("70B", 100e9),
)
"""Bands of size, named as models in them are, with an exclusive upper bound of parameters."""

LARGEST = "above 100B"


class Topic(NamedTuple):
    """Evidence of a model's purpose: one of several tags, or a word in its name."""

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
"""Purposes of models: the paper's Coding, Bio/Med and Physics, and three more.

Models that the catalog knows by name only, such as those that were evaluated and never synced, have
no tags; their names are the only evidence, as in the paper.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunityComparison:
    """Communities of a version's models.

    Attributes:
        version: whose vectors.
        models: number of models that were compared.
        left_out: models with a vector that were not: those predicted from the catalog, whose
            vectors reflect communities by construction, and those not sampled.
        communities: each with its kind, in the requested order, the largest first.
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
        """Number of communities whose models are closer to each other than to the rest."""
        return sum(each.ratio < 1 for _, each in self.communities)


def compare(
    connection: Connection,
    *,
    by: Sequence[str] = (),
    version: int | None = None,
    least: int = MIN_MEMBERS,
    most: int = MAX_OF_A_KIND,
    on_progress: Progress = no_progress,
) -> CommunityComparison:
    """Compare distances inside communities with those to all other models.

    Args:
        connection: in a transaction that sees one moment (REPEATABLE READ).
        by: kinds of communities, of `KINDS`; empty for all.
        version: of the vectors; None for the current one.
        least: minimum number of models of a community.
        most: maximum number of communities of a kind, the largest ones. A tag of more than half of
            the models is not a community.
        on_progress: receives the progress, in kinds.

    Raises:
        RegistryError: there is no such version, or none is current.
        UsageError: there is no such kind, or there are fewer than 10 models to compare.
    """
    for kind in by:
        if kind not in KINDS:
            raise UsageError(f"There are no communities by {kind!r}; there are {', '.join(KINDS)}.")
    embeddings = read_embeddings(connection, version)
    learned = np.flatnonzero(embeddings.kind != "cold")
    if learned.size < MIN_MODELS:
        raise UsageError(
            f"Version {embeddings.version} has vectors of {learned.size} evaluated models; "
            f"comparing communities takes at least {MIN_MODELS}."
        )
    sample = np.sort(np.random.default_rng(0).permutation(learned)[:MAX_MODELS])
    facts = _facts(connection, [embeddings.models[place] for place in sample])
    vectors = embeddings.vectors[sample]
    communities = []
    for done, kind in enumerate(kinds := by or KINDS):
        on_progress("comparing distances", done, len(kinds))
        members = _members(facts, kind, least, most)
        communities += [(kind, each) for each in community_distances(vectors, members)]
    return CommunityComparison(
        version=embeddings.version,
        models=sample.size,
        left_out=len(embeddings.models) - sample.size,
        communities=communities,
    )


def _facts(connection: Connection, models: Sequence[str]) -> Sequence[Any]:
    """Return the catalog's facts on the models, in their order."""
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
    members: dict[str, list[int]] = {}
    for place, fact in enumerate(facts):
        for name in KINDS[kind](fact):
            members.setdefault(name, []).append(place)
    at_most = len(facts) // 2 if kind == "tag" else len(facts)
    eligible = [each for each in members.items() if least <= len(each[1]) <= at_most]
    eligible.sort(key=lambda each: (-len(each[1]), each[0]))
    return dict(eligible[:most])


def size(parameters: int) -> str:
    """Return the band of `SIZES` of a number of parameters."""
    return next((name for name, below in SIZES if parameters < below), LARGEST)


def topics(name: str, tags: Iterable[str]) -> list[str]:
    """Return the `TOPICS` of a model, by its name and its tags in lower case."""
    words = re.sub(r"[^a-z0-9]+", " ", name.rpartition("/")[2].lower())
    tags = frozenset(tags)
    return [
        topic
        for topic, each in TOPICS.items()
        if not tags.isdisjoint(each.tags) or re.search(each.word, words)
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
"""Functions that return the communities of a model, by kind."""
