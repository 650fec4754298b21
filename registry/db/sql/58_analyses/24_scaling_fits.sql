-- scaling_fits: what scaling curves are made of, and how well they predict larger models.
CREATE VIEW registry.scaling_fits AS
SELECT f.analysis_id, a.options ->> 'axis' AS axis, f.benchmark, f.version, f.group_name, f.form,
       f.n, f.sizes, f.floor, f.floor_known, f.slope, f.slope_lower, f.slope_upper, f.p,
       f.deviation, f.r_squared, f.held_out, f.error, f.last_error, f.line_error, f.pooled_error,
       f.shared_error, f.covered, f.shared_covered, f.drift
  FROM store.scaling_fits f
  JOIN store.analyses a USING (analysis_id)
 ORDER BY analysis_id DESC, benchmark, version, group_name = 'all models', group_name;

COMMENT ON VIEW registry.scaling_fits IS
    'Curves of scores by size, training tokens or compute, one row per analysis, benchmark and group, and the errors with which they predict the largest models from the smaller ones, beside simpler guesses. Null where a number is not defined.

Example:
SELECT benchmark, group_name, slope, r_squared, error, last_error
  FROM registry.scaling_fits
 WHERE analysis_id = (SELECT max(analysis_id) FROM registry.scaling_fits) AND held_out > 0;';
COMMENT ON COLUMN registry.scaling_fits.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.scaling_fits.axis IS 'size, tokens or compute.';
COMMENT ON COLUMN registry.scaling_fits.benchmark IS 'Canonical name of the benchmark.';
COMMENT ON COLUMN registry.scaling_fits.version IS
    'Its version; empty where no source states one.';
COMMENT ON COLUMN registry.scaling_fits.group_name IS
    'Group of models; ''all models'' is the curve through all.';
COMMENT ON COLUMN registry.scaling_fits.form IS 'logistic, or line where scores are no shares.';
COMMENT ON COLUMN registry.scaling_fits.n IS 'Number of scores.';
COMMENT ON COLUMN registry.scaling_fits.sizes IS 'Number of different amounts among them.';
COMMENT ON COLUMN registry.scaling_fits.floor IS
    'Score of chance that a logistic curve rises from to 1; null for a line.';
COMMENT ON COLUMN registry.scaling_fits.floor_known IS
    'Whether a source states it; else it is 0.';
COMMENT ON COLUMN registry.scaling_fits.slope IS
    'What a factor of ten adds: to the log odds above chance, or to the score of a line.';
COMMENT ON COLUMN registry.scaling_fits.slope_lower IS
    'Lower end of its interval, at the level of the analysis.';
COMMENT ON COLUMN registry.scaling_fits.slope_upper IS 'Upper end of it.';
COMMENT ON COLUMN registry.scaling_fits.p IS 'p of no slope; models of one family are not independent. 0 is below what a double holds (1e-307).';
COMMENT ON COLUMN registry.scaling_fits.deviation IS
    'Standard deviation of scores about the curve.';
COMMENT ON COLUMN registry.scaling_fits.r_squared IS
    'Share of the variance of the scores that the curve explains.';
COMMENT ON COLUMN registry.scaling_fits.held_out IS
    'Number of the largest models, about a third, that were predicted from the smaller ones.';
COMMENT ON COLUMN registry.scaling_fits.error IS
    'Mean absolute error of a curve through the smaller models on them.';
COMMENT ON COLUMN registry.scaling_fits.last_error IS
    'The same of guessing the score at the largest size that is not held out.';
COMMENT ON COLUMN registry.scaling_fits.line_error IS 'The same of a line.';
COMMENT ON COLUMN registry.scaling_fits.pooled_error IS
    'The same of one curve through the smaller models of all groups; null for all models.';
COMMENT ON COLUMN registry.scaling_fits.covered IS
    'Share of the held-out scores that their interval holds, as wide beyond as larger models of the other groups are from curves; null where fewer than three other groups have such models, and for all models.';
COMMENT ON COLUMN registry.scaling_fits.shared_error IS
    'Mean absolute error of a curve with a level of its own and the slope of all groups; null for all models.';
COMMENT ON COLUMN registry.scaling_fits.shared_covered IS
    'Share of the held-out scores that the interval of that curve holds.';
COMMENT ON COLUMN registry.scaling_fits.drift IS
    'Standard deviation that bands beyond the largest model have besides, by factor of ten: how far larger models of all groups on the benchmark are from curves through smaller ones. Null for all models, and where fewer than three groups have such models; then bands end at the largest model.';
