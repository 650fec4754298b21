-- anova: analyses of variance, one row per benchmark, with the robust tests beside.
CREATE VIEW registry.anova AS
SELECT r.analysis_id, a.options ->> 'grouping' AS grouping, r.benchmark, r.version, r.n, r.groups,
       r.f, r.df_between, r.df_within, r.p, r.holm, r.benjamini_hochberg, r.eta_squared,
       r.omega_squared, r.effect_lower, r.effect_upper, r.welch_f, r.welch_df, r.welch_p,
       r.welch_holm, r.kruskal_h, r.kruskal_p, r.kruskal_holm, r.levene, r.levene_p, r.skewness,
       r.kurtosis, r.normality_p, r.verdict
  FROM store.anova_results r
  JOIN store.analyses a USING (analysis_id)
 ORDER BY r.analysis_id DESC, r.benchmark, r.version;

COMMENT ON VIEW registry.anova IS
    'Whether groups of models differ, one row per analysis and benchmark: one-way analysis of variance, its assumptions, and beside it the tests of Welch, and of Kruskal and Wallis. Null where a number is not defined.

Example:
SELECT benchmark, f, holm, eta_squared, welch_holm, verdict
  FROM registry.anova
 WHERE analysis_id = (SELECT max(analysis_id) FROM registry.anova WHERE grouping = ''size'');';
COMMENT ON COLUMN registry.anova.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.anova.grouping IS 'What models are grouped by.';
COMMENT ON COLUMN registry.anova.benchmark IS 'Canonical name of the benchmark.';
COMMENT ON COLUMN registry.anova.version IS
    'Version of the benchmark; empty where no source states one.';
COMMENT ON COLUMN registry.anova.n IS 'Number of scores in the groups.';
COMMENT ON COLUMN registry.anova.groups IS 'Number of groups.';
COMMENT ON COLUMN registry.anova.f IS 'Ratio of the variance between groups to that within.';
COMMENT ON COLUMN registry.anova.df_between IS 'Its degrees of freedom: groups minus one.';
COMMENT ON COLUMN registry.anova.df_within IS 'Likewise: scores minus groups.';
COMMENT ON COLUMN registry.anova.p IS
    'Probability of such an f where all groups have one mean, equal variances and normal scores. Here and in all p, 0 is below what a double holds (1e-307).';
COMMENT ON COLUMN registry.anova.holm IS
    'p corrected for the number of benchmarks of the analysis, so that any false finding is rare.';
COMMENT ON COLUMN registry.anova.benjamini_hochberg IS
    'p corrected so that few of the findings are false.';
COMMENT ON COLUMN registry.anova.eta_squared IS
    'Share of the variance of these scores that the groups explain, in [0, 1].';
COMMENT ON COLUMN registry.anova.omega_squared IS
    'Estimate of that share in the population; around 0, and below it at times, where there is no effect.';
COMMENT ON COLUMN registry.anova.effect_lower IS
    'Lower end of the interval of that share in the population, at the level of the analysis.';
COMMENT ON COLUMN registry.anova.effect_upper IS 'Upper end of it.';
COMMENT ON COLUMN registry.anova.welch_f IS 'Ratio of Welch''s test, which needs no equal variances.';
COMMENT ON COLUMN registry.anova.welch_df IS 'Its degrees of freedom within.';
COMMENT ON COLUMN registry.anova.welch_p IS 'Its p; null where the scores of a group are all alike.';
COMMENT ON COLUMN registry.anova.welch_holm IS 'That p corrected as holm.';
COMMENT ON COLUMN registry.anova.kruskal_h IS
    'Statistic of Kruskal and Wallis, of ranks: it needs no normal scores.';
COMMENT ON COLUMN registry.anova.kruskal_p IS 'Its p.';
COMMENT ON COLUMN registry.anova.kruskal_holm IS 'That p corrected as holm.';
COMMENT ON COLUMN registry.anova.levene IS
    'Statistic of equal variances: Levene''s, of deviations from the medians (Brown and Forsythe), of the groups of three scores or more; null where there are fewer than two such groups.';
COMMENT ON COLUMN registry.anova.levene_p IS
    'Its p; where it is small, variances differ, and welch_p counts.';
COMMENT ON COLUMN registry.anova.skewness IS 'Skewness of the residuals; 0 if normal.';
COMMENT ON COLUMN registry.anova.kurtosis IS 'Excess kurtosis of the residuals; 0 if normal.';
COMMENT ON COLUMN registry.anova.normality_p IS
    'p of normal residuals (D''Agostino and Pearson); null below 20 scores. Small in large samples for deviations that do not matter.';
COMMENT ON COLUMN registry.anova.verdict IS
    'differ where holm and welch_holm are both below 1 minus the level, no difference found where neither is, unclear where they disagree. Where welch_holm is null, as a group''s scores are all alike, kruskal_holm is in its place; unknown where that is null too.';
