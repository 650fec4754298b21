-- uninformative_items: for each benchmark the items that do not tell models apart: those that every
-- model gets right (saturated), and those with any other outcome that is the same for all
-- (constant). Of at least three models.
CREATE VIEW store.uninformative_items AS
WITH answered AS (
    SELECT s.benchmark_id, CASE WHEN u.mean = 1 THEN 'saturated_items' ELSE 'constant_items' END
                               AS kind,
           array_agg(u.place - 1 ORDER BY u.place) AS ordinals, min(u.models) AS models
      FROM store.item_statistics s
      CROSS JOIN LATERAL unnest(s.models, s.means) WITH ORDINALITY AS u (models, mean, place)
     WHERE u.models >= 3 AND u.mean IN (0, 1)
     GROUP BY s.benchmark_id, 2
)
SELECT t.kind, NULL::text AS model, b.name AS benchmark, b.version,
       format('%s of %s items, which %s of at least %s models gets right: %s%s',
              cardinality(t.ordinals), b.item_count,
              CASE t.kind WHEN 'saturated_items' THEN 'each' ELSE 'none' END, t.models,
              (SELECT string_agg(i.item, ', ' ORDER BY i.ordinal) FROM store.items i
                WHERE i.benchmark_id = t.benchmark_id AND i.ordinal = ANY (t.ordinals[1:3])),
              CASE WHEN cardinality(t.ordinals) > 3 THEN ', ...' ELSE '' END) AS detail,
       (SELECT min(f.path) FROM store.runs r JOIN store.imports f USING (import_id)
         WHERE r.benchmark_id = t.benchmark_id AND r.right_bits IS NOT NULL) AS file,
       NULL::text AS other_model, NULL::text AS other_file,
       cardinality(t.ordinals)::bigint AS findings
  FROM answered t
  JOIN store.benchmarks b USING (benchmark_id);

COMMENT ON VIEW store.uninformative_items IS
    'For each benchmark the items that every model of at least three gets right, or none does.';
