-- gam_terms: terms of generalised additive models, with their tests.
CREATE VIEW registry.gam_terms AS
SELECT analysis_id, response, version, position, kind, term, term_version, group_name, groups, edf,
       rank, f, p, holm, deviation, shape
  FROM store.gam_terms
 ORDER BY analysis_id DESC, response, version, position;

COMMENT ON VIEW registry.gam_terms IS
    'Terms of generalised additive models, one row per analysis, response and term: smooths of size and of other abilities, and random effects of groups of models, each with its test. Null where a number is not defined.

Example:
SELECT response, term, group_name, edf, holm, shape
  FROM registry.gam_terms
 WHERE analysis_id = (SELECT max(analysis_id) FROM registry.gam_terms) AND kind = ''smooth'';';
COMMENT ON COLUMN registry.gam_terms.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.gam_terms.response IS
    'Canonical name of the benchmark whose scores are explained, or size.';
COMMENT ON COLUMN registry.gam_terms.version IS
    'Version of the benchmark; empty where no source states one.';
COMMENT ON COLUMN registry.gam_terms.position IS 'Place of the term in the model, from 0.';
COMMENT ON COLUMN registry.gam_terms.kind IS 'smooth, or random for a random effect of groups.';
COMMENT ON COLUMN registry.gam_terms.term IS
    'Of a smooth size or the canonical name of a benchmark; of a random effect what models are grouped by, such as architecture.';
COMMENT ON COLUMN registry.gam_terms.term_version IS
    'Version of the benchmark; empty where no source states one.';
COMMENT ON COLUMN registry.gam_terms.group_name IS
    'Group of models whose smooth it is; null for a smooth of all, and for random effects.';
COMMENT ON COLUMN registry.gam_terms.groups IS 'Number of groups of a random effect.';
COMMENT ON COLUMN registry.gam_terms.edf IS
    'Effective degrees of freedom: 1 is a straight line; about 0 a random effect that is none.';
COMMENT ON COLUMN registry.gam_terms.rank IS
    'Degrees of freedom of the test, not whole for a smooth.';
COMMENT ON COLUMN registry.gam_terms.f IS 'Its statistic, divided by the rank.';
COMMENT ON COLUMN registry.gam_terms.p IS
    'p of no effect, given all other terms (Wood 2013). Models of one family count as independent unless family is a random effect. Below 1e-12 it is rounding, and 0 is that.';
COMMENT ON COLUMN registry.gam_terms.holm IS
    'p corrected for the number of terms of the analysis, so that any false finding is rare.';
COMMENT ON COLUMN registry.gam_terms.deviation IS
    'Standard deviation of a random effect, in units of the response.';
COMMENT ON COLUMN registry.gam_terms.shape IS
    'Of a smooth: rising, falling, rising and falling, or flat; by what differs beyond noise, all points at once, at the level of the analysis.';
