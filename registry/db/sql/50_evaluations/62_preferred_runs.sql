-- preferred_runs(benchmark): of each model the run whose outcomes count on a benchmark.
-- The benchmark's shown measure before others, then in the order of store.preference.
CREATE FUNCTION store.preferred_runs(benchmark integer)
RETURNS TABLE (
    model_id bigint, run_id bigint, right_bits varbit, present_bits varbit, grades real[]
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT DISTINCT ON (r.model_id) r.model_id, r.run_id, r.right_bits, r.present_bits, r.grades
      FROM store.runs r
      JOIN store.measures k ON k.measure_id = r.measure_id
      JOIN store.benchmarks b ON b.benchmark_id = r.benchmark_id
      JOIN store.measures shown ON shown.measure_id = b.measure_id
      JOIN store.setups t ON t.setup_id = r.setup_id
     WHERE r.benchmark_id = benchmark AND r.right_bits IS NOT NULL
     ORDER BY r.model_id, (k.metric, k.filter) = (shown.metric, shown.filter) DESC,
              store.preference(r.complete, r.verified, r.revision, r.evaluated_at, true, t.shots,
                               r.item_count) DESC, t.fingerprint, r.run_id
$$;

COMMENT ON FUNCTION store.preferred_runs(integer) IS
    'Of each model the run whose outcomes count on a benchmark.';
