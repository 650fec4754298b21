-- duplicated_items: for each benchmark the items that it holds more than once, by prompt and choices.
CREATE VIEW store.duplicated_items AS
WITH repeated AS (
    SELECT benchmark_id, content_hash, count(*) AS times, min(ordinal) AS first
      FROM store.items
     WHERE content_hash IS NOT NULL
     GROUP BY benchmark_id, content_hash HAVING count(*) > 1
), counted AS (
    SELECT benchmark_id, count(*) AS questions, sum(times) AS items,
           (array_agg(first ORDER BY first))[1] AS example
      FROM repeated GROUP BY benchmark_id
)
SELECT 'duplicated_items'::text AS kind, NULL::text AS model, b.name AS benchmark, b.version,
       format('%s items ask %s questions, such as %s', c.items, c.questions, i.item) AS detail,
       (SELECT min(f.path) FROM store.runs r JOIN store.imports f USING (import_id)
         WHERE r.benchmark_id = c.benchmark_id AND r.right_bits IS NOT NULL) AS file,
       NULL::text AS other_model, NULL::text AS other_file, c.questions AS findings
  FROM counted c
  JOIN store.benchmarks b USING (benchmark_id)
  JOIN store.items i ON i.benchmark_id = c.benchmark_id AND i.ordinal = c.example;

COMMENT ON VIEW store.duplicated_items IS
    'For each benchmark the items that it holds more than once, by prompt and choices.';
