-- agreement(a, b, benchmark): agreement of two models' outcomes, a row for each common benchmark.
CREATE FUNCTION registry.agreement(a text, b text, benchmark text DEFAULT NULL)
RETURNS TABLE (
    on_benchmark text, version text, items bigint, agreement double precision,
    kappa double precision, accuracy_a double precision, accuracy_b double precision,
    both_right bigint, only_a bigint, only_b bigint, both_wrong bigint
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT k.name, k.version, o.items, s.agreement,
           CASE WHEN s.chance < 1 THEN (s.agreement - s.chance) / (1 - s.chance) END,
           o.right_a::float8 / o.items, o.right_b::float8 / o.items, o.both_right,
           o.right_a - o.both_right, o.right_b - o.both_right,
           o.items - o.right_a - o.right_b + o.both_right
      FROM store.benchmarks k
      CROSS JOIN LATERAL store.model_outcomes(registry.model_id(a), k.benchmark_id) x
      CROSS JOIN LATERAL store.model_outcomes(registry.model_id(b), k.benchmark_id) y
      CROSS JOIN LATERAL store.overlap(
          x.right_bits, x.present_bits, y.right_bits, y.present_bits) o
      CROSS JOIN LATERAL (
          SELECT (o.items - o.right_a - o.right_b + 2 * o.both_right)::float8
                     / nullif(o.items, 0) AS agreement,
                 (o.right_a::float8 * o.right_b + (o.items - o.right_a)::float8
                  * (o.items - o.right_b)) / nullif(o.items::float8 * o.items, 0) AS chance) s
     WHERE o.items > 0
       AND (agreement.benchmark IS NULL
            OR k.benchmark_id IN (SELECT store.benchmark_ids(agreement.benchmark)))
     ORDER BY k.name, k.version
$$;

COMMENT ON FUNCTION registry.agreement(text, text, text) IS
    'How often two models are right and wrong on the same items, a row for each benchmark with outcomes of both. Graded outcomes count as right from 0.5. Each model counts by its preferred run, as in leaderboard.
a: any name of one model
b: any name of the other
benchmark: any name of a benchmark, or name@version; null for all
on_benchmark: name of the benchmark
version: version of the benchmark
items: number of items that both were observed on
agreement: share of them on which both are right or both are wrong
kappa: Cohen''s kappa: agreement beyond that expected by chance from the two accuracies, at most 1
accuracy_a: share of them that a got right
accuracy_b: share of them that b got right
both_right: items that both got right
only_a: items that only a got right
only_b: items that only b got right
both_wrong: items that both got wrong

Example:
SELECT on_benchmark, items, agreement, kappa
  FROM registry.agreement(''mistralai/Mistral-7B-v0.1'', ''HuggingFaceH4/zephyr-7b-beta'');';
