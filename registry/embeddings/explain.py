"""What the vector of a model rests on: `registry.explain`, with how far it is to be trusted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from registry.catalog import names as model_names
from registry.embeddings.versions import read_version


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a model came by its vector of the current version.

    Attributes:
        model: its name.
        version: number of the version.
        kind: trained, folded, cold or none.
        uncertainty: standard deviation of a coordinate; None where none is told.
        support: share of its own likeness that trained models explain, in [0, 1]; None where it
            was trained on or has no vector.
        outcomes: of the model in the registry, on any item.
        reason: why it has no vector; None where it has one.
        rests_on: rows of `registry.explain`, the heaviest first.
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
    """Return how a model came by its vector of the current version.

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
    told = dict(state)
    told["outcomes"] = int(told["outcomes"])
    return Explanation(**told, rests_on=[dict(row) for row in rows.mappings()])
