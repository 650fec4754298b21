-- nearest_feature_sets(id, minimum): feature sets nearest to a set, nearest first, that have at least this
-- number of models; similarity is the cosine, in [0, 1]. The set alone where its own models suffice.
-- Else by the HNSW index if the catalog is large enough to have one (see registry/catalog/indexes.py),
-- and by reading every set if not, which is exact.
CREATE FUNCTION store.nearest_feature_sets(id bigint, minimum integer)
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
                               WHERE f.feature_set_id = id LIMIT minimum) AS m) >= minimum THEN
        RETURN QUERY SELECT id, 1.0::double precision;
        RETURN;
    END IF;
    SELECT s.features INTO own FROM store.feature_sets AS s WHERE s.feature_set_id = id;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- For this transaction, five times the default: a recall of 0.97 at 850,000 sets. At most 1,000.
    PERFORM set_config('hnsw.ef_search', least(greatest(200, minimum), 1000)::text, true);
    RETURN QUERY
    SELECT s.feature_set_id, 1 - (s.features <=> own)
      FROM store.feature_sets AS s
     ORDER BY s.features <=> own
     LIMIT minimum;
END;
$$;

COMMENT ON FUNCTION store.nearest_feature_sets(bigint, integer) IS
    'Feature sets nearest to a set, nearest first, that have at least a number of models; exact without an HNSW index.';
