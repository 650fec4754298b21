"""Storage of sets of domains, of their classifiers, and of models' scores in domains."""

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.exc import DBAPIError

from registry.catalog import names
from registry.catalog.names import most_similar
from registry.db.binary_copy import copy_in
from registry.db.errors import translated
from registry.errors import RegistryError, UsageError
from registry.learning.arrays import Places
from registry.learning.domains.domain_classifier import DomainClassifier
from registry.learning.domains.domain_discriminant import DomainParts
from registry.learning.domains.model_scores import ModelScores
from registry.learning.domains.prompt_words import WordEvidence
from registry.prediction.domains.domain_sets import (
    DomainSet,
    StatedExpert,
    Subject,
    shipped_sets,
)

ANY_SIZE = 2**63 - 1
"""Parameters of the tier of experts for any size."""


class StoredSet(NamedTuple):
    """A set of domains as it is stored, with its key."""

    key: int
    content: DomainSet
    shipped: bool


def read_set(connection: Connection, name: str) -> StoredSet:
    """Read a set of domains.

    Raises:
        UsageError: when there is none of this name.
    """
    row = connection.execute(
        text("SELECT set_id, description, source FROM store.domain_sets WHERE name = :name"),
        {"name": name},
    ).one_or_none()
    if row is None:
        raise _no_set(connection, name)
    domains = connection.execute(
        text("""
        SELECT domain, name, fallback FROM store.domains WHERE set_id = :key ORDER BY domain"""),
        {"key": row.set_id},
    ).all()
    named = {each.domain: each.name for each in domains}
    subjects = connection.execute(
        text("SELECT * FROM store.domain_subjects WHERE set_id = :key"), {"key": row.set_id}
    )
    experts = connection.execute(
        text("""
        SELECT e.domain, e.max_parameters, m.name
          FROM store.domain_experts e JOIN store.models m USING (model_id)
         WHERE e.set_id = :key ORDER BY 1, 2"""),
        {"key": row.set_id},
    )
    content = DomainSet(
        name,
        tuple(named.values()),
        {Subject(each.benchmark, each.subject): named[each.domain] for each in subjects},
        next((each.name for each in domains if each.fallback), None),
        row.description,
        tuple(
            StatedExpert(named[each.domain], _tier(each.max_parameters), each.name)
            for each in experts
        ),
    )
    return StoredSet(row.set_id, content, row.source == "registry")


def read_or_shipped(connection: Connection, name: str) -> DomainSet:
    """Return the stored set of a name, or the shipped one where none is stored yet.

    Raises:
        UsageError: when there is none of this name.
    """
    for each in shipped_sets():
        if each.name == name and name not in set_names(connection):
            return each
    return read_set(connection, name).content


def set_names(connection: Connection) -> list[str]:
    """Return the names of the stored sets."""
    return list(connection.scalars(text("SELECT name FROM store.domain_sets ORDER BY name")))


def _no_set(connection: Connection, name: str) -> UsageError:
    there = set_names(connection)
    if not there:
        return UsageError(
            "There is no set of domains yet; `registry domains train` stores and trains those that "
            "ship, `registry domains import` yours."
        )
    near = most_similar(name, there, limit=1, least=0.6)
    meant = f" did you mean {near[0]!r}?" if near else ""
    return UsageError(
        f"There is no set of domains named {name!r};{meant} there are {', '.join(there)}."
    )


def write_set(connection: Connection, content: DomainSet, *, shipped: bool = False) -> bool:
    """Store a set; one of its name that differs is replaced, with its classifier and scores.

    Args:
        connection: in a transaction.
        content: the set; experts are named by any name of a model.
        shipped: whether it is one that ships with the registry.

    Returns:
        Whether anything changed.

    Raises:
        ModelNotFoundError: for an expert that is no model, with the nearest names.
        RegistryError: for an expert's tier that is no size.
    """
    experts = _expert_rows(connection, content)
    stored = None
    if content.name in set_names(connection):
        stored = read_set(connection, content.name)
        if (stored.content, stored.shipped) == (_as_stored(connection, content, experts), shipped):
            return False
        connection.execute(
            text("DELETE FROM store.domain_sets WHERE set_id = :key"), {"key": stored.key}
        )
    key = connection.scalar(
        text("""
        INSERT INTO store.domain_sets (name, description, source)
        VALUES (:name, :description, :source) RETURNING set_id"""),
        {
            "name": content.name,
            "description": content.description,
            "source": "registry" if shipped else "user",
        },
    )
    numbers = {name: number for number, name in enumerate(content.domains)}
    connection.execute(
        text("INSERT INTO store.domains VALUES (:key, :domain, :name, :fallback)"),
        [
            {"key": key, "domain": number, "name": name, "fallback": name == content.fallback}
            for name, number in numbers.items()
        ],
    )
    connection.execute(
        text("INSERT INTO store.domain_subjects VALUES (:key, :benchmark, :subject, :domain)"),
        [
            {"key": key, **subject._asdict(), "domain": numbers[domain]}
            for subject, domain in content.subjects.items()
        ],
    )
    if experts:
        connection.execute(
            text("INSERT INTO store.domain_experts VALUES (:key, :domain, :most, :model)"),
            [
                {"key": key, "domain": numbers[domain], "most": most, "model": model}
                for (domain, most), model in experts.items()
            ],
        )
    return True


def _expert_rows(connection: Connection, content: DomainSet) -> dict[tuple[str, int], int]:
    """Return the models' keys of stated experts by domain and most parameters."""
    rows: dict[tuple[str, int], int] = {}
    for expert in content.experts:
        try:
            with connection.begin_nested():
                most = connection.scalar(
                    text("SELECT store.tier_parameters(:tier)"), {"tier": expert.tier}
                )
        except DBAPIError as error:
            raise translated(error, "store the set of domains") from error
        place = (expert.domain, ANY_SIZE if most is None else int(most))
        if place in rows:
            raise UsageError(
                f"Set {content.name}: two experts of {expert.domain} for tier {expert.tier}."
            )
        rows[place] = names.model_id(connection, expert.model)
    return rows


def _as_stored(
    connection: Connection, content: DomainSet, experts: Mapping[tuple[str, int], int]
) -> DomainSet:
    """Return a set as it would be read: its experts by their models' present names."""
    found = connection.execute(
        text("SELECT model_id, name FROM store.models WHERE model_id = ANY (:keys)"),
        {"keys": list(experts.values())},
    )
    present = {row.model_id: row.name for row in found}
    numbers = {name: number for number, name in enumerate(content.domains)}
    order = sorted(experts, key=lambda place: (numbers[place[0]], place[1]))
    return DomainSet(
        content.name, tuple(content.domains), dict(content.subjects), content.fallback,
        content.description,
        tuple(StatedExpert(each[0], _tier(each[1]), present[experts[each]]) for each in order),
    )  # fmt: skip


def _tier(most: int) -> str:
    """Write the most parameters of a tier, which are a twentieth above its number."""
    if most == ANY_SIZE:
        return "any"
    size = most / 1.05
    return f"{size / 1e9:.4g}B" if size >= 1e9 else f"{size / 1e6:.4g}M"  # noqa: PLR2004


def ship(connection: Connection) -> None:
    """Store the shipped sets, as this version has them; a person's sets of their names stay."""
    theirs = set(
        connection.scalars(text("SELECT name FROM store.domain_sets WHERE source = 'user'"))
    )
    for each in shipped_sets():
        if each.name not in theirs:
            write_set(connection, each, shipped=True)


class ClassifierFacts(NamedTuple):
    """How a classifier was trained, and its figures."""

    encoder: str
    items: int
    least_probability: float
    metrics: Mapping[str, Any]
    settings: Mapping[str, Any]
    trained_at: datetime


def save_classifier(
    connection: Connection,
    key: int,
    classifier: DomainClassifier,
    facts: ClassifierFacts,
    *,
    domains: Places,
) -> None:
    """Store the classifier of a set, in place of the one before.

    Args:
        connection: in a transaction.
        key: of the set.
        classifier: of some of its domains.
        facts: how it was trained.
        domains: int, numbers of these domains in the set, rising.
    """
    for table in ("domain_vectors", "domain_classifiers"):
        connection.execute(
            text(f"DELETE FROM store.{table} WHERE set_id = :key"),  # noqa: S608 - names above
            {"key": key},
        )
    connection.execute(
        text("""
        INSERT INTO store.domain_classifiers (
            set_id, encoder, dimension, trained_at, item_count, sharpness, vector_weight,
            word_weight, least_energy, least_probability, words, metrics, settings)
        VALUES (:key, :encoder, :dimension, :trained_at, :items, :sharpness, :vector_weight,
                :word_weight, :least_energy, :least_probability, :words, CAST(:metrics AS jsonb),
                CAST(:settings AS jsonb))"""),
        {
            "key": key,
            "encoder": facts.encoder,
            "dimension": classifier.parts.vectors.shape[1] - 1,
            "trained_at": facts.trained_at,
            "items": facts.items,
            "sharpness": classifier.sharpness,
            "vector_weight": classifier.weights[0],
            "word_weight": classifier.weights[1],
            "least_energy": classifier.least_energy,
            "least_probability": facts.least_probability,
            "words": _packed(classifier.words),
            "metrics": orjson.dumps(facts.metrics).decode(),
            "settings": orjson.dumps(facts.settings).decode(),
        },
    )
    count = len(classifier.parts.owners)
    copy_in(
        connection,
        "store.domain_vectors",
        {
            "set_id": np.full(count, key, np.int32),
            "part": np.arange(count, dtype=np.int16),
            "domain": domains[classifier.parts.owners].astype(np.int16),
            "vector": classifier.parts.vectors,
        },
    )


def _packed(words: WordEvidence | None) -> bytes:
    """Return evidence of words as an npz, of the columns that any domain knows."""
    file = io.BytesIO()
    table = np.zeros((0, 0), np.float16) if words is None else words.table
    known = np.flatnonzero(table.any(axis=0))
    np.savez_compressed(
        file, columns=known.astype(np.int32), table=table[:, known], width=table.shape[1]
    )
    return file.getvalue()


def _unpacked(packed: bytes) -> WordEvidence | None:
    with np.load(io.BytesIO(packed), allow_pickle=False) as stored:
        if not len(stored["table"]):
            return None
        table = np.zeros((len(stored["table"]), int(stored["width"])), np.float16)
        table[:, stored["columns"]] = stored["table"]
        return WordEvidence(table)


class StoredClassifier(NamedTuple):
    """A classifier with what is needed to use it.

    Attributes:
        key: of the set.
        domains: names of those that it knows, by its own numbers.
        fallback: number of the domain of all other prompts; None for none.
        encoder: of prompts.
        least_probability: of the likeliest domain, to rely on it.
        classifier: itself.
    """

    key: int
    domains: Sequence[str]
    fallback: int | None
    encoder: str
    least_probability: float
    classifier: DomainClassifier


def read_classifier(connection: Connection, name: str) -> StoredClassifier:
    """Read the classifier of a set.

    Raises:
        UsageError: when there is no such set.
        RegistryError: when it is not trained.
    """
    stored = read_set(connection, name)
    row = connection.execute(
        text("SELECT * FROM store.domain_classifiers WHERE set_id = :key"), {"key": stored.key}
    ).one_or_none()
    if row is None:
        raise RegistryError(
            f"The set of domains {name!r} is not trained; `registry domains train {name}` learns "
            "to tell its domains apart."
        )
    parts = connection.execute(
        text("""
        SELECT domain, CAST(vector AS real[]) AS vector FROM store.domain_vectors
         WHERE set_id = :key ORDER BY part"""),
        {"key": stored.key},
    ).all()
    content = stored.content
    # Domains without items have no parts.
    numbers = sorted({each.domain for each in parts})
    known = [content.domains[each] for each in numbers]
    return StoredClassifier(
        stored.key,
        known,
        known.index(content.fallback) if content.fallback in known else None,
        row.encoder,
        row.least_probability,
        DomainClassifier(
            DomainParts(
                np.array([each.vector for each in parts], np.float32),
                np.searchsorted(numbers, [each.domain for each in parts]).astype(np.intp),
            ),
            row.sharpness,
            _unpacked(row.words),
            (row.vector_weight, row.word_weight),
            row.least_energy,
        ),
    )


def save_scores(
    connection: Connection, key: int, models: Sequence[str], scores: Mapping[int, ModelScores]
) -> int:
    """Store scores of models in domains, in place of those before.

    Args:
        connection: in a transaction.
        key: of the set.
        models: their names.
        scores: of them, by number of the domain, -1 for all; NaN is not stored.

    Returns:
        How many scores are stored.
    """
    connection.execute(text("DELETE FROM store.domain_scores WHERE set_id = :key"), {"key": key})
    found = connection.execute(
        text("SELECT name, model_id FROM store.models WHERE name IN :names").bindparams(
            bindparam("names", expanding=True)
        ),
        {"names": list(models)},
    )
    keys = {row.name: row.model_id for row in found}
    # A model that was merged or removed since the outcomes were read has no scores.
    present: NDArray[np.int64] = np.array([keys.get(name, -1) for name in models], np.int64)
    count = 0
    for domain, each in scores.items():
        rows = np.flatnonzero(
            (present >= 0) & ~np.isnan(each.scores) & ~np.isnan(each.errors + each.residuals)
        )
        count += len(rows)
        if not len(rows):
            continue
        copy_in(
            connection,
            "store.domain_scores",
            {
                "model_id": present[rows],
                "set_id": np.full(len(rows), key, np.int32),
                "domain": np.full(len(rows), domain, np.int16),
                "item_count": each.counts[rows].astype(np.int32),
                "score": each.scores[rows].astype(np.float64),
                "standard_error": each.errors[rows].astype(np.float64),
                "residual_error": each.residuals[rows].astype(np.float64),
            },
        )
    return count
