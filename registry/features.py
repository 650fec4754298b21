"""Feature vectors of models, kept as sets that models share, for similarity."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from registry.schema import FEATURE_DIMENSIONS

_COMPUTE = f"""
CREATE TEMPORARY TABLE incoming_features ON COMMIT DROP AS
SELECT model_id, md5(written)::uuid AS fingerprint, dimensions,
       l2_normalize(('{{{{' || written || '}}}}/{FEATURE_DIMENSIONS}')::sparsevec) AS features
  FROM (SELECT model_id,
               string_agg(dimension || ':' || value, ',' ORDER BY dimension) AS written,
               coalesce(
                   array_agg(dimension ORDER BY dimension) FILTER (WHERE dimension > 1), '{{{{}}}}'
               ) AS dimensions
          FROM (SELECT m.model_id, store.feature_dimension(f.feature) AS dimension,
                       -- Rounded, so that models of the same make share their features.
                       round(max(f.value)::numeric, 2) AS value
                  FROM store.models m
                 -- OFFSET 0: once a model, not once a tag.
                 CROSS JOIN LATERAL (
                           SELECT store.architecture_family(m.model_type, m.architectures)
                                      AS architecture
                           OFFSET 0) a
                 CROSS JOIN LATERAL store.features_of(
                           m.parameters, a.architecture, m.pipeline_tag, m.tags) f
                 WHERE {{condition}} AND f.value >= 0.005
                 GROUP BY m.model_id, dimension) AS hashed
         GROUP BY model_id) AS vectors
"""  # noqa: S608 - a constant


def refresh_features(connection: Connection, model_ids: Sequence[int] | None = None) -> int:
    """Compute the features of some models, or of all, and write what differs.

    A vector has length 1 and one dimension per feature of `registry.features`, found by hashing
    the feature's name; the size is rounded to two decimals of log2(millions) / 12, a step of 9%. A
    model without any feature has none.

    Returns:
        How many models have other features than before.
    """
    condition = "true" if model_ids is None else "m.model_id = ANY (:ids)"
    parameters = {} if model_ids is None else {"ids": list(model_ids)}
    connection.execute(text(_COMPUTE.format(condition=condition)), parameters)
    connection.exec_driver_sql("""
        INSERT INTO store.feature_sets (fingerprint, features, dimensions)
        SELECT DISTINCT ON (fingerprint) fingerprint, features, dimensions
          FROM incoming_features i
         WHERE NOT EXISTS (
                   SELECT FROM store.feature_sets s WHERE s.fingerprint = i.fingerprint)
            ON CONFLICT DO NOTHING""")
    written = connection.exec_driver_sql("""
        INSERT INTO store.model_features AS f (model_id, feature_set_id)
        SELECT i.model_id, s.feature_set_id
          FROM incoming_features i JOIN store.feature_sets s USING (fingerprint)
            ON CONFLICT (model_id) DO UPDATE SET feature_set_id = excluded.feature_set_id
         WHERE f.feature_set_id <> excluded.feature_set_id""").rowcount
    lost = connection.execute(
        text(f"""
        DELETE FROM store.model_features m
         WHERE {condition}
           AND NOT EXISTS (
                   SELECT FROM incoming_features i WHERE i.model_id = m.model_id)"""),  # noqa: S608
        parameters,
    ).rowcount
    connection.exec_driver_sql("DROP TABLE incoming_features")
    return written + lost


def count_frequencies(connection: Connection) -> None:
    """Count in how many feature sets each dimension is, 2 to 4 s per million models.

    Sets that no model has any more are forgotten.
    """
    for statement in (
        """DELETE FROM store.feature_sets s
            WHERE NOT EXISTS (SELECT FROM store.model_features f
                               WHERE f.feature_set_id = s.feature_set_id)""",
        "DELETE FROM store.feature_frequencies",
        """INSERT INTO store.feature_frequencies (dimension, sets)
           SELECT dimension, count(*) FROM store.feature_sets, unnest(dimensions) AS dimension
            GROUP BY dimension""",
    ):
        connection.exec_driver_sql(statement)
