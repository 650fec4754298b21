-- nearest_feature_sets(id, wanted): enough feature sets, nearest first, to hold the `wanted` models
-- that are nearest to the given set's by cosine; similarity in [0, 1]. Exact, in one of three ways:
-- the set alone, where its own models suffice; the sets that lack at most one or two of its
-- dimensions (split them into two or three groups: such a set holds one group whole), where the
-- wanted-th of them is nearer than any set that lacks more can be; all sets.
CREATE FUNCTION store.nearest_feature_sets(id bigint, wanted integer)
RETURNS TABLE (feature_set_id bigint, similarity double precision)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
#variable_conflict use_column
DECLARE
    self record;
    total CONSTANT double precision := greatest(
        (SELECT c.reltuples FROM pg_class AS c WHERE c.oid = 'store.feature_sets'::regclass), 1);
    own integer[];  -- the set's dimensions, the rarest first
    first integer[];
    second integer[];
    third integer[];
    sets bigint[];
    expected bigint;
    share double precision;  -- of one dimension in the squared length, which is one
    reached double precision;
    near bigint[];
    similarities double precision[];
BEGIN
    SELECT s.features, s.dimensions,
           (SELECT count(*) FROM (SELECT FROM store.model_features AS f
                                   WHERE f.feature_set_id = id LIMIT wanted) AS m) AS models
      INTO self FROM store.feature_sets AS s WHERE s.feature_set_id = id;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF self.models >= wanted THEN
        RETURN QUERY SELECT id, 1.0::double precision;
        RETURN;
    END IF;
    SELECT array_agg(d ORDER BY coalesce(f.sets, 0), d),
           array_agg(coalesce(f.sets, 0) ORDER BY coalesce(f.sets, 0), d)
      INTO own, sets
      FROM unnest(self.dimensions) AS d
      LEFT JOIN store.feature_frequencies AS f ON f.dimension = d;
    -- Without dimension 1 (the size) all entries of a unit vector are equal.
    share := (1 - coalesce((self.features <#> '{1:1}/16777216'::sparsevec) ^ 2, 0))
             / greatest(cardinality(own), 1);
    FOR lacking IN 1..2 LOOP
        EXIT WHEN total <= 40000 OR coalesce(cardinality(own), 0) < 2 * (lacking + 1);
        -- Groups are dealt out from the rarest on; the rarest of each bounds what its group finds.
        SELECT sum(n) INTO expected FROM unnest(sets[1:lacking + 1]) AS n;
        EXIT WHEN expected > total / 8;
        SELECT array_agg(u.d) FILTER (WHERE u.n % (lacking + 1) = 0),
               array_agg(u.d) FILTER (WHERE u.n % (lacking + 1) = 1),
               array_agg(u.d) FILTER (WHERE u.n % (lacking + 1) = lacking)
          INTO first, second, third
          FROM unnest(own) WITH ORDINALITY AS u (d, n);
        SELECT array_agg(c.feature_set_id ORDER BY c.distance),
               array_agg(1 - c.distance ORDER BY c.distance)
          INTO near, similarities
          FROM (SELECT s.feature_set_id, s.features <=> self.features AS distance
                  FROM store.feature_sets AS s
                 WHERE s.dimensions @> first OR s.dimensions @> second OR s.dimensions @> third
                 ORDER BY distance
                 LIMIT wanted) AS c;
        SELECT r.similarity INTO reached
          FROM (SELECT u.similarity, sum(m.models) OVER (ORDER BY u.position) AS models
                  FROM unnest(near, similarities) WITH ORDINALITY AS u (set_id, similarity, position),
                       LATERAL (SELECT count(*) AS models
                                  FROM (SELECT FROM store.model_features AS f
                                         WHERE f.feature_set_id = u.set_id LIMIT wanted) AS l) AS m) AS r
         WHERE r.models >= wanted
         ORDER BY r.models
         LIMIT 1;
        IF reached >= sqrt(greatest(1 - (lacking + 1) * share, 0)) THEN
            RETURN QUERY SELECT * FROM unnest(near, similarities);
            RETURN;
        END IF;
    END LOOP;
    RETURN QUERY
    SELECT s.feature_set_id, 1 - (s.features <=> self.features)
      FROM store.feature_sets AS s
     ORDER BY s.features <=> self.features
     LIMIT wanted;
END;
$$;

COMMENT ON FUNCTION store.nearest_feature_sets(bigint, integer) IS
    'Enough feature sets, nearest first, to hold the wanted number of models nearest to a set''s; exact.';
