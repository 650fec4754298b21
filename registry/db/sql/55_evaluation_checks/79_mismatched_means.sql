-- mismatched_means: runs whose score is not the mean of their outcomes. Of all items it has to be,
-- but for rounding; of a part the mean is within five standard errors, or the part is another one.
CREATE VIEW store.mismatched_means AS
SELECT 'mean'::text AS kind, m.name AS model, b.name AS benchmark, b.version,
       format('score %s, and the mean of %s outcomes is %s', round(p.share::numeric, 4), o.count,
              round(o.mean::numeric, 4)) AS detail,
       i.path AS file, NULL::text AS other_model, NULL::text AS other_file, 1::bigint AS findings
  FROM store.runs r
  JOIN store.measures k USING (measure_id)
  CROSS JOIN LATERAL (
      SELECT coalesce(bit_count(r.present_bits), length(r.right_bits)) AS count,
             CASE WHEN r.grades IS NULL THEN bit_count(r.right_bits)::float8
                  ELSE (SELECT sum(g) FROM unnest(r.grades) g WHERE g <> 'NaN')
             END / nullif(coalesce(bit_count(r.present_bits), length(r.right_bits)), 0) AS mean
      OFFSET 0) o
  CROSS JOIN LATERAL (
      SELECT store.share(r.score, k.lower, k.upper, k.higher_is_better) AS share OFFSET 0) p
  JOIN store.models m USING (model_id)
  JOIN store.benchmarks b ON b.benchmark_id = r.benchmark_id
  LEFT JOIN store.imports i USING (import_id)
 WHERE r.right_bits IS NOT NULL AND o.count > 0
   AND abs(p.share - o.mean)
       > CASE WHEN o.count >= coalesce(r.item_count, o.count) THEN 0.0051
              ELSE 0.0051 + 5 * sqrt(greatest(p.share * (1 - p.share), 0.01) / o.count) END;

COMMENT ON VIEW store.mismatched_means IS
    'Runs whose score is not the mean of their outcomes.';
