-- shared_items(model, others): numbers of items that a model and each of others have outcomes on, by
-- their preferred runs; no row for a model without a common benchmark. Where a model has one run
-- with outcomes on a benchmark, as is usual, that is the preferred one: ranking all takes longer than
-- finding the nearest of thousands of models. Concatenating with nothing decompresses, once a run.
CREATE FUNCTION store.shared_items(model bigint, others bigint[])
RETURNS TABLE (model_id bigint, items bigint)
LANGUAGE sql STABLE
AS $$
    WITH candidates AS (
        SELECT r.model_id, r.benchmark_id, r.run_id, r.right_bits, r.present_bits,
               count(*) OVER (PARTITION BY r.model_id, r.benchmark_id) AS runs
          FROM store.runs r
         WHERE r.model_id = ANY (array_append($2, $1)) AND r.right_bits IS NOT NULL
    ), seen AS MATERIALIZED (
        SELECT c.model_id, c.benchmark_id, c.right_bits || B'' AS right_bits,
               c.present_bits || B'' AS present_bits
          FROM candidates c
         WHERE CASE WHEN c.runs > 1 THEN c.run_id = (
                   SELECT o.run_id FROM store.model_outcomes(c.model_id, c.benchmark_id) o)
               ELSE true END
    )
    SELECT t.model_id, sum(o.items)::bigint
      FROM seen m
      JOIN seen t ON t.benchmark_id = m.benchmark_id
     CROSS JOIN LATERAL store.overlap(
           m.right_bits, m.present_bits, t.right_bits, t.present_bits) o
     WHERE m.model_id = $1
     GROUP BY t.model_id
$$;

COMMENT ON FUNCTION store.shared_items(bigint, bigint[]) IS
    'Numbers of items that a model and each of others have outcomes on, by their preferred runs.';
