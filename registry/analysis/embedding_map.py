"""Map of a version's embeddings: models on a plane, with facts on each."""

from pathlib import Path

import numpy as np
from sqlalchemy import Connection, Engine, text

from registry.analysis.plots.map import EmbeddingMap, project, write_page, write_picture
from registry.db.connection import reading
from registry.db.errors import translated_errors
from registry.embeddings.read import Embeddings, read_embeddings
from registry.errors import RegistryError
from registry.files import check_target
from registry.workers import Progress, no_progress

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
    on_progress: Progress = no_progress,
) -> EmbeddingMap:
    """Draw the vectors of a version, as a page, a picture or both.

    Args:
        engine: of a database at head; nothing is written.
        page: HTML file to write, which does not exist yet.
        picture: PNG file to write, which does not exist yet.
        version: its number; None for the current one.
        seed: of the layout.
        on_progress: receives the progress.

    Returns:
        The map.

    Raises:
        UsageError: a file exists already, or there is nothing to draw.
        RegistryError: no version is current, or a file cannot be written.
    """
    for path in (page, picture):
        if path is not None:
            check_target(path)
    with translated_errors("read embeddings"), reading(engine) as connection:
        embeddings = read_embeddings(connection, version)
        groups, details = _facts(connection, embeddings)
    drawn = EmbeddingMap(
        title=f"{len(embeddings.models):,} models, version {embeddings.version}",
        points=project(np.asarray(embeddings.vectors), seed=seed, on_progress=on_progress),
        names=embeddings.models,
        groups=groups,
        details=details,
    )
    try:
        if page is not None:
            on_progress("writing the page", 0, 0)
            write_page(drawn, page)
        if picture is not None:
            on_progress("writing the picture", 0, 0)
            write_picture(drawn, picture)
    except OSError as error:
        raise RegistryError(f"Cannot write the map: {error.strerror or error}.") from error
    return drawn


def _facts(connection: Connection, embeddings: Embeddings) -> tuple[list[str], list[list[str]]]:
    """Return the group and the details of each model."""
    rows = connection.execute(text(_FACTS), {"names": list(embeddings.models)})
    facts = {row.name: row for row in rows}
    groups, details = [], []
    for model, kind in zip(embeddings.models, embeddings.kind, strict=True):
        fact = facts.get(model)
        lines = [f"vector: {kind}"]
        if fact is not None:
            if fact.family_root and fact.family_root != model:
                lines.append(f"from {fact.family_root}")
            if fact.parameters:
                lines.append(f"{fact.parameters / 1e9:.3g} billion parameters")
            if fact.score is not None:
                lines.append(f"mean score {fact.score:.3f}")
            if fact.license:
                lines.append(f"licence {fact.license}")
        groups.append((fact.kind if fact is not None else None) or UNKNOWN)
        details.append(lines)
    return groups, details
