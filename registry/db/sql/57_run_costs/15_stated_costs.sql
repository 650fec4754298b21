-- stated_costs: what runs cost by their sources, which state it as a score of its own: total_cost in USD.
CREATE VIEW store.stated_costs AS
SELECT r.model_id, r.run_id, r.benchmark_id, coalesce(r.item_count, d.item_count) AS items,
       d.score AS dollars
  FROM store.measures k
  JOIN store.runs d ON d.measure_id = k.measure_id AND d.benchmark_id = k.benchmark_id
  -- The same run by another metric.
  JOIN store.runs r ON (r.model_id, r.benchmark_id, r.setup_id, r.source_id, r.name_id)
                     = (d.model_id, d.benchmark_id, d.setup_id, d.source_id, d.name_id)
                   AND r.measure_id <> d.measure_id
                   AND r.evaluated_at IS NOT DISTINCT FROM d.evaluated_at
                   AND r.revision IS NOT DISTINCT FROM d.revision
 WHERE k.metric = 'total_cost' AND k.unit = 'USD' AND d.score > 0;

COMMENT ON VIEW store.stated_costs IS 'Costs of runs that their sources state, in US dollars.';
COMMENT ON COLUMN store.stated_costs.model_id IS 'Key of the model.';
COMMENT ON COLUMN store.stated_costs.run_id IS 'Key of the run that cost it, not of the score that states it.';
COMMENT ON COLUMN store.stated_costs.benchmark_id IS 'Key of the benchmark.';
COMMENT ON COLUMN store.stated_costs.items IS 'Number of items, where known.';
COMMENT ON COLUMN store.stated_costs.dollars IS 'Cost of the whole run.';
