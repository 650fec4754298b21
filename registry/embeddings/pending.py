"""Models pending placement: new, changed or newly evaluated since a version was placed."""

from sqlalchemy import Connection, text

from registry.embeddings.versions import EmbeddingVersion

MOST_CHANGED = 10_000
"""Changed models with a vector up to which they are placed again one by one.

More of them, as after the Hub renames a tag, wait until all models are placed: the index of vectors
is then built once instead of updated row by row.
"""


def pending_models(connection: Connection, version: EmbeddingVersion | None) -> list[int]:
    """Return keys of models that are new, changed or newly evaluated since the last placement.

    Changed models that have a vector are included up to `MOST_CHANGED`; more of them are left out.

    Args:
        connection: to read from.
        version: current version; no model is pending where it is None or was never placed.
    """
    if version is None or version.placed_at is None:
        return []
    keys = connection.scalars(
        text("""
        SELECT m.model_id FROM store.models AS m
         WHERE m.model_id > (SELECT p.newest_model_id FROM store.priors AS p
                              WHERE p.version_id = :version)
        UNION
        SELECT c.model_id
          FROM (SELECT m.model_id, e.model_id AS placed, count(e.model_id) OVER () AS many
                  FROM store.models AS m
                  LEFT JOIN store.embeddings AS e
                    ON e.version_id = :version AND e.model_id = m.model_id
                 WHERE m.changed_at > :placed AND e.kind IS DISTINCT FROM 'trained') AS c
         WHERE c.placed IS NULL OR c.many <= :most
        UNION
        SELECT r.model_id FROM store.imports AS i JOIN store.runs AS r ON r.import_id = i.import_id
         WHERE i.imported_at > :placed AND r.right_bits IS NOT NULL
           AND NOT EXISTS (SELECT FROM store.embeddings AS e
                            WHERE e.version_id = :version AND e.model_id = r.model_id
                              AND e.kind = 'trained')
         ORDER BY 1"""),
        {"placed": version.placed_at, "version": version.version, "most": MOST_CHANGED},
    )
    return list(keys)
