-- predicted_scores: each model's predicted score on each benchmark, on the working scale, by the
-- current version; of a score that the version was fitted to, by a fit without it. Mean and variance
-- are inner products of vectors of the model and of the benchmark. Lateral queries end with OFFSET 0,
-- so that no product is computed twice. Nothing is predicted where too few models have scores both on
-- the benchmark's block and where the model, or those like it, was evaluated: how the two populations
-- compare is not known.
CREATE VIEW store.predicted_scores AS
SELECT a.version_id, a.model_id, w.benchmark_id, w.measure_id, w.centre, w.scale,
       w.score_count AS benchmark_scores, a.score_count AS model_scores, a.support,
       f.value AS observed, f.variance AS observed_variance,
       CASE WHEN f.variance > 0 THEN 'outcomes'
            WHEN g.evidence_group = 0 THEN 'catalog'
            ELSE a.kind END AS evidence,
       g.evidence_group, o.mean, o.deviation
  FROM store.served_loadings w
  JOIN store.abilities a ON a.version_id = w.version_id
  LEFT JOIN store.fitted_scores f
         ON f.model_id = a.model_id AND f.version_id = w.version_id
        AND f.benchmark_id = w.benchmark_id
 CROSS JOIN LATERAL (
       SELECT CASE WHEN f.value IS NOT NULL THEN f.evidence_group
                   WHEN a.score_count = 0 THEN 0
                   WHEN a.blocks & w.block = 0 THEN 4
                   WHEN a.score_count < 5 THEN 1
                   WHEN w.score_count < 10 THEN 2
                   ELSE 3 END AS evidence_group
       OFFSET 0) g
 CROSS JOIN LATERAL (
       SELECT coalesce(f.mean, w.intercept - (a.vector <#> w.vector)) AS mean,
              coalesce(f.deviation,
                       sqrt(greatest(w.residual - (a.spread <#> w.spread), 1e-12)) * a.scale
                       * CASE g.evidence_group WHEN 0 THEN w.cold_factor
                                               WHEN 4 THEN w.crossed_factor
                                               ELSE w.warm_factor END)
                  AS deviation
       OFFSET 0) p
 CROSS JOIN LATERAL (
       -- What a part of the items says of a score counts in its prediction.
       SELECT CASE WHEN f.variance > 0
                   THEN (p.mean / p.deviation ^ 2 + f.value / f.variance)
                        / (1 / p.deviation ^ 2 + 1 / f.variance)
                   ELSE p.mean END AS mean,
              CASE WHEN f.variance > 0
                   THEN sqrt(1 / (1 / p.deviation ^ 2 + 1 / f.variance))
                   ELSE p.deviation END AS deviation
       OFFSET 0) o
 WHERE (a.blocks & w.tied_blocks <> 0 OR f.value IS NOT NULL);

COMMENT ON VIEW store.predicted_scores IS
    'Each model''s predicted score on each benchmark, on the working scale, by the current version; of a score that it was fitted to, by a fit without it.';
