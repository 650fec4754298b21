-- hardest_items(benchmark, limit): items with the lowest mean outcome.
CREATE FUNCTION registry.hardest_items(
    benchmark text, "limit" integer DEFAULT 20, min_models integer DEFAULT 1
)
RETURNS TABLE (
    item text, version text, domain text, models integer, mean_outcome real, prompt text,
    on_benchmark text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT i.item, b.version, i.domain, h.models, h.mean_outcome, i.prompt, b.name
      FROM (SELECT s.benchmark_id, u.place - 1 AS ordinal, u.models, u.mean_outcome
              FROM store.benchmark_ids(benchmark) AS w (benchmark_id)
              JOIN store.item_statistics s USING (benchmark_id)
              CROSS JOIN LATERAL unnest(s.models, s.means)
                         WITH ORDINALITY AS u (models, mean_outcome, place)
             WHERE u.models >= coalesce(min_models, 1)
             ORDER BY u.mean_outcome, u.models DESC, s.benchmark_id, u.place
             LIMIT greatest(coalesce("limit", 20), 0)) h
      JOIN store.items i ON i.benchmark_id = h.benchmark_id AND i.ordinal = h.ordinal
      JOIN store.benchmarks b ON b.benchmark_id = h.benchmark_id
     ORDER BY h.mean_outcome, h.models DESC, h.benchmark_id, h.ordinal
$$;

COMMENT ON FUNCTION registry.hardest_items(text, integer, integer) IS
    'Items of a benchmark by their mean outcome over all models, the lowest first. Each model counts once, by its preferred runs.
benchmark: any name of the benchmark, all versions; or name@version
limit: most rows; null is 20, negative is 0
min_models: leave out items with fewer observed models; null is 1
item: name of the item
version: version of the benchmark
domain: subject of the item, where the source states it
models: number of models observed on it
mean_outcome: their mean outcome, in [0, 1]
prompt: text of the item, where the source states it
on_benchmark: name of the benchmark as stored

Example:
SELECT item, domain, models, mean_outcome FROM registry.hardest_items(''gsm8k'', 10);';
