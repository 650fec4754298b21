-- tukey_counts: on how many benchmarks each pair of groups differs.
CREATE VIEW registry.tukey_counts AS
SELECT r.analysis_id, a.options ->> 'grouping' AS grouping, r.group_name, r.other_group,
       count(*)                                              AS benchmarks,
       count(*) FILTER (WHERE r.differs)                     AS differ_tukey,
       count(*) FILTER (WHERE r.verdict IN ('higher', 'lower')) AS differ,
       count(*) FILTER (WHERE r.verdict = 'higher')          AS higher,
       count(*) FILTER (WHERE r.verdict = 'lower')           AS lower
  FROM store.tukey_results r
  JOIN store.analyses a USING (analysis_id)
 GROUP BY r.analysis_id, a.analysis_id, r.group_name, r.other_group
 ORDER BY r.analysis_id DESC, differ DESC, r.group_name, r.other_group;

COMMENT ON VIEW registry.tukey_counts IS
    'On how many benchmarks each pair of groups differs, one row per analysis and pair, those that differ most often first.

Example:
SELECT group_name, other_group, differ_tukey, differ, benchmarks
  FROM registry.tukey_counts
 WHERE analysis_id = (SELECT max(analysis_id) FROM registry.tukey WHERE grouping = ''architecture'');';
COMMENT ON COLUMN registry.tukey_counts.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.tukey_counts.grouping IS 'What models are grouped by.';
COMMENT ON COLUMN registry.tukey_counts.group_name IS 'First group of the pair.';
COMMENT ON COLUMN registry.tukey_counts.other_group IS 'Second group of the pair.';
COMMENT ON COLUMN registry.tukey_counts.benchmarks IS
    'Number of benchmarks on which both have enough scores.';
COMMENT ON COLUMN registry.tukey_counts.differ_tukey IS
    'Number of those on which they differ by the classic procedure, as tukey.differs.';
COMMENT ON COLUMN registry.tukey_counts.differ IS
    'Number of those on which they differ by the test that fits the variances, as tukey.verdict.';
COMMENT ON COLUMN registry.tukey_counts.higher IS 'Number of those where the first is higher.';
COMMENT ON COLUMN registry.tukey_counts.lower IS 'Number of those where the first is lower.';
