-- similarity(a, b): similarity of two models; one row, no row for an unknown name.
-- feature: of architecture, task and tags the cosine, weighed with the nearness of sizes; lineage: weight of the strongest relation;
-- combined: their mean as weighted by store.similarity_weights; all in [0, 1]. learned: exp(-distance) of
-- the current version's vectors, in [0, 1]; null where one has none. A model to itself is 1.
CREATE FUNCTION registry.similarity(a text, b text)
RETURNS TABLE (feature double precision, lineage double precision, combined double precision,
               learned double precision)
LANGUAGE sql STABLE
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
    SELECT s.feature, s.lineage, alpha.weight * s.feature + (1 - alpha.weight) * s.lineage,
           s.learned
      FROM (SELECT CASE WHEN m.a = m.b THEN 1 ELSE coalesce(
                       (SELECT 1 - (x.features <=> y.features)
                          FROM store.model_features AS f
                          JOIN store.feature_sets AS x ON x.feature_set_id = f.feature_set_id
                          JOIN store.model_features AS g ON g.model_id = m.b
                          JOIN store.feature_sets AS y ON y.feature_set_id = g.feature_set_id
                         WHERE f.model_id = m.a), 0) END AS feature,
                   CASE WHEN m.a = m.b THEN 1 ELSE store.lineage_similarity(m.a, m.b) END AS lineage,
                   -- Of smaller numbers exp fails.
                   (SELECT exp(-least(x.vector <-> y.vector, 700))
                      FROM store.embeddings AS x, store.embeddings AS y
                     WHERE x.version_id = (SELECT v.version_id FROM store.embedding_versions AS v
                                            WHERE v.state = 'current')
                       AND y.version_id = (SELECT v.version_id FROM store.embedding_versions AS v
                                            WHERE v.state = 'current')
                       AND x.model_id = m.a AND y.model_id = m.b) AS learned
              FROM (SELECT registry.model_id($1) AS a, registry.model_id($2) AS b) AS m
             WHERE m.a IS NOT NULL AND m.b IS NOT NULL) AS s,
           store.similarity_weights AS alpha
     WHERE alpha.name = 'feature'
$$;

COMMENT ON FUNCTION registry.similarity(text, text) IS
    'Similarity of two models; one row, none for an unknown name. A model has similarity 1 to itself.
a: any name of a model
b: any name of another
feature: similarity of their features in [0, 1]: the cosine of architecture, task and tags, and 0.3 of it the nearness of their sizes, so that models of one kind with ten times the weights have 0.7; 0 where one has none
lineage: weight of the strongest relation between them (see similarity_weights), in [0, 1]
combined: weighted mean of feature and lineage, in [0, 1]
learned: exp(-distance) of their learned vectors in the current version, with the distance of nearest_models: 1 for equal vectors, 0.90 at a distance of 0.1, towards 0 far apart; null where one has no vector

Example:
SELECT feature, lineage, combined, learned
  FROM registry.similarity(''HuggingFaceH4/zephyr-7b-beta'', ''mistralai/Mistral-7B-v0.1'');';
