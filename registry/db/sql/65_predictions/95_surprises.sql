-- surprises: measured scores that are unlikely by all else that is known of the model, the least
-- likely first by distance. The tail beyond the highest level at which intervals were measured is a normal
-- distribution's of the same width there.
CREATE VIEW registry.surprises AS
SELECT m.name AS model, coalesce(b.canonical, b.name) AS benchmark,
       b.version AS benchmark_version,
       CASE WHEN p.centre IS NULL THEN store.working_share(p.observed) END AS score,
       CASE WHEN p.centre IS NULL THEN store.working_share(p.mean) END AS predicted,
       CASE WHEN p.centre IS NULL
            THEN store.working_share(p.mean - i.ratio_90 * p.deviation) END AS predicted_lower,
       CASE WHEN p.centre IS NULL
            THEN store.working_share(p.mean + i.ratio_90 * p.deviation) END AS predicted_upper,
       store.raw_of_working(p.observed, p.centre, p.scale, k.lower, k.upper, k.higher_is_better)
           AS raw_score,
       store.raw_of_working(p.mean, p.centre, p.scale, k.lower, k.upper, k.higher_is_better)
           AS raw_predicted,
       CASE WHEN p.observed > p.mean THEN 'higher' ELSE 'lower' END AS direction,
       z.probability, z.probability * v.score_count AS expected,
       abs(p.observed - p.mean) / nullif(i.ratio_90 * p.deviation, 0) AS distance, p.evidence,
       p.model_scores, p.benchmark_scores,
       (SELECT s.name FROM store.shown_runs sr
          JOIN store.runs r ON r.run_id = sr.run_id
          JOIN store.sources s ON s.source_id = r.source_id
         WHERE sr.model_id = p.model_id AND sr.benchmark_id = p.benchmark_id) AS source,
       p.version_id AS version
  FROM store.predicted_scores p
  JOIN store.prediction_versions v ON v.version_id = p.version_id
  JOIN store.prediction_intervals i ON i.version_id = p.version_id AND i.evidence_group = p.evidence_group
  JOIN store.models m ON m.model_id = p.model_id
  JOIN store.benchmarks b ON b.benchmark_id = p.benchmark_id
  JOIN store.measures k ON k.measure_id = p.measure_id
 CROSS JOIN LATERAL (
       SELECT 1 - store.interval_level(i.levels, i.ratios,
                                       abs(p.observed - p.mean) / p.deviation) AS tail
       OFFSET 0) t
 CROSS JOIN LATERAL (
       -- Of n held-out scores, nobody can say that something is rarer than one in n + 1.
       SELECT greatest(t.tail, 1.0 / (i.held_out + 1)) AS probability) z
 WHERE p.observed_variance = 0 AND t.tail < 0.01;

COMMENT ON VIEW registry.surprises IS
    'Measured scores that are unlikely by all else that is known of the model: leaked benchmarks, swapped models, wrong scales and prompts that fit badly show up here. Those beyond what intervals of 0.99 hold; order by distance, and compare with expected: that many scores of all are as unlikely by chance. A model with one or two scores surprises by the catalog alone.

Example:
SELECT model, benchmark, score, predicted, direction, probability, expected
  FROM registry.surprises
 WHERE model_scores >= 4
 ORDER BY distance DESC
 LIMIT 20;';
COMMENT ON COLUMN registry.surprises.model IS 'Present name of the model.';
COMMENT ON COLUMN registry.surprises.benchmark IS 'Canonical name of the benchmark.';
COMMENT ON COLUMN registry.surprises.benchmark_version IS 'Version of the benchmark; empty where no source states one.';
COMMENT ON COLUMN registry.surprises.score IS 'Measured share in [0, 1], higher being better; null where the measure has no bounds.';
COMMENT ON COLUMN registry.surprises.predicted IS 'What all else predicts.';
COMMENT ON COLUMN registry.surprises.predicted_lower IS 'Lower end of the 90% interval of predicted.';
COMMENT ON COLUMN registry.surprises.predicted_upper IS 'Its upper end.';
COMMENT ON COLUMN registry.surprises.raw_score IS 'The same as score, on the benchmark''s own scale.';
COMMENT ON COLUMN registry.surprises.raw_predicted IS 'The same as predicted, on the benchmark''s own scale.';
COMMENT ON COLUMN registry.surprises.direction IS 'higher (better) or lower (worse) than predicted, on a scale on which more is better.';
COMMENT ON COLUMN registry.surprises.probability IS 'Share of scores that are at least as far from their prediction, in either direction, by held-out scores; below 0.01 by a normal distribution, and never below one in the number of held-out scores.';
COMMENT ON COLUMN registry.surprises.expected IS 'Number of all scores that are as unlikely by chance: below 1, it hardly is chance.';
COMMENT ON COLUMN registry.surprises.distance IS 'Distance from the prediction in half-widths of its 90% interval, on the working scale.';
COMMENT ON COLUMN registry.surprises.evidence IS 'What the prediction rests on, as in predictions.';
COMMENT ON COLUMN registry.surprises.model_scores IS 'Number of the model''s scores that count.';
COMMENT ON COLUMN registry.surprises.benchmark_scores IS 'Number of the benchmark''s scores that count.';
COMMENT ON COLUMN registry.surprises.source IS 'Who states the score.';
COMMENT ON COLUMN registry.surprises.version IS 'Version of the score model.';
