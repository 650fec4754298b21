-- ability_scaling: the first principal ability of groups of models, as a line of the logarithm.
CREATE VIEW registry.ability_scaling AS
SELECT s.analysis_id, a.options ->> 'axis' AS axis, s.group_name, s.n, s.intercept, s.slope,
       s.slope_lower, s.slope_upper, s.p, s.r_squared, s.ability_share
  FROM store.ability_scaling s
  JOIN store.analyses a USING (analysis_id)
 ORDER BY analysis_id DESC, group_name = 'all models', group_name;

COMMENT ON VIEW registry.ability_scaling IS
    'Observational scaling (Ruan et al. 2024): the first principal component of the standardised scores of models, as a line of the logarithm of size, tokens or compute, one row per analysis and group.

Example:
SELECT group_name, n, slope, r_squared
  FROM registry.ability_scaling
 WHERE analysis_id = (SELECT max(analysis_id) FROM registry.ability_scaling);';
COMMENT ON COLUMN registry.ability_scaling.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.ability_scaling.axis IS 'size, tokens or compute.';
COMMENT ON COLUMN registry.ability_scaling.group_name IS
    'Group of models; ''all models'' is the line through all.';
COMMENT ON COLUMN registry.ability_scaling.n IS
    'Number of models with a known amount and a score on each benchmark.';
COMMENT ON COLUMN registry.ability_scaling.intercept IS 'Ability at an amount of one.';
COMMENT ON COLUMN registry.ability_scaling.slope IS 'What a factor of ten adds to the ability.';
COMMENT ON COLUMN registry.ability_scaling.slope_lower IS
    'Lower end of its interval, at the level of the analysis.';
COMMENT ON COLUMN registry.ability_scaling.slope_upper IS 'Upper end of it.';
COMMENT ON COLUMN registry.ability_scaling.p IS
    'p of no slope. 0 is below what a double holds (1e-307).';
COMMENT ON COLUMN registry.ability_scaling.r_squared IS
    'Share of the variance of the ability in the group that the line explains.';
COMMENT ON COLUMN registry.ability_scaling.ability_share IS
    'Share of the variance of all standardised scores that the ability explains.';
