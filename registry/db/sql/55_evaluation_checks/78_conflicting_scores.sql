-- conflicting_scores: models with two scores on one benchmark that differ by more than they may.
-- Only scores of one measure class, prompting, variant and version, of complete runs, whose stated
-- setups do not differ. They may differ by two standard errors of the difference, as stated or of so
-- many items, or by 0.02 where neither is known; and by rounding. Where the two are by different
-- names of the model, the names are given: one of them may be another model's.
CREATE VIEW store.conflicting_scores AS
WITH kinds AS MATERIALIZED (
    SELECT k.measure_id, coalesce(b.canonical, b.name) AS canonical, b.version,
           coalesce(b.variant, '') AS prompting, b.name, k.metric, k.filter, k.lower, k.upper, k.higher_is_better,
           store.measure_class(k.metric, k.filter, k.unit, true, b.name) AS class
      FROM store.measures k JOIN store.benchmarks b USING (benchmark_id)
     WHERE k.upper > k.lower
), scored AS MATERIALIZED (
    SELECT r.model_id, k.canonical, k.version, k.prompting, k.class, k.name, k.metric,
           k.filter, r.run_id, r.name_id, r.setup_id, t.prompt_template, t.details,
           coalesce(t.variant, '') AS variant, t.shots, t.precision, t.chat_template,
           r.source_id, r.import_id, r.revision,
           CASE WHEN r.revision IS NULL OR r.revision = 'main' OR length(r.revision) = 40
                THEN 'main' ELSE r.revision END AS checkpoint,
           p.share, coalesce(r.standard_error / (k.upper - k.lower),
                             sqrt(p.share * (1 - p.share) / nullif(r.item_count, 0))) AS error
      FROM store.runs r
      JOIN kinds k USING (measure_id)
      JOIN store.setups t USING (setup_id)
      CROSS JOIN LATERAL (
          SELECT store.share(r.score, k.lower, k.upper, k.higher_is_better) AS share OFFSET 0) p
     WHERE r.complete AND r.score BETWEEN k.lower AND k.upper
), pairs AS (
    SELECT a.model_id, a.canonical, a.version, a.class, a.name, b.name AS other_name,
           a.share, b.share AS other_share, a.source_id, b.source_id AS other_source_id,
           a.import_id, b.import_id AS other_import_id, a.name_id, b.name_id AS other_name_id,
           row_number() OVER by_difference AS place,
           count(*) OVER (PARTITION BY a.model_id, a.canonical, a.version, a.class) AS pairs
      FROM scored a
      JOIN scored b USING (model_id, canonical, version, prompting, class, variant, checkpoint)
     WHERE a.run_id < b.run_id
       AND abs(a.share - b.share)
           > 0.0051 + coalesce(2 * sqrt(coalesce(a.error, b.error) ^ 2
                                        + coalesce(b.error, a.error) ^ 2), 0.02)
       AND coalesce(a.shots = b.shots, true)
       AND coalesce(a.precision = b.precision, true)
       AND coalesce(a.chat_template = b.chat_template, true)
       AND coalesce(a.prompt_template = b.prompt_template, true)
       AND NOT EXISTS (SELECT FROM jsonb_each(a.details) d JOIN jsonb_each(b.details) o USING (key)
                        WHERE d.value <> o.value)
       -- What one source states apart is apart.
       AND (a.source_id <> b.source_id
            OR (a.metric, a.filter) = (b.metric, b.filter)
               AND a.revision IS NOT DISTINCT FROM b.revision
               AND a.setup_id = b.setup_id)
    WINDOW by_difference AS (PARTITION BY a.model_id, a.canonical, a.version, a.class
                             ORDER BY abs(a.share - b.share) DESC, a.run_id)
)
SELECT 'conflict'::text AS kind, m.name AS model, p.canonical AS benchmark, p.version,
       format('%s by %s (%s)%s and %s by %s (%s)%s', round(p.share::numeric, 4), s.name, p.name,
              CASE WHEN n.name <> q.name THEN ' as ' || n.name END,
              round(p.other_share::numeric, 4), o.name, p.other_name,
              CASE WHEN n.name <> q.name THEN ' as ' || q.name END) AS detail,
       i.path AS file, NULL::text AS other_model, j.path AS other_file, p.pairs AS findings
  FROM pairs p
  JOIN store.models m USING (model_id)
  JOIN store.sources s ON s.source_id = p.source_id
  JOIN store.sources o ON o.source_id = p.other_source_id
  JOIN store.evaluated_names n ON n.name_id = p.name_id
  JOIN store.evaluated_names q ON q.name_id = p.other_name_id
  LEFT JOIN store.imports i ON i.import_id = p.import_id
  LEFT JOIN store.imports j ON j.import_id = p.other_import_id
 WHERE p.place = 1;

COMMENT ON VIEW store.conflicting_scores IS
    'Models with two scores on one benchmark that differ by more than their standard errors allow.';
