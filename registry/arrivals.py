"""Models that came after a version was placed."""

from sqlalchemy import Connection, text

from registry.versions import Version


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
