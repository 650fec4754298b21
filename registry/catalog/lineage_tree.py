"""Trees of ancestors and descendants of a model, read level by level."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import Connection, text

from registry.catalog import names as model_names

Direction = Literal["up", "down"]
Mark = Literal["self_edge", "cycle", "repeated"]


@dataclass(slots=True)
class LineageNode:
    """A model at one position of the tree.

    Attributes:
        name: of the model.
        state: of the model; `stub` where it was never seen in a listing.
        relation: of the model to that of the node above, None for the root.
        mark: `self_edge` where the model above names itself, `cycle` where the path leads back to
            a model further up, `repeated` where the model is elsewhere in the tree too; none is
            followed further.
        branches: the models one step further.
        more: how many models one step further are left out.
    """

    name: str
    state: str
    relation: str | None = None
    mark: Mark | None = None
    branches: list["LineageNode"] = field(default_factory=list)
    more: int = 0


@dataclass(slots=True)
class _Leaf:
    """A node to be expanded, and the keys of the models on the path to it."""

    node: LineageNode
    path: tuple[int, ...]


_STEP = """
WITH steps AS (
    SELECT DISTINCT ON (e.{here}, e.{there})
           e.{here} AS here, e.{there} AS there, e.relation, e.position
      FROM store.edges e
     WHERE e.{here} = ANY (:keys)
     ORDER BY e.{here}, e.{there}, e.confidence DESC, e.source DESC
), ranked AS (
    SELECT s.*, count(*) OVER (PARTITION BY s.here) AS total,
           row_number() OVER (PARTITION BY s.here ORDER BY {order}, s.there) AS place
      FROM steps s LEFT JOIN store.counters c ON c.model_id = s.there
)
SELECT r.here, r.there, r.relation, r.total, m.name, m.state
  FROM ranked r JOIN store.models m ON m.model_id = r.there
 WHERE r.place <= coalesce(:most, r.place)
 ORDER BY r.here, r.place
"""

_STATEMENTS = {
    "up": text(_STEP.format(here="child_id", there="parent_id", order="s.position")),
    "down": text(
        _STEP.format(here="parent_id", there="child_id", order="c.downloads DESC NULLS LAST")
    ),
}

_COUNT = {
    "up": text("""
        SELECT child_id, count(DISTINCT parent_id) FROM store.edges
         WHERE child_id = ANY (:keys) GROUP BY child_id"""),
    "down": text("""
        SELECT parent_id, count(DISTINCT child_id) FROM store.edges
         WHERE parent_id = ANY (:keys) GROUP BY parent_id"""),
}


def read_tree(
    connection: Connection,
    model: str,
    direction: Direction,
    *,
    depth: int | None = None,
    most: int | None = None,
) -> LineageNode:
    """Read the tree above or below a model, the nearest first.

    Args:
        connection: where to read.
        model: any name of the model.
        direction: up to parents (in the order they are stated) or down to children (the most
            downloaded first).
        depth: how many steps to go; None for all.
        most: how many branches a node shows; None for all.

    Raises:
        ModelNotFoundError: with the nearest names there are.
    """
    key = model_names.model_id(connection, model)
    name, state = connection.execute(
        text("SELECT name, state FROM store.models WHERE model_id = :key"), {"key": key}
    ).one()
    root = LineageNode(name, state)
    frontier = {key: _Leaf(root, (key,))}
    seen = {key}
    steps = 0
    while frontier:
        if depth is not None and steps >= depth:
            _count_more(connection, direction, frontier)
            break
        frontier = _advance(connection, direction, frontier, seen, most)
        steps += 1
    return root


def _advance(
    connection: Connection,
    direction: Direction,
    frontier: dict[int, _Leaf],
    seen: set[int],
    most: int | None,
) -> dict[int, _Leaf]:
    rows = connection.execute(_STATEMENTS[direction], {"keys": list(frontier), "most": most}).all()
    reached: dict[int, _Leaf] = {}
    shown: defaultdict[int, int] = defaultdict(int)
    for row in rows:
        above = frontier[row.here]
        branch = LineageNode(row.name, row.state, row.relation)
        above.node.branches.append(branch)
        shown[row.here] += 1
        above.node.more = row.total - shown[row.here]
        if row.there == row.here:
            branch.mark = "self_edge"
        elif row.there in above.path:
            branch.mark = "cycle"
        elif row.there in seen:
            branch.mark = "repeated"
        else:
            seen.add(row.there)
            reached[row.there] = _Leaf(branch, (*above.path, row.there))
    return reached


def _count_more(connection: Connection, direction: Direction, frontier: dict[int, _Leaf]) -> None:
    for key, count in connection.execute(_COUNT[direction], {"keys": list(frontier)}):
        frontier[key].node.more = count


def links(root: LineageNode) -> Iterable[tuple[LineageNode, LineageNode]]:
    """Return each pair of a node and one of its branches, from the root outwards."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        for branch in node.branches:
            yield node, branch
        waiting += reversed(node.branches)
