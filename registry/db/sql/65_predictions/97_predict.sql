-- predict(model, benchmark, level): the score of a model on a benchmark: measured where it is, beside
-- what would have been predicted; else a prediction, with its interval and what it rests on.
CREATE FUNCTION registry.predict(
    model text, benchmark text, level double precision DEFAULT 0.9
)
RETURNS TABLE (
    name text, of_benchmark text, benchmark_version text,
    score double precision, lower double precision, upper double precision, kind text,
    predicted double precision, predicted_lower double precision,
    predicted_upper double precision, raw_score double precision, raw_lower double precision,
    raw_upper double precision, unit text, evidence jsonb, support real, caution text,
    of_version integer
)
LANGUAGE plpgsql STABLE
ROWS 1
SET jit = off
SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
#variable_conflict use_column
DECLARE
    id CONSTANT bigint := registry.model_id(predict.model);
    key integer;
    p record;
    measured record;
    half double precision;
BEGIN
    IF predict.model IS NULL OR predict.benchmark IS NULL OR predict.level IS NULL THEN
        RETURN;
    END IF;
    FOR key IN SELECT store.predicted_benchmarks(predict.benchmark) ORDER BY 1 LOOP
        IF id IS NULL THEN
            RAISE no_data_found USING MESSAGE =
                format('No model named %L is in the registry', predict.model);
        END IF;
        SELECT s.*, i.levels, i.ratios, v.reliable, m.name, b.version AS benchmark_version,
               coalesce(b.canonical, b.name) AS benchmark, k.lower AS least, k.upper AS most,
               k.higher_is_better, k.unit
          INTO p
          FROM store.predicted_scores s
          JOIN store.prediction_versions v ON v.version_id = s.version_id
          JOIN store.prediction_intervals i
            ON i.version_id = s.version_id AND i.evidence_group = s.evidence_group
          JOIN store.models m ON m.model_id = s.model_id
          JOIN store.benchmarks b ON b.benchmark_id = s.benchmark_id
          JOIN store.measures k ON k.measure_id = s.measure_id
         WHERE s.model_id = id AND s.benchmark_id = key;
        IF NOT FOUND AND EXISTS (SELECT FROM store.abilities a
                                  JOIN store.prediction_versions v USING (version_id)
                                 WHERE a.model_id = id AND v.state = 'current') THEN
            RAISE no_data_found USING MESSAGE = format(
                'The score of model %L on %L is not predicted: fewer than 10 models have scores both '
                'there and where this model, or those like it, was evaluated, so that nobody knows '
                'how they compare', predict.model, predict.benchmark);
        ELSIF NOT FOUND THEN
            RAISE no_data_found USING MESSAGE = format(
                'Scores of model %L are not predicted: it is new since they last were; `registry train` '
                'predicts those of all models',
                predict.model);
        END IF;
        half := store.interval_ratio(p.levels, p.ratios, predict.level) * p.deviation;
        IF half IS NULL THEN
            RAISE invalid_parameter_value USING MESSAGE = format(
                'Level %s is not one at which intervals were measured; they were from 0.5 to %s',
                predict.level, p.levels[cardinality(p.levels)]);
        END IF;
        -- Also one that came since the fit.
        SELECT c.score, c.raw_score, c.unit, r.measure_id = p.measure_id AS same INTO measured
          FROM registry.canonical_leaderboard c
          JOIN store.runs r ON r.run_id = c.run
         WHERE c.model = p.name AND c.benchmark = p.benchmark AND c.version = p.benchmark_version
           AND c.complete
         LIMIT 1;
        RETURN QUERY
        SELECT p.name, p.benchmark, p.benchmark_version,
               CASE WHEN w.is_measured THEN measured.score ELSE w.middle END,
               CASE WHEN NOT w.is_measured THEN w.low END,
               CASE WHEN NOT w.is_measured THEN w.high END,
               CASE WHEN w.is_measured THEN 'measured' ELSE p.evidence END,
               w.middle, w.low, w.high,
               CASE WHEN NOT w.is_measured
                    THEN store.raw_of_working(p.mean, p.centre, p.scale, p.least, p.most,
                                              p.higher_is_better)
                    WHEN w.is_converted
                    THEN store.raw_of_share(measured.score, p.least, p.most, p.higher_is_better)
                    ELSE measured.raw_score END,
               CASE WHEN NOT w.is_measured THEN least(r.low, r.high) END,
               CASE WHEN NOT w.is_measured THEN greatest(r.low, r.high) END,
               CASE WHEN NOT w.is_measured OR measured.same OR w.is_converted THEN p.unit
                    ELSE measured.unit END,
               store.prediction_evidence(p.version_id, id, key), p.support,
               store.prediction_caution(p.reliable, p.benchmark_scores, p.evidence, p.support),
               p.version_id
          FROM (SELECT measured.raw_score IS NOT NULL AS is_measured,
                       -- Of another measure with bounds, such as shares among percentages.
                       NOT measured.same AND measured.score IS NOT NULL AND p.centre IS NULL
                           AS is_converted,
                       CASE WHEN p.centre IS NULL THEN store.working_share(p.mean) END AS middle,
                       CASE WHEN p.centre IS NULL THEN store.working_share(p.mean - half) END AS low,
                       CASE WHEN p.centre IS NULL THEN store.working_share(p.mean + half) END AS high
               ) w
         CROSS JOIN (SELECT store.raw_of_working(p.mean - half, p.centre, p.scale, p.least, p.most,
                                                 p.higher_is_better) AS low,
                            store.raw_of_working(p.mean + half, p.centre, p.scale, p.least, p.most,
                                                 p.higher_is_better) AS high) r;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION registry.predict(text, text, double precision) IS
    'The score of a model on a benchmark, in one row for each version of the benchmark: measured where there is a complete run, beside what would have been predicted without it; else a prediction, with its interval and what it rests on. For any model of the catalog and any benchmark with scores of at least 5 models. An error where the model or the benchmark is unknown, the benchmark has too few scores, fewer than 10 models have scores both there and where the model was evaluated, or nothing is fitted yet (`registry train` does it).
model: any name of the model
benchmark: any name of the benchmark, with all versions, or name@version
level: share of scores that intervals are to hold, from 0.5 to 0.99
name: present name of the model
of_benchmark: canonical name of the benchmark
benchmark_version: version of the benchmark; empty where no source states one
score: share in [0, 1], higher being better: measured, or else predicted; null where the measure has no bounds
lower: lower end of the interval of a predicted score; null of a measured one
upper: its upper end
kind: measured, or what the prediction rests on: outcomes (on a part of the items, of this benchmark or of others), scores (of the model on other benchmarks) or catalog (lineage and metadata)
predicted: predicted share; of a measured score, what would have been predicted without it
predicted_lower: lower end of its interval
predicted_upper: its upper end
raw_score: as score, on the benchmark''s own scale, that of most of its scores
raw_lower: lower end of the interval of a predicted raw score
raw_upper: its upper end
unit: unit of the raw score; null for a share
evidence: as JSON: relatives, the models with a score on the benchmark that weigh most in what the catalog says of the model, with relation, score and weight; scores, those of the model on other benchmarks that weigh most, with weight: how the prediction moves with them, on the working scale, a score unlike all others of the model less
support: share of the variance of the model''s abilities that is known, in [0, 1]; near 0, the prediction is that of any model
caution: why the prediction is weak; null where nothing speaks against it
of_version: version of the score model, as in prediction_versions

Example:
SELECT name, score, lower, upper, kind, evidence
  FROM registry.predict(''TheBloke/zephyr-7B-beta-AWQ'', ''gsm8k'');';
