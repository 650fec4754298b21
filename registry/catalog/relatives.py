"""Relatives of a model in the lineage: ancestors, descendants, paths; and problems of lineage."""

from collections.abc import Iterator
from typing import Literal

from sqlalchemy import Connection, Row, text

from registry.catalog import names as model_names
from registry.enums import LineageProblem

Kin = Literal["ancestor", "descendant"]


def relatives(
    connection: Connection, name: str, kin: Kin, *, depth: int | None = None
) -> Iterator[Row[str, int, str, str, str, float, str]]:
    """Yield rows of `registry.ancestors` or `registry.descendants` of a model, the nearest first.

    Args:
        connection: to read from.
        name: any name of the model.
        kin: which of the two.
        depth: steps, at most; None for all.

    Raises:
        ModelNotFoundError: with the nearest names there are.
    """
    yield from connection.execute(
        text(f"""
        SELECT k.* FROM registry.{kin}s(
                   (SELECT name FROM store.models WHERE model_id = :key)) AS k
         WHERE k.depth <= coalesce(:depth, k.depth)
         ORDER BY k.depth, k.{kin}"""),  # noqa: S608 - one of two words
        {"key": model_names.model_id(connection, name), "depth": depth},
    )


def lineage_path(connection: Connection, a: str, b: str) -> list[Row[str, int, str, str | None]]:
    """Return the path from one model up to the nearest common ancestor and down to another.

    Args:
        connection: to read from.
        a: any name of the first.
        b: any name of the second.

    Returns:
        Of each model on it: model, step, direction, relation; empty without a common ancestor.

    Raises:
        ModelNotFoundError: with the nearest names there are.
    """
    keys = {
        "a": model_names.model_id(connection, a),
        "b": model_names.model_id(connection, b),
    }
    return list(
        connection.execute(
            text("""
            SELECT p.model, p.step, p.direction, p.relation
              FROM registry.lineage_path(
                       (SELECT name FROM store.models WHERE model_id = :a),
                       (SELECT name FROM store.models WHERE model_id = :b)) AS p
             ORDER BY p.step"""),
            keys,
        )
    )


def count_problems(connection: Connection) -> dict[LineageProblem, int]:
    """Return how many findings of each kind view `registry.lineage_problems` has."""
    rows = connection.execute(
        text("SELECT problem, count(*) FROM registry.lineage_problems GROUP BY problem")
    )
    counts = {row[0]: row[1] for row in rows}
    return {problem: counts.get(problem, 0) for problem in LineageProblem}


def list_problems(connection: Connection, problem: str, *, limit: int) -> list[Row[str, str, str]]:
    """Return findings of one kind, by model: model, parent and detail."""
    return list(
        connection.execute(
            text("""
            SELECT model, parent, detail FROM registry.lineage_problems
             WHERE problem = :problem ORDER BY model, parent LIMIT :limit"""),
            {"problem": problem, "limit": limit},
        )
    )
