-- accuracy_by_domain(model, benchmark): a model's mean outcome on the items of each domain.
CREATE FUNCTION registry.accuracy_by_domain(model text, benchmark text DEFAULT NULL)
RETURNS TABLE (
    on_benchmark text, version text, domain text, items bigint, accuracy double precision,
    standard_error double precision, all_models double precision
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    -- Materialized: decompressed once, not for each item, and dropped before the sort.
    WITH mine AS MATERIALIZED (
        SELECT k.benchmark_id, k.name, k.version, x.*, t.means || '{}'::real[] AS means
          FROM store.benchmarks k
          CROSS JOIN LATERAL store.model_outcomes(registry.model_id(model), k.benchmark_id) x
          LEFT JOIN store.item_statistics t ON t.benchmark_id = k.benchmark_id
         WHERE accuracy_by_domain.benchmark IS NULL
            OR k.benchmark_id IN (SELECT store.benchmark_ids(accuracy_by_domain.benchmark))
    ), seen AS MATERIALIZED (
        SELECT x.name, x.version, i.domain,
               coalesce(x.grades[i.ordinal + 1], store.bit_at(x.right_bits, i.ordinal))::float8
                   AS outcome,
               nullif(x.means[i.ordinal + 1], 'NaN') AS mean
          FROM mine x
          JOIN store.items i ON i.benchmark_id = x.benchmark_id
                            AND i.ordinal + 0 < length(x.right_bits)
         WHERE coalesce(store.bit_at(x.present_bits, i.ordinal), 1) = 1
    )
    SELECT name, version, domain, count(*), avg(outcome), stddev_samp(outcome) / sqrt(count(*)),
           avg(mean)
      FROM seen
     GROUP BY name, version, domain
     ORDER BY name, version, domain
$$;

COMMENT ON FUNCTION registry.accuracy_by_domain(text, text) IS
    'A model''s mean outcome on the items of each domain, by its preferred run on each benchmark.
model: any name of the model
benchmark: any name of a benchmark, or name@version; null for all
on_benchmark: name of the benchmark
version: version of the benchmark
domain: subject of the items; null where their source does not state it
items: number of items that the model was observed on
accuracy: mean outcome on them, in [0, 1]
standard_error: of that mean; null for a single item
all_models: mean outcome of all models on the same items

Example:
SELECT domain, items, accuracy, all_models
  FROM registry.accuracy_by_domain(''mistralai/Mistral-7B-v0.1'', ''mmlu_pro'')
 ORDER BY accuracy - all_models DESC;';
