-- similar_models(model, k): the k models most similar to one by features and lineage, best first.
-- combined = alpha x feature (cosine) + (1 - alpha) x lineage (weight of the strongest relation),
-- all in [0, 1]. Exact in catalogs without an HNSW index, except for parents of more than 20,000
-- children. Equally similar models are in order of downloads, among those that were read.
CREATE FUNCTION registry.similar_models(model text, k integer DEFAULT 10)
RETURNS TABLE (name text, feature double precision, lineage double precision,
               combined double precision)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
#variable_conflict use_column
DECLARE
    id CONSTANT bigint := registry.model_id(similar_models.model);
    -- Of more, four times as many are no integer; no catalog has so many models.
    most CONSTANT integer := least(greatest(coalesce(k, 10), 0), 500000000);
    alpha CONSTANT double precision := (
        SELECT w.weight FROM store.similarity_weights AS w WHERE w.name = 'feature');
    self record;
BEGIN
    SELECT f.feature_set_id, s.features INTO self
      FROM store.model_features AS f
      JOIN store.feature_sets AS s ON s.feature_set_id = f.feature_set_id
     WHERE f.model_id = id;
    RETURN QUERY
    WITH alike AS MATERIALIZED (
        SELECT m.model_id, n.similarity AS feature
          FROM store.nearest_feature_sets(self.feature_set_id, most + 1) AS n,
               LATERAL (SELECT f.model_id FROM store.model_features AS f
                         WHERE f.feature_set_id = n.feature_set_id
                         ORDER BY f.model_id
                         LIMIT most + 1) AS m
         ORDER BY n.similarity DESC
         LIMIT 4 * most + 1
    ), related AS MATERIALIZED (
        SELECT l.model_id, l.lineage FROM store.lineage_neighbours(id) AS l
    ), scored AS (
        SELECT r.model_id, coalesce(1 - (s.features <=> self.features), 0) AS feature, r.lineage
          FROM related AS r
          LEFT JOIN store.model_features AS f ON f.model_id = r.model_id
          LEFT JOIN store.feature_sets AS s ON s.feature_set_id = f.feature_set_id
         UNION ALL
        SELECT a.model_id, a.feature, 0
          FROM alike AS a
         WHERE NOT EXISTS (SELECT FROM related AS r WHERE r.model_id = a.model_id)
    ), best AS (
        SELECT s.model_id, s.feature, s.lineage,
               alpha * s.feature + (1 - alpha) * s.lineage AS combined
          FROM scored AS s
         WHERE s.model_id <> id
         ORDER BY combined DESC, s.model_id
         LIMIT 4 * most
    )
    SELECT m.name, b.feature, b.lineage::double precision, b.combined
      FROM best AS b
      JOIN store.models AS m ON m.model_id = b.model_id
      LEFT JOIN store.counters AS c ON c.model_id = b.model_id
     ORDER BY b.combined DESC, c.downloads DESC NULLS LAST, m.name
     LIMIT most;
END;
$$;

COMMENT ON FUNCTION registry.similar_models(text, integer) IS
    'The models most similar to one by metadata and lineage, for any model of the catalog, the most similar first; of equally similar ones the more downloaded. Exact up to 100,000 different sets of features; above, the nearest by features come from an HNSW index. At most 20,000 children of a parent are read.
model: any name of the model
k: most rows to return; null is 10, less than 0 is 0
name: name of the other model
feature: similarity of their features, in [0, 1], as in function similarity
lineage: weight of the strongest relation between them, in [0, 1]
combined: weighted mean of both, which the rows are ordered by

Example:
SELECT name, combined, lineage
  FROM registry.similar_models(''HuggingFaceH4/zephyr-7b-beta'', 5);';
