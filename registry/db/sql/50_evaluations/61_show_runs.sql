-- show_runs(models, benchmarks): compute which run leaderboards show, for pairs of keys. Triggers on
-- runs and benchmarks call it, and each upgrade for all.
CREATE FUNCTION store.show_runs(models bigint[], benchmarks integer[]) RETURNS void
LANGUAGE sql
-- A plan that was made for a few runs may never end for many.
SET plan_cache_mode = force_custom_plan
AS $$
    WITH pairs AS (
        SELECT * FROM unnest(models, benchmarks) AS pair (model_id, benchmark_id)
    ), chosen AS MATERIALIZED (
        SELECT * FROM store.best_runs(models, benchmarks)
    ), gone AS (
        DELETE FROM store.shown_runs s USING pairs p
         WHERE (s.model_id, s.benchmark_id) = (p.model_id, p.benchmark_id)
           AND NOT EXISTS (SELECT FROM chosen c
                            WHERE (c.model_id, c.benchmark_id) = (p.model_id, p.benchmark_id))
    )
    INSERT INTO store.shown_runs AS s (model_id, benchmark_id, run_id)
    SELECT model_id, benchmark_id, run_id FROM chosen
        ON CONFLICT (model_id, benchmark_id) DO UPDATE SET run_id = excluded.run_id
     WHERE s.run_id <> excluded.run_id
$$;

COMMENT ON FUNCTION store.show_runs(bigint[], integer[]) IS
    'Compute which run leaderboards show, for pairs of keys of models and benchmarks.';
