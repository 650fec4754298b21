"""Explanation of a model's vector: `registry.explain`, with its uncertainty and support."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from registry.catalog import names as model_names
from registry.embeddings.versions import read_version


@dataclass(frozen=True, slots=True)
class Explanation:
    """Origin and reliability of a model's vector in the current version.

    Attributes:
        model: its name.
        version: number of the version.
        kind: trained, folded, cold or none.
        uncertainty: standard deviation of a coordinate; None where the method gives none.
        support: share of its own similarity that trained models explain, in [0, 1]; None where it
            was trained on or has no vector.
        outcomes: stored outcomes of the model, on any item.
        reason: why it has no vector; None where it has one.
        rests_on: rows of `registry.explain`, by descending weight.
    """

    model: str
    version: int
    kind: str
    uncertainty: float | None
    support: float | None
    outcomes: int
    reason: str | None
    rests_on: Sequence[Mapping[str, Any]]


def explain(connection: Connection, name: str) -> Explanation:
    """Return the origin and reliability of a model's vector in the current version.

    Args:
        connection: to read from.
        name: any name of the model.

    Raises:
        ModelNotFoundError: with the nearest names there are.
        RegistryError: when no version is current.
    """
    key = model_names.model_id(connection, name)
    read_version(connection)
    state = (
        connection.execute(
            text("""
            SELECT s.*,
                   (SELECT coalesce(sum(coalesce(bit_count(r.present_bits),
                                                 length(r.right_bits))), 0)
                      FROM store.runs AS r WHERE r.model_id = :key) AS outcomes
              FROM registry.vector_states AS s
             WHERE s.model = (SELECT m.name FROM store.models AS m WHERE m.model_id = :key)"""),
            {"key": key},
        )
        .mappings()
        .one()
    )
    rows = connection.execute(
        text("SELECT name, weight, ties, feature, lineage FROM registry.explain(:name)"),
        {"name": state["model"]},
    )
    values = {**state, "outcomes": int(state["outcomes"])}
    return Explanation(**values, rests_on=[dict(row) for row in rows.mappings()])
