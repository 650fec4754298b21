-- beats(a, b, benchmark): the probability that one model's score on a benchmark is higher than
-- another's. A measured score is taken as it is; errors of two predictions as independent normal ones,
-- as wide as their 90% intervals.
CREATE FUNCTION registry.beats(a text, b text, benchmark text)
RETURNS TABLE (
    name text, other text, of_benchmark text, benchmark_version text, probability double precision,
    score double precision, other_score double precision, kind text, other_kind text,
    caution text, of_version integer
)
LANGUAGE plpgsql STABLE
ROWS 1
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT p.name, q.name, p.of_benchmark, p.benchmark_version,
           CASE WHEN d.spread > 0
                THEN 1 - erfc(d.difference / d.spread / sqrt(2.0)) / 2
                WHEN d.difference > 0 THEN 1.0
                WHEN d.difference < 0 THEN 0.0
                WHEN d.difference = 0 THEN 0.5 END,
           p.score, q.score, p.kind, q.kind,
           nullif(concat_ws('; ', p.name || ': ' || p.caution, q.name || ': ' || q.caution,
                            CASE WHEN d.difference IS NULL
                                 THEN 'a score has come on a scale that none was fitted to' END), ''),
           p.of_version
      FROM registry.predict(beats.a, beats.benchmark) p
      JOIN registry.predict(beats.b, beats.benchmark) q
        ON (q.of_benchmark, q.benchmark_version) = (p.of_benchmark, p.benchmark_version)
      JOIN store.predicted_scores u
        ON u.model_id = registry.model_id(p.name)
       AND u.benchmark_id IN (SELECT store.predicted_benchmarks(beats.benchmark))
      JOIN store.predicted_scores v
        ON v.model_id = registry.model_id(q.name) AND v.benchmark_id = u.benchmark_id
      JOIN store.benchmarks m ON m.benchmark_id = u.benchmark_id
                             AND m.version = p.benchmark_version
      JOIN store.prediction_intervals i ON i.version_id = u.version_id AND i.evidence_group = u.evidence_group
      JOIN store.prediction_intervals j ON j.version_id = v.version_id AND j.evidence_group = v.evidence_group
     CROSS JOIN LATERAL (
           -- On the working scale, in which more is better.
           SELECT CASE WHEN p.kind = 'measured' AND q.kind = 'measured' AND p.score IS NOT NULL
                       THEN p.score - q.score
                       ELSE CASE WHEN p.kind <> 'measured' THEN u.mean
                                 ELSE store.working_value(p.score, p.raw_score, u.centre, u.scale)
                            END
                            - CASE WHEN q.kind <> 'measured' THEN v.mean
                                   ELSE store.working_value(q.score, q.raw_score, v.centre, v.scale)
                              END
                  END AS difference,
                  sqrt(CASE WHEN p.kind <> 'measured' THEN (i.ratio_90 * u.deviation) ^ 2 ELSE 0 END
                       + CASE WHEN q.kind <> 'measured' THEN (j.ratio_90 * v.deviation) ^ 2
                              ELSE 0 END) / 1.6448536269514722 AS spread) d;
END;
$$;

COMMENT ON FUNCTION registry.beats(text, text, text) IS
    'The probability that a model''s score on a benchmark is higher than another''s, in one row for each version of the benchmark. Measured scores are taken as they are; errors of predictions as independent and normal. An error where function predict has one.
a: any name of the model
b: any name of the other model
benchmark: any name of the benchmark, with all versions, or name@version
name: present name of the model
other: present name of the other model
of_benchmark: canonical name of the benchmark
benchmark_version: version of the benchmark
probability: that the score of a is higher, in [0, 1]; 0.5 for equal measured scores; null where they are on scales that nothing compares, as caution says
score: of the model, as in predict
other_score: of the other model
kind: of the model''s score, as in predict
other_kind: of the other model''s
caution: why one of the predictions is weak; null where nothing speaks against them
of_version: version of the score model, as in prediction_versions

Example:
SELECT name, other, probability, kind, other_kind
  FROM registry.beats(''TheBloke/zephyr-7B-beta-AWQ'', ''mistralai/Mistral-7B-v0.1'', ''gsm8k'');';
