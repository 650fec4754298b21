"""Profile of a model: everything known about it; and comparisons of several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

from sqlalchemy import Connection, text

from registry.catalog import names as model_names
from registry.errors import UsageError

LATEST_OBSERVATIONS = 60
"""Observations of a model's counters that are read, at most."""

PARTS = 3
"""Fewest benchmarks named after another one that count as its parts, which come last."""

MANY_PARTS = 10
"""Fewest benchmarks that begin with one word and count as parts of what has no score itself."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A model's counters at one moment; downloads are those of 30 days."""

    observed_at: datetime
    downloads: int | None
    likes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One model.

    Attributes:
        model: its row of `registry.models`, by column.
        aliases: its other names.
        parents: its rows of `registry.lineage`: parent, relation, source, confidence and
            parent_missing.
        children: number of models made from it, by relation.
        family_models: number of models in its family, itself included.
        history: the latest LATEST_OBSERVATIONS observations of its counters, oldest first.
        scores: its rows of `registry.leaderboard`: benchmark, version, score, raw_score, unit,
            standard_error, kind and source. Those on benchmarks of most models come first, then of
            most items; the parts of a benchmark, such as tasks of BBH, after all others.
        similar: the most similar models, rows of `registry.similar_models`.
    """

    model: Mapping[str, Any]
    aliases: Sequence[str]
    parents: Sequence[Mapping[str, Any]]
    children: Mapping[str, int]
    family_models: int
    history: Sequence[Observation]
    scores: Sequence[Mapping[str, Any]]
    similar: Sequence[Mapping[str, Any]]


def read_profile(connection: Connection, name: str, *, similar: int = 5) -> Profile:
    """Read everything known about a model.

    Raises:
        ModelNotFoundError: with the nearest names there are.
    """
    key = {"key": model_names.model_id(connection, name)}
    model = (
        connection.execute(
            text("""
            SELECT * FROM registry.models
             WHERE name = (SELECT name FROM store.models WHERE model_id = :key)"""),
            key,
        )
        .mappings()
        .one()
    )
    present = {"name": model["name"]}
    aliases = connection.scalars(
        text("SELECT alias FROM store.model_aliases WHERE model_id = :key ORDER BY alias"), key
    )
    parents = connection.execute(
        text("""
        SELECT parent, relation, source, confidence, parent_missing
          FROM registry.lineage WHERE child = :name ORDER BY position, parent, relation"""),
        present,
    ).mappings()
    children = connection.execute(
        text("""
        SELECT relation, count(DISTINCT child_id) AS children FROM store.edges
         WHERE parent_id = :key AND child_id <> parent_id
         GROUP BY relation ORDER BY children DESC, relation"""),
        key,
    )
    members = connection.scalar(
        text("SELECT count(*) FROM store.model_families WHERE family_id = :family"),
        {"family": model["family"]},
    )
    history = connection.execute(
        text("""
        SELECT observed_at, downloads, likes FROM store.model_history
         WHERE model_id = :key ORDER BY observed_at DESC LIMIT :limit"""),
        {**key, "limit": LATEST_OBSERVATIONS},
    ).all()
    scores = connection.execute(
        text("""
        WITH own AS MATERIALIZED (
            SELECT l.benchmark, l.version, l.score, l.raw_score, l.unit, l.standard_error, l.kind,
                   l.source, coalesce(l.items, b.item_count) AS items,
                   (SELECT count(*) FROM store.shown_runs s
                     WHERE s.benchmark_id = b.benchmark_id) AS models
              FROM registry.leaderboard l
              JOIN store.benchmarks b ON (b.name, b.version) = (l.benchmark, l.version)
             WHERE l.model = :name
        ), parts AS (
            -- Parts of a group are named after it, are several, and have the same models.
            SELECT unnest(array_agg(DISTINCT o.benchmark)) AS benchmark
              FROM own o
              JOIN own g ON starts_with(o.benchmark, g.benchmark) AND g.models >= o.models
                        AND substr(o.benchmark, length(g.benchmark) + 1) ~ '^[^[:alnum:]]'
             GROUP BY g.benchmark, o.models HAVING count(DISTINCT o.benchmark) >= :parts
             UNION
            -- The group itself may have no score.
            SELECT unnest(array_agg(DISTINCT o.benchmark)) FROM own o
             GROUP BY substring(o.benchmark FROM '^([[:alnum:]]+)[^[:alnum:]]'), o.models
            HAVING count(DISTINCT o.benchmark) >= :many
               AND substring(min(o.benchmark) FROM '^([[:alnum:]]+)[^[:alnum:]]') IS NOT NULL
        )
        SELECT benchmark, version, score, raw_score, unit, standard_error, kind, source FROM own
         ORDER BY benchmark IN (SELECT p.benchmark FROM parts p), models DESC,
                  items DESC NULLS LAST, benchmark, version"""),
        {**present, "parts": PARTS, "many": MANY_PARTS},
    ).mappings()
    return Profile(
        model=dict(model),
        aliases=list(aliases),
        parents=[dict(row) for row in parents],
        children={row.relation: row.children for row in children},
        family_models=max(members or 0, 1),
        history=[Observation(*row) for row in reversed(history)],
        scores=[dict(row) for row in scores],
        similar=similar_models(connection, model["name"], similar) if similar else [],
    )


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """Models side by side.

    Attributes:
        profiles: of the models, in the order given.
        scores: on the benchmarks that all of them have, as from `shared_scores`.
        similarity: rows of `registry.similarity` for each pair, with its names `a` and `b`.
    """

    profiles: Sequence[Profile]
    scores: Sequence[dict[str, Any]]
    similarity: Sequence[dict[str, Any]]


def compare_models(
    connection: Connection, names: Sequence[str], *, benchmarks: int
) -> ModelComparison:
    """Compare models.

    Args:
        connection: to read from.
        names: of two models or more, any of their names.
        benchmarks: how many to give scores of, at most.

    Raises:
        ModelNotFoundError: with the nearest names there are.
        UsageError: when two names are of the same model.
    """
    profiles = [read_profile(connection, name, similar=0) for name in names]
    present = list(dict.fromkeys(profile.model["name"] for profile in profiles))
    if len(present) < len(names):
        raise UsageError("Two of the names are of the same model; give different ones.")
    return ModelComparison(
        profiles,
        shared_scores(profiles, benchmarks),
        [{"a": a, "b": b, **similarity(connection, a, b)} for a, b in combinations(present, 2)],
    )


def shared_scores(profiles: Sequence[Profile], most: int) -> list[dict[str, Any]]:
    """Return the scores on the benchmarks that all profiles have, in the order of the first.

    Args:
        profiles: of the models.
        most: benchmarks at most.

    Returns:
        Of each benchmark its name and version, and `scores`: those of the profiles by model.
    """
    by_model = {
        profile.model["name"]: {(row["benchmark"], row["version"]): row for row in profile.scores}
        for profile in profiles
    }
    first, *others = by_model.values()
    shared = [key for key in first if all(key in own for own in others)]
    return [
        {
            "benchmark": benchmark,
            "version": version,
            "scores": {
                name: {
                    each: value
                    for each, value in own[benchmark, version].items()
                    if each not in {"benchmark", "version"}
                }
                for name, own in by_model.items()
            },
        }
        for benchmark, version in shared[:most]
    ]


def similar_models(connection: Connection, name: str, k: int) -> list[dict[str, Any]]:
    """Return the k models most similar to one by metadata and lineage, the most similar first.

    Raises:
        ModelNotFoundError: with the nearest names there are.
    """
    key = model_names.model_id(connection, name)
    rows = connection.execute(
        text("""
        SELECT * FROM registry.similar_models(
                   (SELECT name FROM store.models WHERE model_id = :key), :k)"""),
        {"key": key, "k": k},
    ).mappings()
    return [dict(row) for row in rows]


def similarity(connection: Connection, a: str, b: str) -> dict[str, Any]:
    """Return the similarity of two models: feature, lineage, combined, learned; None if unknown."""
    row = (
        connection.execute(text("SELECT * FROM registry.similarity(:a, :b)"), {"a": a, "b": b})
        .mappings()
        .one_or_none()
    )
    return dict(row) if row is not None else {}
