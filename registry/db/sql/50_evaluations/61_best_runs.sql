-- best_runs(models, benchmarks): the preferred run of each pair of keys, if its measure is shown.
CREATE FUNCTION store.best_runs(models bigint[], benchmarks integer[])
RETURNS TABLE (model_id bigint, benchmark_id integer, run_id bigint)
LANGUAGE plpgsql STABLE
-- A plan that was made for a few runs may never end for many.
SET plan_cache_mode = force_custom_plan
-- Hundreds of thousands of runs are sorted at once, when a file has as many.
SET work_mem = '64MB'
AS $$
BEGIN
    -- Pairs are looked up by an index; of many, all runs on their benchmarks are ranked at once.
    IF cardinality(models) <= 2000 THEN
        RETURN QUERY
        SELECT r.model_id, r.benchmark_id, r.run_id
          FROM unnest(models, benchmarks) AS pair (m, b)
         CROSS JOIN LATERAL (
               SELECT o.model_id, o.benchmark_id, o.run_id FROM store.ranked_runs o
                WHERE o.model_id = pair.m AND o.benchmark_id = pair.b
                  AND o.rank = 1 AND o.is_shown
               -- As a join the conditions would not reach the tables.
               OFFSET 0) r;
    ELSE
        RETURN QUERY
        SELECT r.model_id, r.benchmark_id, r.run_id
          FROM store.ranked_runs r
          JOIN unnest(models, benchmarks) AS pair (m, b)
            ON pair.m = r.model_id AND pair.b = r.benchmark_id
         WHERE r.benchmark_id = ANY (ARRAY(SELECT DISTINCT unnest(benchmarks)))
           AND r.rank = 1 AND r.is_shown;
    END IF;
END;
$$;

COMMENT ON FUNCTION store.best_runs(bigint[], integer[]) IS
    'The preferred run of each pair of keys of a model and a benchmark, if its measure is shown.';
