"""Sizes and features of models that an earlier version of the registry stored, computed again."""

from sqlalchemy import Connection, text

from registry.catalog.facts import effective
from registry.catalog.feature_sets import delete_unused_sets, replace_features
from registry.catalog.features import Traits, feature_set
from registry.hub.parameters import Weights, unpack

_COUNTS_WEIGHTS = "0011"
"""Revision from which packed weights are counted unpacked, and features weigh the size."""

AT_ONCE = 5_000
"""Models that are read at once."""


def refresh(connection: Connection, before: str) -> int:
    """Bring sizes and features up to date after an upgrade from revision `before`.

    Returns:
        How many models have other features than before.
    """
    if before >= _COUNTS_WEIGHTS:
        return 0
    sized = _unpack(connection)
    stubs = connection.scalars(
        text("SELECT model_id FROM store.models WHERE state = 'stub' AND parameters IS NULL")
    ).all()
    effective.apply(connection, [*sized, *stubs])
    effective.apply_everywhere(connection)
    changed = _refresh_features(connection)
    delete_unused_sets(connection)
    return changed


def _unpack(connection: Connection) -> list[int]:
    """Estimate the sizes of packed models; return the keys of those that have others now."""
    connection.exec_driver_sql("""
        UPDATE store.models SET stored_parameters = parameters
         WHERE parameters_source IN ('safetensors', 'gguf') AND stored_parameters IS NULL""")
    packed = connection.execute(
        text("""
        SELECT model_id, name, parameters, dtypes, quantization FROM store.models
         WHERE parameters_source = 'safetensors'
           AND jsonb_exists_any(dtypes, '{I32,U32,I16,U8}')""")
    )
    sizes = {}
    for row in packed:
        stored = Weights(row.parameters, "safetensors", row.dtypes, True, row.parameters)  # noqa: FBT003
        weights = unpack(stored, row.name, row.quantization)
        if weights != stored:
            sizes[row.model_id] = weights
    connection.execute(
        text("""
        UPDATE store.models m SET parameters = s.parameters, parameters_source = s.source
          FROM unnest(CAST(:keys AS bigint[]), CAST(:sizes AS bigint[]), CAST(:sources AS text[]))
                   AS s (model_id, parameters, source)
         WHERE m.model_id = s.model_id"""),
        {
            "keys": list(sizes),
            "sizes": [each.parameters for each in sizes.values()],
            "sources": [each.source for each in sizes.values()],
        },
    )
    return list(sizes)


def _refresh_features(connection: Connection) -> int:
    """Compute the features of all models from their rows; return how many models changed."""
    changed, last = 0, 0
    while True:
        rows = connection.execute(
            text("""
            SELECT model_id, parameters, model_type, architectures, pipeline_tag, tags
              FROM store.models WHERE model_id > :last ORDER BY model_id LIMIT :at_once"""),
            {"last": last, "at_once": AT_ONCE},
        ).all()
        if not rows:
            return changed
        last = rows[-1].model_id
        changed += replace_features(
            connection, {row.model_id: feature_set(Traits(*row[1:])) for row in rows}
        )
