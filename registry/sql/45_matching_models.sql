-- matching_models(query, estimate, wanted, ...): ids of the most downloaded models that match, best
-- first. Looks among the popular first (lexemes top=4, top=3, top=2), as far up as the estimate of
-- hits says that enough may be found, so that neither frequent nor rare words fetch many rows.
CREATE FUNCTION store.matching_models(
    query tsquery, estimate bigint, wanted integer,
    by_tag text, min_parameters bigint, max_parameters bigint)
RETURNS bigint[]
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    total CONSTANT double precision := greatest(
        (SELECT c.reltuples FROM pg_class AS c WHERE c.oid = 'store.models'::regclass), 1);
    expected double precision := estimate;  -- hits among all models
    stage record;
    found bigint[] := '{}';
    looked tsquery;
BEGIN
    FOR stage IN
        SELECT v.word, v.models / total AS share
          FROM store.search_vocabulary AS v
         WHERE v.word IN ('top=4', 'top=3', 'top=2')
         UNION ALL
        SELECT NULL, 1
         ORDER BY 2
    LOOP
        CONTINUE WHEN stage.word IS NOT NULL AND expected * stage.share < 1.5 * wanted;
        looked := CASE WHEN stage.word IS NULL THEN query
                       ELSE query && store.quoted_lexeme(stage.word)::tsquery END;
        found := ARRAY(
            SELECT m.model_id
              FROM store.models AS m
              JOIN store.counters AS c ON c.model_id = m.model_id
             WHERE m.search @@ looked
               AND (by_tag IS NULL OR m.tags @> ARRAY[by_tag])
               AND (min_parameters IS NULL OR m.parameters >= min_parameters)
               AND (max_parameters IS NULL OR m.parameters <= max_parameters)
             ORDER BY c.downloads DESC NULLS LAST, m.model_id
             LIMIT wanted);
        EXIT WHEN cardinality(found) >= wanted;
        expected := least(expected, cardinality(found) / stage.share);
    END LOOP;
    RETURN found;
END;
$$;

COMMENT ON FUNCTION store.matching_models(tsquery, bigint, integer, text, bigint, bigint) IS
    'Keys of the most downloaded models that match, the best first.';
