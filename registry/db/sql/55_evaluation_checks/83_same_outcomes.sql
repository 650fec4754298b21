-- same_outcomes: models with the same outcomes as another on everything that a source has outcomes
-- of: on 20 items or more, some right and some wrong. Two names of one model, or copies; each with
-- the first of them.
CREATE VIEW store.same_outcomes AS
WITH packed AS (
    SELECT r.model_id, r.source_id, r.benchmark_id, r.import_id, n.items,
           bit_count(r.right_bits) AS rights,
           md5(r.benchmark_id || k.metric || ',' || k.filter
               || encode(varbit_send(r.right_bits), 'hex')
               || coalesce(encode(varbit_send(r.present_bits), 'hex'), '')
               || coalesce(r.grades::text, '')) AS outcomes
      FROM store.runs r
      JOIN store.measures k USING (measure_id)
      CROSS JOIN LATERAL (
          SELECT coalesce(bit_count(r.present_bits), length(r.right_bits)) AS items OFFSET 0) n
     WHERE r.right_bits IS NOT NULL
), whole AS (
    SELECT model_id, min(import_id) AS import_id, min(benchmark_id) AS benchmark_id,
           count(DISTINCT benchmark_id) AS benchmarks, sum(items) AS items,
           md5(string_agg(outcomes, ',' ORDER BY outcomes)) AS outcomes
      FROM packed
     GROUP BY model_id, source_id
    HAVING sum(items) >= 20 AND sum(rights) BETWEEN 1 AND sum(items) - 1
), grouped AS (
    SELECT w.*, first_value(model_id) OVER same AS first_id,
           first_value(import_id) OVER same AS first_import
      FROM whole w
    WINDOW same AS (PARTITION BY outcomes ORDER BY model_id)
)
SELECT 'same_outcomes'::text AS kind, m.name AS model,
       CASE WHEN g.benchmarks = 1 THEN b.name END AS benchmark,
       CASE WHEN g.benchmarks = 1 THEN b.version END AS version,
       format('the outcomes of %s on all %s items of %s', o.name, g.items,
              CASE WHEN g.benchmarks = 1 THEN b.name ELSE g.benchmarks || ' benchmarks' END)
           AS detail,
       i.path AS file, o.name AS other_model, j.path AS other_file, g.benchmarks AS findings
  FROM grouped g
  JOIN store.models m ON m.model_id = g.model_id
  JOIN store.models o ON o.model_id = g.first_id
  JOIN store.benchmarks b ON b.benchmark_id = g.benchmark_id
  LEFT JOIN store.imports i ON i.import_id = g.import_id
  LEFT JOIN store.imports j ON j.import_id = g.first_import
 WHERE g.model_id <> g.first_id;

COMMENT ON VIEW store.same_outcomes IS
    'Models with the same outcomes as another on everything that a source has outcomes of.';
