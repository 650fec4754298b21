"""The whole catalog as text, independent of keys and of the time of storage."""

from sqlalchemy import Connection, text

QUERIES = {
    "models": """
        SELECT name, author, state, license, parameters, parameters_source, pipeline_tag, library,
               downloads, likes, downloads_all_time, trending_score, created_at, last_modified,
               family_root, generation, dtypes, quantization, model_type, architectures, languages,
               datasets, arxiv, tags, gated, sha, license_name, license_link, new_version,
               unread_fields, first_seen, changed_at, gone_at, card, config
          FROM registry.models ORDER BY name COLLATE "C" """,
    "aliases": 'SELECT * FROM registry.model_aliases ORDER BY model COLLATE "C", alias COLLATE "C"',
    "history": 'SELECT * FROM registry.model_history ORDER BY model COLLATE "C", observed_at',
    "lineage": """
        SELECT * FROM registry.lineage
         ORDER BY child COLLATE "C", parent COLLATE "C", relation""",
    "features": """
        SELECT m.name, s.features::text
          FROM store.model_features f JOIN store.models m USING (model_id)
          JOIN store.feature_sets s USING (feature_set_id)
         ORDER BY m.name COLLATE "C" """,
    "families": """
        SELECT m.name, p.name, f.generation, f.in_cycle
          FROM store.model_families f JOIN store.models m USING (model_id)
          LEFT JOIN store.models p ON p.model_id = f.primary_parent_id
         ORDER BY m.name COLLATE "C" """,
    "search": 'SELECT name, search::text FROM store.models ORDER BY name COLLATE "C"',
    "quarantine": 'SELECT * FROM registry.quarantine ORDER BY source, key COLLATE "C"',
    "passes": """
        SELECT kind, under_way, watermark, swept_at, swept_models FROM store.sync_passes
         ORDER BY kind""",
}


def exported(connection: Connection) -> dict[str, str]:
    """Return every table as lines of text."""
    return {
        name: "\n".join(repr(tuple(row)) for row in connection.execute(text(query)))
        for name, query in QUERIES.items()
    }
