"""The map of a version's embeddings: models on a plane, with what is known of each."""

from pathlib import Path

import numpy as np
from sqlalchemy import Connection, Engine, text

from registry.analysis.plots.map import EmbeddingMap, project, write_page, write_picture
from registry.db.connection import reading
from registry.db.errors import translated_errors
from registry.embeddings.read import read_embeddings
from registry.errors import RegistryError, UsageError

UNKNOWN = "unknown"

_FACTS = """
SELECT m.name, coalesce(m.architecture, split_part(m.family_root, '/', 2)) AS kind,
       m.family_root, m.parameters, m.license,
       (SELECT avg(l.score) FROM registry.leaderboard l WHERE l.model = m.name) AS score
  FROM registry.models m WHERE m.name = ANY (:names)"""


def draw(
    engine: Engine,
    *,
    page: Path | None = None,
    picture: Path | None = None,
    version: int | None = None,
    seed: int = 0,
) -> EmbeddingMap:
    """Draw the vectors of a version, as a page, a picture or both.

    Args:
        engine: of a database at head; it is read only.
        page: HTML file to write, which does not exist yet.
        picture: PNG file to write, which does not exist yet.
        version: its number; the current one without.
        seed: of the layout.

    Returns:
        What was drawn.

    Raises:
        UsageError: when there is something at a target already, or nothing to draw.
        RegistryError: when no version is current, or a file cannot be written.
    """
    for path in (page, picture):
        if path is not None and path.exists():
            raise UsageError(f"There is a file {path} already; name one that does not exist.")
    with translated_errors("read embeddings"), reading(engine) as connection:
        drawn = _read(connection, version, seed)
    try:
        if page is not None:
            write_page(drawn, page)
        if picture is not None:
            write_picture(drawn, picture)
    except OSError as error:
        raise RegistryError(f"Cannot write the map: {error.strerror or error}.") from error
    return drawn


def _read(connection: Connection, version: int | None, seed: int) -> EmbeddingMap:
    found = read_embeddings(connection, version)
    rows = connection.execute(text(_FACTS), {"names": list(found.models)})
    facts = {row.name: row for row in rows}
    groups, details = [], []
    for model, kind in zip(found.models, found.kind, strict=True):
        told = facts.get(model)
        lines = [f"vector: {kind}"]
        if told is not None:
            if told.family_root and told.family_root != model:
                lines.append(f"from {told.family_root}")
            if told.parameters:
                lines.append(f"{told.parameters / 1e9:.3g} billion parameters")
            if told.score is not None:
                lines.append(f"mean score {told.score:.3f}")
            if told.license:
                lines.append(f"licence {told.license}")
        groups.append((told.kind if told is not None else None) or UNKNOWN)
        details.append(lines)
    return EmbeddingMap(
        title=f"{len(found.models):,} models, version {found.version}",
        points=project(np.asarray(found.vectors), seed=seed),
        names=found.models,
        groups=groups,
        details=details,
    )
