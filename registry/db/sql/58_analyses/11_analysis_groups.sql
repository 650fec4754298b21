-- analysis_groups: scores of each group of models on each benchmark, as analyses compared them.
CREATE VIEW registry.analysis_groups AS
SELECT analysis_id, benchmark, version, group_name, position, n, mean, median, deviation
  FROM store.analysis_groups
 ORDER BY analysis_id DESC, benchmark, version, position;

COMMENT ON VIEW registry.analysis_groups IS
    'Scores of the groups that an analysis compared, one row per analysis, benchmark and group.

Example:
SELECT benchmark, group_name, n, mean, deviation
  FROM registry.analysis_groups
 WHERE analysis_id = (SELECT max(analysis_id) FROM registry.analyses WHERE kind = ''anova'');';
COMMENT ON COLUMN registry.analysis_groups.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.analysis_groups.benchmark IS 'Canonical name of the benchmark.';
COMMENT ON COLUMN registry.analysis_groups.version IS
    'Version of the benchmark; empty where no source states one.';
COMMENT ON COLUMN registry.analysis_groups.group_name IS 'Group of models, such as 3-7B.';
COMMENT ON COLUMN registry.analysis_groups.position IS
    'Place of the group in their order: of size by size, else by name.';
COMMENT ON COLUMN registry.analysis_groups.n IS 'Number of its scores.';
COMMENT ON COLUMN registry.analysis_groups.mean IS
    'Mean score: a share in [0, 1], or raw where the measure has no bounds.';
COMMENT ON COLUMN registry.analysis_groups.median IS 'Median score.';
COMMENT ON COLUMN registry.analysis_groups.deviation IS 'Standard deviation of the scores.';
