-- sentinel_scores: scores that stand for 'not measured', and others outside the bounds of their
-- measure. Without bounds, -1 and its like count where no other score of the measure is negative.
CREATE VIEW store.sentinel_scores AS
SELECT 'sentinel'::text AS kind, m.name AS model, b.name AS benchmark, b.version,
       format('%s score %s%s', k.metric, r.score::numeric,
              CASE WHEN k.upper > k.lower
                   THEN format(', outside %s to %s', k.lower::numeric, k.upper::numeric)
                   ELSE ', where no other is negative' END) AS detail,
       i.path AS file, NULL::text AS other_model, NULL::text AS other_file, 1::bigint AS findings
  FROM store.runs r
  JOIN store.measures k USING (measure_id)
  JOIN store.models m USING (model_id)
  JOIN store.benchmarks b ON b.benchmark_id = r.benchmark_id
  LEFT JOIN store.imports i USING (import_id)
 WHERE (k.lower IS NOT NULL AND r.score < k.lower - 1e-9)
    OR (k.upper IS NOT NULL AND r.score > k.upper + 1e-9)
    OR (k.lower IS NULL AND k.upper IS NULL AND k.random_baseline IS NULL
        AND r.score IN (-1, -99, -100, -999, -9999)
        AND NOT EXISTS (SELECT FROM store.runs o
                         WHERE o.benchmark_id = r.benchmark_id AND o.measure_id = r.measure_id
                           AND o.score < 0 AND o.score <> r.score));

COMMENT ON VIEW store.sentinel_scores IS
    'Scores that stand for not measured, and others outside the bounds of their measure.';
