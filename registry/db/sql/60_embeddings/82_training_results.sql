-- training_results: metrics of training methods on held-out outcomes, newest comparison first.
CREATE VIEW registry.training_results AS
SELECT c.comparison_id AS comparison, c.compared_at, r.split, r.method, r.metric, r.mean, r.lower,
       r.upper, r.seeds, c.data_fingerprint, c.settings, c.seconds
  FROM store.training_comparisons c
  JOIN store.training_results r ON r.comparison_id = c.comparison_id
 ORDER BY c.comparison_id DESC, r.split, r.metric, r.method;

COMMENT ON VIEW registry.training_results IS
    'Metrics of training methods on held-out outcomes: one row per comparison, split, method and metric, the newest comparison first.

Example:
SELECT split, method, mean, lower, upper
  FROM registry.training_results
 WHERE metric = ''rmse'' AND comparison = (SELECT max(comparison) FROM registry.training_results)
 ORDER BY split, mean;';
COMMENT ON COLUMN registry.training_results.comparison IS 'Number of the comparison.';
COMMENT ON COLUMN registry.training_results.compared_at IS 'When it was made (UTC).';
COMMENT ON COLUMN registry.training_results.split IS 'What was held out: cell, item, benchmark or domain.';
COMMENT ON COLUMN registry.training_results.method IS 'Training method or baseline.';
COMMENT ON COLUMN registry.training_results.metric IS 'Metric: log losses are in nats, others in [0, 1] or as their names say.';
COMMENT ON COLUMN registry.training_results.mean IS 'Mean over the seeds.';
COMMENT ON COLUMN registry.training_results.lower IS 'Lower end of the 95% interval of the mean; null with one seed.';
COMMENT ON COLUMN registry.training_results.upper IS 'Upper end of the 95% interval of the mean; null with one seed.';
COMMENT ON COLUMN registry.training_results.seeds IS 'Number of trainings, each with its own seed.';
COMMENT ON COLUMN registry.training_results.data_fingerprint IS 'Fingerprint of the outcomes.';
COMMENT ON COLUMN registry.training_results.settings IS 'Settings of the comparison, as JSON.';
COMMENT ON COLUMN registry.training_results.seconds IS 'Duration of the comparison in seconds.';
