-- tukey: differences of pairs of groups, one row per benchmark and pair.
CREATE VIEW registry.tukey AS
SELECT r.analysis_id, a.options ->> 'grouping' AS grouping, r.benchmark, r.version, r.group_name,
       r.other_group, r.n, r.other_n, r.difference, r.p, r.lower, r.upper, r.games_howell_p,
       r.games_howell_lower, r.games_howell_upper, r.anova_p, r.levene_p, r.differs, r.verdict
  FROM store.tukey_results r
  JOIN store.analyses a USING (analysis_id)
 ORDER BY r.analysis_id DESC, r.benchmark, r.version, r.group_name, r.other_group;

COMMENT ON VIEW registry.tukey IS
    'Which groups of models differ, one row per analysis, benchmark and pair: Tukey''s honestly significant difference, and beside it that of Games and Howell, which needs no equal variances.

Example:
SELECT benchmark, group_name, other_group, difference, lower, upper, verdict
  FROM registry.tukey
 WHERE analysis_id = (SELECT max(analysis_id) FROM registry.tukey WHERE grouping = ''size'');';
COMMENT ON COLUMN registry.tukey.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.tukey.grouping IS 'What models are grouped by.';
COMMENT ON COLUMN registry.tukey.benchmark IS 'Canonical name of the benchmark.';
COMMENT ON COLUMN registry.tukey.version IS
    'Version of the benchmark; empty where no source states one.';
COMMENT ON COLUMN registry.tukey.group_name IS 'First group of the pair.';
COMMENT ON COLUMN registry.tukey.other_group IS 'Second group of the pair.';
COMMENT ON COLUMN registry.tukey.n IS 'Number of scores of the first.';
COMMENT ON COLUMN registry.tukey.other_n IS 'Number of scores of the second.';
COMMENT ON COLUMN registry.tukey.difference IS 'Mean of the first minus that of the second.';
COMMENT ON COLUMN registry.tukey.p IS
    'p of no difference, by Tukey: corrected for the pairs of the benchmark. Below 1e-12 it is rounding, and 0 is that.';
COMMENT ON COLUMN registry.tukey.lower IS
    'Lower end of Tukey''s interval; all of a benchmark hold at once, at the level of the analysis.';
COMMENT ON COLUMN registry.tukey.upper IS 'Upper end of it.';
COMMENT ON COLUMN registry.tukey.games_howell_p IS
    'p of no difference, by Games and Howell, corrected likewise, and rounding below 1e-12; null where a group''s scores are all alike.';
COMMENT ON COLUMN registry.tukey.games_howell_lower IS 'Lower end of their interval.';
COMMENT ON COLUMN registry.tukey.games_howell_upper IS 'Upper end of it.';
COMMENT ON COLUMN registry.tukey.anova_p IS 
    'p of the analysis of variance of the benchmark, not corrected for the number of benchmarks.';
COMMENT ON COLUMN registry.tukey.levene_p IS 
    'p of equal variances on the benchmark; null where groups have two scores.';
COMMENT ON COLUMN registry.tukey.differs IS
    'The classic procedure: whether p and anova_p are both below 1 minus the level. View anova judges by p corrected for the number of benchmarks (holm), and may find nothing where this does.';
COMMENT ON COLUMN registry.tukey.verdict IS
    'higher or lower, as the first group compares with the second, or no difference found: by games_howell_p where levene_p is below 1 minus the level, else by p; unknown where that test is not defined, or levene_p is not and the two disagree.';
