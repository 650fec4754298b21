-- model_outcomes(model, benchmark): the preferred run with outcomes of a model on a benchmark.
-- Concatenating with nothing decompresses the outcomes, once a run.
CREATE FUNCTION store.model_outcomes(model bigint, benchmark integer)
RETURNS TABLE (run_id bigint, right_bits varbit, present_bits varbit, grades real[])
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT r.run_id, r.right_bits || B'', r.present_bits || B'',
           CASE WHEN r.grades IS NOT NULL THEN r.grades || '{}'::real[] END
      FROM store.ranked_runs r
     WHERE r.model_id = $1 AND r.benchmark_id = $2 AND r.has_outcomes
     ORDER BY r.outcome_tier, r.rank
     LIMIT 1
$$;

COMMENT ON FUNCTION store.model_outcomes(bigint, integer) IS
    'The preferred run with outcomes of a model on a benchmark, its outcomes decompressed.';
