"""Feature vectors of models, kept beside them for similarity."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from registry.schema import FEATURE_DIMENSIONS

_WRITE = f"""
INSERT INTO store.model_features AS f (model_id, features)
SELECT model_id, l2_normalize(
           ('{{' || string_agg(dimension || ':' || value, ',' ORDER BY dimension)
            || '}}/{FEATURE_DIMENSIONS}')::sparsevec)
  FROM (SELECT m.model_id, store.feature_dimension(f.feature) AS dimension,
               max(f.value::real) AS value
          FROM store.models m
         -- OFFSET 0: once a model, not once a tag.
         CROSS JOIN LATERAL (
                   SELECT store.architecture_family(m.model_type, m.architectures) AS architecture
                   OFFSET 0) a
         CROSS JOIN LATERAL store.features_of(
                   m.parameters, a.architecture, m.pipeline_tag, m.tags) f
         WHERE CONDITION AND f.value > 0
         GROUP BY m.model_id, dimension) AS hashed
 GROUP BY model_id
    ON CONFLICT (model_id) DO UPDATE SET features = excluded.features
 WHERE f.features <> excluded.features
"""  # noqa: S608 - a constant

_FORGET = """
DELETE FROM store.model_features f USING store.models m
 WHERE m.model_id = f.model_id AND CONDITION
   AND NOT EXISTS (
           SELECT FROM store.features_of(
               m.parameters, store.architecture_family(m.model_type, m.architectures),
               m.pipeline_tag, m.tags) AS any_feature WHERE any_feature.value > 0)
"""


def refresh_features(connection: Connection, model_ids: Sequence[int] | None = None) -> int:
    """Compute the feature vectors of some models, or of all, and write those that differ.

    A vector has length 1 and one dimension per feature of `registry.features`, found by hashing
    the feature's name; a model without any feature has no vector.

    Returns:
        How many vectors were written.
    """
    condition = "true" if model_ids is None else "m.model_id = ANY (:ids)"
    parameters = {} if model_ids is None else {"ids": list(model_ids)}
    connection.execute(text(_FORGET.replace("CONDITION", condition)), parameters)
    return connection.execute(text(_WRITE.replace("CONDITION", condition)), parameters).rowcount
