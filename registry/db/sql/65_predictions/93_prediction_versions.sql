-- prediction_versions: versions of the score model, with what its predictions were worth on held-out
-- scores.
CREATE VIEW registry.prediction_versions AS
SELECT v.version_id AS version, v.state = 'current' AS current, v.state, v.created_at, v.placed_at,
       v.model_count AS models, v.benchmark_count AS benchmarks, v.score_count AS scores,
       v.dimension, v.reliable, v.metrics, v.settings, v.data_fingerprint, v.code_version, v.seed,
       v.seconds
  FROM store.prediction_versions v;

COMMENT ON VIEW registry.prediction_versions IS
    'Versions of the model that predicts scores, one row per fit that is kept. `registry train` fits a new one, which is current at once.

Example:
SELECT version, models, benchmarks, scores, reliable, metrics
  FROM registry.prediction_versions
 WHERE current;';
COMMENT ON COLUMN registry.prediction_versions.version IS 'Number of the version.';
COMMENT ON COLUMN registry.prediction_versions.current IS 'Whether predictions are by this version.';
COMMENT ON COLUMN registry.prediction_versions.state IS 'current or retired.';
COMMENT ON COLUMN registry.prediction_versions.created_at IS 'Time of the fit in UTC.';
COMMENT ON COLUMN registry.prediction_versions.placed_at IS 'Last time that models without scores got predictions of it, in UTC.';
COMMENT ON COLUMN registry.prediction_versions.models IS 'Number of models with scores that it was fitted to.';
COMMENT ON COLUMN registry.prediction_versions.benchmarks IS 'Number of benchmarks that it predicts.';
COMMENT ON COLUMN registry.prediction_versions.scores IS 'Number of scores that it was fitted to.';
COMMENT ON COLUMN registry.prediction_versions.dimension IS 'Number of abilities of a model.';
COMMENT ON COLUMN registry.prediction_versions.reliable IS 'Whether its 90% intervals held 85 to 95% of held-out scores, over all and with and without other scores of the model; predictions of one that failed are marked.';
COMMENT ON COLUMN registry.prediction_versions.metrics IS 'Figures on held-out scores: mean absolute error, coverage and width of 90% intervals, over all and by evidence.';
COMMENT ON COLUMN registry.prediction_versions.settings IS 'Settings of the fit.';
COMMENT ON COLUMN registry.prediction_versions.data_fingerprint IS 'Digest of the scores that it was fitted to.';
COMMENT ON COLUMN registry.prediction_versions.code_version IS 'Version of the registry that fitted it.';
COMMENT ON COLUMN registry.prediction_versions.seed IS 'Seed of the fit.';
COMMENT ON COLUMN registry.prediction_versions.seconds IS 'Seconds that the fit took.';
