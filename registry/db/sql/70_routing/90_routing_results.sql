-- routing_results: metrics of routers on held-out items, the newest evaluation first.
CREATE VIEW registry.routing_results AS
SELECT e.evaluation_id AS evaluation, r.router, r.split, r.metric, r.value, r.lower, r.upper, r.n,
       e.evaluated_at, e.data_fingerprint, e.code_version, e.seed, e.seeds,
       e.settings ->> 'encoder' AS encoder, e.settings, e.seconds
  FROM store.routing_evaluations e
  JOIN store.routing_results r USING (evaluation_id)
 ORDER BY e.evaluation_id DESC, r.split, r.metric, r.router;

COMMENT ON VIEW registry.routing_results IS
    'Metrics of routers, baselines and oracles on the same held-out items: one row per evaluation, router, split and metric, the newest evaluation first.

Example:
SELECT router, value, lower, upper
  FROM registry.routing_results
 WHERE metric = ''avg_acc'' AND split = ''item''
   AND evaluation = (SELECT max(evaluation) FROM registry.routing_results)
 ORDER BY value DESC;';
COMMENT ON COLUMN registry.routing_results.evaluation IS 'Number of the evaluation.';
COMMENT ON COLUMN registry.routing_results.router IS
    'Router, baseline or oracle; a cascade or single model by its name after a colon.';
COMMENT ON COLUMN registry.routing_results.split IS
    'What was held out: item (of each group), subject or benchmark (whole ones).';
COMMENT ON COLUMN registry.routing_results.metric IS
    'Metric, by its published name; docs/routing.md defines each.';
COMMENT ON COLUMN registry.routing_results.value IS
    'Value, over all held-out prompts of all splits; shares in [0, 1], costs in dollars.';
COMMENT ON COLUMN registry.routing_results.lower IS
    'Lower end of the 95% interval, by resampled items, or groups where whole ones are held out; of AUC, calibration error and RouteLLM''s figures by the splits. Null where it is not defined.';
COMMENT ON COLUMN registry.routing_results.upper IS 'Upper end of it.';
COMMENT ON COLUMN registry.routing_results.n IS 'Number of held-out prompts, those of all splits.';
COMMENT ON COLUMN registry.routing_results.evaluated_at IS 'When it was evaluated (UTC).';
COMMENT ON COLUMN registry.routing_results.data_fingerprint IS
    'Fingerprint of outcomes, vectors, groups, costs and answers.';
COMMENT ON COLUMN registry.routing_results.code_version IS 'Version of the registry.';
COMMENT ON COLUMN registry.routing_results.seed IS 'Seed of the first split; the others count on.';
COMMENT ON COLUMN registry.routing_results.seeds IS 'Number of splits.';
COMMENT ON COLUMN registry.routing_results.encoder IS 'Encoder of the prompts.';
COMMENT ON COLUMN registry.routing_results.settings IS
    'Settings, as JSON: models, benchmarks, routers, and what was left out.';
COMMENT ON COLUMN registry.routing_results.seconds IS 'Duration of the evaluation in seconds.';
