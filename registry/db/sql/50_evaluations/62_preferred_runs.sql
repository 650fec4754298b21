-- preferred_runs(benchmark): the preferred run with outcomes of each model on a benchmark, one with
-- outcomes on all its items before one with a part.
CREATE FUNCTION store.preferred_runs(benchmark integer)
RETURNS TABLE (
    model_id bigint, model text, run_id bigint, right_bits varbit, present_bits varbit,
    grades real[]
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT DISTINCT ON (r.model_id)
           r.model_id, r.model, r.run_id, r.right_bits, r.present_bits, r.grades
      FROM store.ranked_runs r
     WHERE r.benchmark_id = $1 AND r.has_outcomes
     ORDER BY r.model_id, r.outcome_tier, r.rank
$$;

COMMENT ON FUNCTION store.preferred_runs(integer) IS
    'The preferred run with outcomes of each model on a benchmark, one with outcomes on all its items before others.';
