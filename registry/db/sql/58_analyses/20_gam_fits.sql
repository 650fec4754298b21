-- gam_fits: generalised additive models, one row per response.
CREATE VIEW registry.gam_fits AS
SELECT f.analysis_id, a.options ->> 'scale' AS scale, f.response, f.version, f.n, f.df, f.r_squared,
       f.explained, f.residual, f.converged
  FROM store.gam_fits f
  JOIN store.analyses a USING (analysis_id)
 ORDER BY f.analysis_id DESC, f.response, f.version;

COMMENT ON VIEW registry.gam_fits IS
    'Generalised additive models of scores, or of size, one row per analysis and response; their terms are in gam_terms, and the curves of smooths in gam_curves.

Example:
SELECT response, n, r_squared, explained, residual
  FROM registry.gam_fits
 WHERE analysis_id = (SELECT max(analysis_id) FROM registry.gam_fits);';
COMMENT ON COLUMN registry.gam_fits.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.gam_fits.scale IS
    'raw: of scores as they are; log: of their natural logarithms, responses and abilities alike. Size is always a logarithm.';
COMMENT ON COLUMN registry.gam_fits.response IS
    'Canonical name of the benchmark whose scores are explained, or size.';
COMMENT ON COLUMN registry.gam_fits.version IS
    'Version of the benchmark; empty where no source states one.';
COMMENT ON COLUMN registry.gam_fits.n IS 'Number of models, those with all that the model needs.';
COMMENT ON COLUMN registry.gam_fits.df IS
    'Effective degrees of freedom of all terms and the intercept.';
COMMENT ON COLUMN registry.gam_fits.r_squared IS
    'Share of the variance that the model explains, adjusted for its degrees of freedom; below 0 where it explains nothing.';
COMMENT ON COLUMN registry.gam_fits.explained IS
    'Share of the deviance that it explains, in [0, 1]; not adjusted.';
COMMENT ON COLUMN registry.gam_fits.residual IS
    'Standard deviation of what it leaves, in units of the response.';
COMMENT ON COLUMN registry.gam_fits.converged IS
    'Whether the search for the amounts of smoothing ended; else all numbers are rough.';
