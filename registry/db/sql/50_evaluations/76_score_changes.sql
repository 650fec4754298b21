-- score_changes: one row per stored score that a newer version reads otherwise.
CREATE VIEW registry.score_changes AS
SELECT coalesce(m.name, c.name) AS model, b.name AS benchmark, b.version, k.metric, k.filter, s.name AS source,
       c.old_score, c.new_score, c.reason, r.score AS raw_score, i.path AS file, c.changed_at,
       c.run_id AS run
  FROM store.score_changes c
  LEFT JOIN store.models m ON m.model_id = c.model_id
  LEFT JOIN store.runs r ON r.run_id = c.run_id
  LEFT JOIN store.benchmarks b ON b.benchmark_id = coalesce(r.benchmark_id, c.benchmark_id)
  LEFT JOIN store.measures k ON k.measure_id = coalesce(r.measure_id, c.measure_id)
  LEFT JOIN store.sources s ON s.source_id = r.source_id
  LEFT JOIN store.imports i ON i.import_id = coalesce(r.import_id, c.import_id);

COMMENT ON VIEW registry.score_changes IS
    'One row per stored score that a newer version reads otherwise, and per score that leaderboards show no more or another one instead of, from the upgrade or from the next import of the same file. Scores of files that were changed themselves are not here.

Example:
SELECT model, benchmark, metric, old_score, new_score, reason FROM registry.score_changes
 ORDER BY changed_at DESC, model, benchmark;';
COMMENT ON COLUMN registry.score_changes.model IS
    'Name of the model, as it is now, or as it was where nothing names it any more.';
COMMENT ON COLUMN registry.score_changes.benchmark IS
    'Name of the benchmark.';
COMMENT ON COLUMN registry.score_changes.version IS
    'Version of the benchmark.';
COMMENT ON COLUMN registry.score_changes.metric IS
    'Metric, such as acc.';
COMMENT ON COLUMN registry.score_changes.filter IS
    'How answers were extracted from replies; empty for none.';
COMMENT ON COLUMN registry.score_changes.source IS
    'Who states it; null where the run was removed since, as is the raw score.';
COMMENT ON COLUMN registry.score_changes.old_score IS
    'Score before: a share in [0, 1], or the raw score where the measure had no bounds.';
COMMENT ON COLUMN registry.score_changes.new_score IS
    'Score since, likewise; null where nothing was measured, or where the reason says what it is a score of now.';
COMMENT ON COLUMN registry.score_changes.reason IS
    'Reason, in a sentence.';
COMMENT ON COLUMN registry.score_changes.raw_score IS
    'Score as the source states it, as it is now.';
COMMENT ON COLUMN registry.score_changes.file IS
    'File that it was imported from.';
COMMENT ON COLUMN registry.score_changes.changed_at IS
    'When it was read otherwise, in UTC.';
COMMENT ON COLUMN registry.score_changes.run IS
    'Key of the run, as in runs.';
