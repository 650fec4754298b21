-- predictions: score of each model on each benchmark: the measured one where there is one, beside what
-- would have been predicted; else a prediction. By the current version and what it was fitted to.
CREATE VIEW registry.predictions AS
SELECT m.name AS model, coalesce(b.canonical, b.name) AS benchmark,
       b.version AS benchmark_version,
       CASE WHEN p.centre IS NOT NULL THEN NULL
            WHEN p.observed_variance = 0 THEN store.working_share(p.observed)
            ELSE store.working_share(p.mean) END AS score,
       CASE WHEN p.centre IS NULL AND p.observed_variance IS DISTINCT FROM 0
            THEN store.working_share(p.mean - h.half) END AS lower,
       CASE WHEN p.centre IS NULL AND p.observed_variance IS DISTINCT FROM 0
            THEN store.working_share(p.mean + h.half) END AS upper,
       CASE WHEN p.observed_variance = 0 THEN 'measured' ELSE p.evidence END AS kind,
       CASE WHEN p.centre IS NULL THEN store.working_share(p.mean) END AS predicted,
       CASE WHEN p.centre IS NULL THEN store.working_share(p.mean - h.half) END AS predicted_lower,
       CASE WHEN p.centre IS NULL THEN store.working_share(p.mean + h.half) END AS predicted_upper,
       CASE WHEN p.observed_variance = 0 THEN r.raw ELSE r.middle END AS raw_score,
       CASE WHEN p.observed_variance IS DISTINCT FROM 0 THEN least(r.low, r.high) END AS raw_lower,
       CASE WHEN p.observed_variance IS DISTINCT FROM 0 THEN greatest(r.low, r.high)
       END AS raw_upper,
       k.unit, p.evidence, p.support, p.model_scores, p.benchmark_scores,
       store.prediction_caution(v.reliable, p.benchmark_scores, p.evidence, p.support) AS caution,
       p.version_id AS version
  FROM store.predicted_scores p
  JOIN store.prediction_versions v ON v.version_id = p.version_id
  JOIN store.prediction_intervals i ON i.version_id = p.version_id AND i.evidence_group = p.evidence_group
  JOIN store.models m ON m.model_id = p.model_id
  JOIN store.benchmarks b ON b.benchmark_id = p.benchmark_id
  JOIN store.measures k ON k.measure_id = p.measure_id
 CROSS JOIN LATERAL (SELECT i.ratio_90 * p.deviation AS half OFFSET 0) h
 CROSS JOIN LATERAL (
       SELECT store.raw_of_working(p.observed, p.centre, p.scale, k.lower, k.upper,
                                   k.higher_is_better) AS raw,
              store.raw_of_working(p.mean, p.centre, p.scale, k.lower, k.upper,
                                   k.higher_is_better) AS middle,
              store.raw_of_working(p.mean - h.half, p.centre, p.scale, k.lower, k.upper,
                                   k.higher_is_better) AS low,
              store.raw_of_working(p.mean + h.half, p.centre, p.scale, k.lower, k.upper,
                                   k.higher_is_better) AS high) r;

COMMENT ON VIEW registry.predictions IS
    'Score of each model of the catalog on each benchmark with enough scores: the measured one where there is one, beside what would have been predicted without it; else a prediction with its 90% interval. Without pairs that too few models tie: where fewer than 10 have scores both on the benchmark and where the model, or those like it, was evaluated. By the current version of the score model; a score that came since its fit is not in it (function predict sees that). Predictions are no scores: leaderboards do not count them.

Example:
SELECT model, score, lower, upper, kind
  FROM registry.predictions
 WHERE benchmark = ''mmlu_pro'' AND kind <> ''measured''
 ORDER BY score DESC NULLS LAST
 LIMIT 10;';
COMMENT ON COLUMN registry.predictions.model IS 'Present name of the model.';
COMMENT ON COLUMN registry.predictions.benchmark IS 'Canonical name of the benchmark.';
COMMENT ON COLUMN registry.predictions.benchmark_version IS 'Version of the benchmark; empty where no source states one.';
COMMENT ON COLUMN registry.predictions.score IS 'Share in [0, 1], higher being better: measured or else predicted, the middle of what is likely; null where the measure has no bounds: see raw_score.';
COMMENT ON COLUMN registry.predictions.lower IS 'Lower end of the 90% interval of a predicted score; null of a measured one.';
COMMENT ON COLUMN registry.predictions.upper IS 'Its upper end.';
COMMENT ON COLUMN registry.predictions.kind IS 'measured, or what the prediction rests on: outcomes (on a part of the items, of this benchmark or of others), scores (of the model on other benchmarks) or catalog (lineage and metadata).';
COMMENT ON COLUMN registry.predictions.predicted IS 'Predicted share; of a measured score, what would have been predicted without it.';
COMMENT ON COLUMN registry.predictions.predicted_lower IS 'Lower end of the 90% interval of predicted.';
COMMENT ON COLUMN registry.predictions.predicted_upper IS 'Its upper end.';
COMMENT ON COLUMN registry.predictions.raw_score IS 'The same as score, on the benchmark''s own scale.';
COMMENT ON COLUMN registry.predictions.raw_lower IS 'Lower end of the 90% interval of a predicted raw score.';
COMMENT ON COLUMN registry.predictions.raw_upper IS 'Its upper end.';
COMMENT ON COLUMN registry.predictions.unit IS 'Unit of the raw score; null for a share.';
COMMENT ON COLUMN registry.predictions.evidence IS 'What predicted rests on: as kind, also of a measured score.';
COMMENT ON COLUMN registry.predictions.support IS 'Share of the variance of the model''s abilities that is known, in [0, 1]; near 0, the prediction is that of any model.';
COMMENT ON COLUMN registry.predictions.model_scores IS 'Number of the model''s scores that count.';
COMMENT ON COLUMN registry.predictions.benchmark_scores IS 'Number of the benchmark''s scores that count.';
COMMENT ON COLUMN registry.predictions.caution IS 'Why the prediction is weak; null where nothing speaks against it.';
COMMENT ON COLUMN registry.predictions.version IS 'Version of the score model, as in prediction_versions.';
