"""Models that came after the current version was placed, which a sync and an import end with."""

from importlib.util import find_spec

from sqlalchemy import Connection, Engine, text

from registry.errors import RegistryError
from registry.versions import Version, current_version


def since(connection: Connection, version: Version | None) -> list[int]:
    """Return keys of models that came, or whose outcomes did, since a version was last placed.

    Those without a vector that changed are among them. A model that has one and only changed keeps
    it until all are placed again.

    Args:
        connection: to read from.
        version: that is asked; where it is None or was never placed, nobody came.
    """
    if version is None or version.placed_at is None:
        return []
    found = connection.scalars(
        text("""
        SELECT m.model_id FROM store.models AS m
         WHERE m.model_id > (SELECT p.newest_model_id FROM store.priors AS p
                              WHERE p.version_id = :version)
        UNION
        SELECT m.model_id FROM store.models AS m
         WHERE m.changed_at > :placed
           AND NOT EXISTS (SELECT FROM store.embeddings AS e
                            WHERE e.version_id = :version AND e.model_id = m.model_id)
        UNION
        SELECT r.model_id FROM store.imports AS i JOIN store.runs AS r ON r.import_id = i.import_id
         WHERE i.imported_at > :placed AND r.right_bits IS NOT NULL
           AND NOT EXISTS (SELECT FROM store.embeddings AS e
                            WHERE e.version_id = :version AND e.model_id = r.model_id
                              AND e.kind = 'trained')
         ORDER BY 1"""),
        {"placed": version.placed_at, "version": version.version},
    )
    return list(found)


def take_up(engine: Engine) -> str | None:
    """Give models that came vectors of the current version, where that is installed.

    What goes wrong is told and raised no further: what was taken in before is in.

    Args:
        engine: of a database at head.

    Returns:
        A sentence for people; None where nobody came.
    """
    with engine.connect() as connection:
        came = since(connection, current_version(connection))
    if not came:
        return None
    if find_spec("scipy") is None:
        return f"{len(came):,} models wait for vectors: pip install 'llm-registry[train]'"
    # Loads numpy and scipy, for which most syncs have no need.
    from registry import placement  # noqa: PLC0415

    try:
        placed = placement.follow(engine)
    except RegistryError as error:
        return f"{len(came):,} models wait for vectors: {error}"
    return None if placed is None else placement.told(placed)
