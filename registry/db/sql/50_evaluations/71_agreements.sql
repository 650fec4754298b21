-- agreements(model, benchmark): agreement of a model's outcomes with those of every other model.
-- OFFSET 0 keeps bits decompressed once a run, and counted once a pair, as each count is in several
-- columns.
CREATE FUNCTION registry.agreements(model text, benchmark text)
RETURNS TABLE (
    other text, version text, items bigint, agreement double precision, kappa double precision,
    accuracy double precision, other_accuracy double precision, both_right bigint,
    only_model bigint, only_other bigint, both_wrong bigint, on_benchmark text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    WITH mine AS MATERIALIZED (
        SELECT b.benchmark_id, m.model_id, o.right_bits, o.present_bits
          FROM registry.model_id(model) AS m (model_id),
               store.benchmark_ids(benchmark) AS b (benchmark_id),
               store.model_outcomes(m.model_id, b.benchmark_id) o
    ), counted AS (
        SELECT p.model, a.benchmark_id, o.*
          FROM mine a
          CROSS JOIN LATERAL store.preferred_runs(a.benchmark_id) p
          CROSS JOIN LATERAL (SELECT p.right_bits || B'' AS right_bits OFFSET 0) f
          CROSS JOIN LATERAL (
              SELECT * FROM store.overlap(
                  a.right_bits, a.present_bits, f.right_bits, p.present_bits) OFFSET 0) o
         WHERE p.model_id <> a.model_id
    )
    SELECT c.model, b.version, c.items, s.agreement,
           CASE WHEN s.chance < 1 THEN (s.agreement - s.chance) / (1 - s.chance) END,
           c.right_a::float8 / c.items, c.right_b::float8 / c.items, c.both_right,
           c.right_a - c.both_right, c.right_b - c.both_right,
           c.items - c.right_a - c.right_b + c.both_right, b.name
      FROM counted c
      JOIN store.benchmarks b ON b.benchmark_id = c.benchmark_id
      CROSS JOIN LATERAL (
          SELECT (c.items - c.right_a - c.right_b + 2 * c.both_right)::float8 / c.items
                     AS agreement,
                 (c.right_a::float8 * c.right_b + (c.items - c.right_a)::float8
                  * (c.items - c.right_b)) / (c.items::float8 * c.items) AS chance) s
     WHERE c.items > 0
     ORDER BY s.agreement DESC, c.model
$$;

COMMENT ON FUNCTION registry.agreements(text, text) IS
    'How often a model is right and wrong on the same items as every other model, the most similar first. Graded outcomes count as right from 0.5. Each model counts by its preferred run, as in leaderboard.
model: any name of the model
benchmark: any name of the benchmark, all versions; or name@version
other: name of the other model
version: version of the benchmark
items: number of items that both were observed on
agreement: share of them on which both are right or both are wrong
kappa: Cohen''s kappa: agreement beyond that expected by chance from the two accuracies, at most 1
accuracy: share of them that the model got right
other_accuracy: share of them that the other got right
both_right: items that both got right
only_model: items that only the model got right
only_other: items that only the other got right
both_wrong: items that both got wrong
on_benchmark: name of the benchmark as stored

Example:
SELECT other, items, agreement, kappa
  FROM registry.agreements(''mistralai/Mistral-7B-v0.1'', ''gsm8k'') LIMIT 10;';
