-- matching_models(queries, counts, most, ...): keys of the most downloaded models that match every
-- query, best first; counts has the number of models that match each query alone. Searches the popular
-- models first (lexemes top=4, top=3, top=2), in as narrow a stage as the number of matches suggests is
-- enough, so that neither frequent nor rare words fetch many rows.
--
-- Several queries are first assumed to be independent: the stage that then costs least is tried first,
-- with the queries for the index that pay (see index_question). Queries may exclude or imply each
-- other: where that leaves far too few matches, or too many rows to fetch, the stages are tried one by
-- one, with all queries for the index.
CREATE FUNCTION store.matching_models(
    queries tsquery[], counts bigint[], most integer,
    licenses text[], tags text[], min_parameters bigint, max_parameters bigint)
RETURNS bigint[]
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    total CONSTANT double precision := greatest(
        (SELECT c.reltuples FROM pg_class AS c WHERE c.oid = 'store.models'::regclass), 1);
    everything tsquery := queries[1];
    independent double precision := total;  -- matches of independent queries
    expected double precision := counts[1];  -- matches, at most
    dependent boolean := false;
    step record;
    most_fetched bigint;  -- null where there is no limit
    fetched bigint;
    hits bigint[];
    found bigint[] := '{}';
    searched integer := 0;
BEGIN
    FOR part IN 1..cardinality(queries) LOOP
        independent := independent * least(counts[part] / total, 1);
        expected := least(expected, counts[part]);
        IF part > 1 THEN
            everything := everything && queries[part];
        END IF;
    END LOOP;
    FOR step IN
        WITH stages AS MATERIALIZED (
            SELECT CASE v.word WHEN 'top=4' THEN 1 WHEN 'top=3' THEN 2 ELSE 3 END AS place,
                   v.word, v.models, least(v.models / total, 1) AS share
              FROM store.search_vocabulary AS v
             WHERE v.word IN ('top=4', 'top=3', 'top=2')
               AND expected * least(v.models / total, 1) >= 1.5 * most
             UNION ALL
            SELECT 4, NULL, total::bigint, 1
        ),
        choices AS MATERIALIZED (
            SELECT s.place, s.share, q.indexed, q.unindexed, q.fetches, q.cost
              FROM stages AS s,
                   store.index_question(queries, counts, s.word, s.models, total) AS q
             WHERE cardinality(queries) > 1
        ),
        cheapest AS (
            SELECT *
              FROM choices AS c
             WHERE c.place = 4 OR independent * c.share >= 1.5 * most
             ORDER BY c.cost, c.place
             LIMIT 1
        )
        SELECT *
          FROM (SELECT 1 AS turn, g.* FROM cheapest AS g
                 UNION ALL
                SELECT 2, c.* FROM choices AS c
                 UNION ALL
                SELECT 3, s.place, s.share,
                       CASE WHEN s.word IS NULL THEN everything
                            ELSE everything && store.quoted_lexeme(s.word)::tsquery END,
                       NULL, NULL, NULL
                  FROM stages AS s) AS steps
         ORDER BY turn > 1, place, turn
    LOOP
        CONTINUE WHEN step.place <= searched
            OR (step.turn = 2 AND dependent)
            OR (step.turn > 1 AND step.place < 4 AND expected * step.share < 1.5 * most);
        most_fetched := CASE WHEN step.turn < 3 THEN greatest(3000, 2 * step.fetches) END;
        SELECT count(*), coalesce(array_agg(m.model_id) FILTER (
                   WHERE (step.unindexed IS NULL OR m.search @@ step.unindexed)
                     AND (licenses IS NULL OR lower(m.license) = ANY (licenses))
                     AND (matching_models.tags IS NULL OR m.tags @> matching_models.tags)
                     AND (min_parameters IS NULL OR m.parameters >= min_parameters)
                     AND (max_parameters IS NULL OR m.parameters <= max_parameters)
                     AND (num_nonnulls(min_parameters, max_parameters) = 0
                          OR NOT store.is_inherited_size(m.parameters_source))), '{}')
          INTO fetched, hits
          FROM (SELECT m.model_id, m.license, m.tags, m.parameters, m.parameters_source, m.search
                  FROM store.models AS m
                 WHERE m.search @@ step.indexed
                 LIMIT most_fetched) AS m;
        dependent := dependent
            OR fetched >= most_fetched
            OR (step.turn = 1 AND cardinality(hits) < 0.25 * independent * step.share);
        CONTINUE WHEN fetched >= most_fetched;
        found := ARRAY(
            SELECT h.model_id
              FROM unnest(hits) AS h (model_id)
              LEFT JOIN store.counters AS c ON c.model_id = h.model_id  -- stubs have none
             ORDER BY c.downloads DESC NULLS LAST, h.model_id
             LIMIT most);
        EXIT WHEN cardinality(found) >= most OR step.place = 4;
        expected := least(expected, cardinality(found) / step.share);
        searched := step.place;
    END LOOP;
    RETURN found;
END;
$$;

COMMENT ON FUNCTION store.matching_models(tsquery[], bigint[], integer, text[], text[], bigint, bigint) IS
    'Keys of the most downloaded models that match, the best first.';
