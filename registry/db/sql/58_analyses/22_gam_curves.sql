-- gam_curves: partial effects of the smooths of generalised additive models, point by point.
CREATE VIEW registry.gam_curves AS
SELECT c.analysis_id, c.response, c.version, c.position, t.term, t.term_version, t.group_name,
       c.point, c.x, c.effect, c.error, c.lower, c.upper, c.below
  FROM store.gam_curves c
  JOIN store.gam_terms t USING (analysis_id, response, version, position)
 ORDER BY c.analysis_id DESC, c.response, c.version, c.position, c.point;

COMMENT ON VIEW registry.gam_curves IS
    'Partial effects of smooths, one row per analysis, response, term and point: how far the response is from its mean, all other terms alike.

Example:
SELECT x, effect, lower, upper
  FROM registry.gam_curves
 WHERE analysis_id = (SELECT max(analysis_id) FROM registry.gam_fits) AND term = ''size'';';
COMMENT ON COLUMN registry.gam_curves.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.gam_curves.response IS
    'Canonical name of the benchmark whose scores are explained, or size.';
COMMENT ON COLUMN registry.gam_curves.version IS
    'Version of the benchmark; empty where no source states one.';
COMMENT ON COLUMN registry.gam_curves.position IS 'Place of the term in the model, as in gam_terms.';
COMMENT ON COLUMN registry.gam_curves.term IS 'size, or the canonical name of a benchmark.';
COMMENT ON COLUMN registry.gam_curves.term_version IS
    'Version of the benchmark; empty where no source states one.';
COMMENT ON COLUMN registry.gam_curves.group_name IS
    'Group of models whose smooth it is; null for a smooth of all.';
COMMENT ON COLUMN registry.gam_curves.point IS 'Number of the point, from 0 on, in order of x.';
COMMENT ON COLUMN registry.gam_curves.x IS
    'Number of weights, or score: a share in [0, 1], or raw where the measure has no bounds; no logarithm.';
COMMENT ON COLUMN registry.gam_curves.effect IS
    'Partial effect, 0 on average over the models: in units of the score, or of its natural logarithm where the scale is log, as that of size always is.';
COMMENT ON COLUMN registry.gam_curves.error IS 'Its standard error.';
COMMENT ON COLUMN registry.gam_curves.lower IS
    'Lower end of the band at that point, at the level of the analysis.';
COMMENT ON COLUMN registry.gam_curves.upper IS 'Upper end of it.';
COMMENT ON COLUMN registry.gam_curves.below IS
    'Share of the models with x or less, in [0, 1]: bands are wide, and shapes doubtful, near its ends.';
