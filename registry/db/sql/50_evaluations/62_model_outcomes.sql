-- model_outcomes(model, benchmark): the run of one model whose outcomes count on a benchmark.
-- The same order as in preferred_runs, which asks for all models.
CREATE FUNCTION store.model_outcomes(model bigint, benchmark integer)
RETURNS TABLE (run_id bigint, right_bits varbit, present_bits varbit, grades real[])
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT r.run_id, r.right_bits || B'', r.present_bits || B'',
           CASE WHEN r.grades IS NOT NULL THEN r.grades || '{}'::real[] END
      FROM store.runs r
      JOIN store.measures k ON k.measure_id = r.measure_id
      JOIN store.benchmarks b ON b.benchmark_id = r.benchmark_id
      JOIN store.measures shown ON shown.measure_id = b.measure_id
      JOIN store.setups t ON t.setup_id = r.setup_id
     WHERE r.model_id = model AND r.benchmark_id = benchmark AND r.right_bits IS NOT NULL
     ORDER BY (k.metric, k.filter) = (shown.metric, shown.filter) DESC,
              store.preference(r.complete, r.verified, r.revision, r.evaluated_at, true, t.shots,
                               r.item_count) DESC, t.fingerprint, r.run_id
     LIMIT 1
$$;

COMMENT ON FUNCTION store.model_outcomes(bigint, integer) IS
    'The run of one model whose outcomes count on a benchmark, taken out of storage.';
