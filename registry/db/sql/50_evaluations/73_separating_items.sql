-- separating_items(a, b, benchmark, limit): items on which two models differ, the hardest first.
CREATE FUNCTION registry.separating_items(
    a text, b text, benchmark text, "limit" integer DEFAULT 20
)
RETURNS TABLE (
    item text, version text, domain text, outcome_a real, outcome_b real, models integer,
    mean_outcome real, prompt text, on_benchmark text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    -- Materialized: decompressed once, not for each item.
    WITH pair AS MATERIALIZED (
        SELECT k.benchmark_id, k.name, k.version, x.right_bits AS right_a, x.present_bits AS present_a,
               x.grades AS grades_a, y.right_bits AS right_b, y.present_bits AS present_b,
               y.grades AS grades_b, t.models || '{}'::integer[] AS models,
               t.means || '{}'::real[] AS means
          FROM store.benchmark_ids(benchmark) AS w (benchmark_id)
          JOIN store.benchmarks k USING (benchmark_id)
          CROSS JOIN LATERAL store.model_outcomes(registry.model_id(a), k.benchmark_id) x
          CROSS JOIN LATERAL store.model_outcomes(registry.model_id(b), k.benchmark_id) y
          LEFT JOIN store.item_statistics t ON t.benchmark_id = k.benchmark_id
    )
    SELECT i.item, p.version, i.domain, d.outcome_a, d.outcome_b, p.models[i.ordinal + 1],
           p.means[i.ordinal + 1], i.prompt, p.name
      FROM pair p
      JOIN store.items i ON i.benchmark_id = p.benchmark_id
                        AND i.ordinal + 0 < least(length(p.right_a), length(p.right_b))
      CROSS JOIN LATERAL (
          SELECT coalesce(p.grades_a[i.ordinal + 1], store.bit_at(p.right_a, i.ordinal))
                     AS outcome_a,
                 coalesce(p.grades_b[i.ordinal + 1], store.bit_at(p.right_b, i.ordinal))
                     AS outcome_b
          ) d
     WHERE coalesce(store.bit_at(p.present_a, i.ordinal), 1) = 1
       AND coalesce(store.bit_at(p.present_b, i.ordinal), 1) = 1
       AND d.outcome_a <> d.outcome_b
     ORDER BY abs(d.outcome_a - d.outcome_b) DESC, p.means[i.ordinal + 1], p.name, p.version,
              i.ordinal
     LIMIT greatest(coalesce("limit", 20), 0)
$$;

COMMENT ON FUNCTION registry.separating_items(text, text, text, integer) IS
    'Items on which two models differ: by the difference, greatest first, then by mean outcome, lowest first.
a: any name of one model
b: any name of the other
benchmark: any name of the benchmark, all versions; or name@version
limit: most rows; null is 20, negative is 0
item: name of the item
version: version of the benchmark
domain: subject of the item, where the source states it
outcome_a: outcome of a, in [0, 1]
outcome_b: outcome of b, in [0, 1]
models: number of models that were observed on the item
mean_outcome: their mean outcome
prompt: text of the item, where the source states it
on_benchmark: name of the benchmark as stored

Example:
SELECT item, domain, outcome_a, outcome_b, mean_outcome
  FROM registry.separating_items(
           ''mistralai/Mistral-7B-v0.1'', ''HuggingFaceH4/zephyr-7b-beta'', ''gsm8k'');';
