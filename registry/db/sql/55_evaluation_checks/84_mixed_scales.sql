-- mixed_scales: files whose scores on a measure are all shares, where other files' are percentages
-- on the same measure. Measures with a scale of 0 to 1 are not concerned: no percentage fits them.
CREATE VIEW store.mixed_scales AS
WITH ranges AS (
    SELECT r.measure_id, r.source_id, r.import_id, count(*) AS runs, min(r.score) AS least,
           max(r.score) AS most
      FROM store.runs r
      JOIN store.measures k USING (measure_id)
     WHERE r.score IS NOT NULL AND (k.upper IS NULL OR k.upper > 1)
     GROUP BY r.measure_id, r.source_id, r.import_id
), compared AS (
    SELECT s.*, p.import_id AS other_import, p.least AS other_least, p.most AS other_most
      FROM ranges s
      CROSS JOIN LATERAL (
          SELECT * FROM ranges o
           WHERE o.measure_id = s.measure_id AND o.most > 1.5 AND o.most <= 100
             AND o.least >= s.most
           ORDER BY o.runs DESC, o.most DESC LIMIT 1) p
     WHERE s.least >= 0 AND s.most <= 1 AND s.most > 0
)
SELECT 'mixed_scale'::text AS kind, NULL::text AS model, b.name AS benchmark, b.version,
       format('%s scores of %s from %s to %s, and others from %s to %s', c.runs, k.metric,
              round(c.least::numeric, 4), round(c.most::numeric, 4),
              round(c.other_least::numeric, 4), round(c.other_most::numeric, 4)) AS detail,
       i.path AS file, NULL::text AS other_model, j.path AS other_file, c.runs AS findings
  FROM compared c
  JOIN store.measures k USING (measure_id)
  JOIN store.benchmarks b USING (benchmark_id)
  LEFT JOIN store.imports i ON i.import_id = c.import_id
  LEFT JOIN store.imports j ON j.import_id = c.other_import;

COMMENT ON VIEW store.mixed_scales IS
    'Files whose scores on a measure are all shares, where those of others are percentages.';
