-- served_loadings: the benchmarks that the current version predicts scores on. Not those that have taken
-- the name of another since its fit, which has more scores, nor those whose scores have come to be on
-- another scale: shares where they had no bounds, or the other way round.
CREATE VIEW store.served_loadings AS
SELECT w.*
  FROM store.benchmark_loadings w
 WHERE w.version_id = (SELECT c.version_id FROM store.prediction_versions c
                        WHERE c.state = 'current')
   AND NOT EXISTS (
       SELECT FROM store.benchmarks b
         JOIN store.benchmarks o ON coalesce(o.canonical, o.name) = coalesce(b.canonical, b.name)
                                AND o.version = b.version
         JOIN store.benchmark_loadings t ON t.benchmark_id = o.benchmark_id
                                        AND t.version_id = w.version_id
        WHERE b.benchmark_id = w.benchmark_id
          AND (t.score_count, t.benchmark_id) > (w.score_count, w.benchmark_id))
   AND (SELECT count(*) FILTER (WHERE (k.upper > k.lower IS TRUE) = (w.centre IS NULL)) > 0
               OR count(k.measure_id) = 0
          FROM store.benchmarks b
          JOIN store.benchmarks o ON coalesce(o.canonical, o.name) = coalesce(b.canonical, b.name)
                                 AND o.version = b.version AND o.comparable
          LEFT JOIN store.measures k ON k.measure_id = o.measure_id
         WHERE b.benchmark_id = w.benchmark_id);

COMMENT ON VIEW store.served_loadings IS
    'The benchmarks that the current version predicts scores on, without those that have taken the name of another or another scale since its fit.';
