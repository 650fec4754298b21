-- factor_loadings: how far each benchmark measures each ability.
CREATE VIEW registry.factor_loadings AS
SELECT analysis_id, factor, benchmark, version, loading, lower, upper, communality
  FROM store.factor_loadings
 ORDER BY analysis_id DESC, factor, benchmark, version;

COMMENT ON VIEW registry.factor_loadings IS
    'Correlations of benchmarks with the factors that are kept, after varimax, one row per analysis, factor and benchmark.

Example:
SELECT factor, benchmark, loading, lower, upper
  FROM registry.factor_loadings
 WHERE analysis_id = (SELECT max(analysis_id) FROM registry.ability_factors)
   AND abs(loading) > 0.5;';
COMMENT ON COLUMN registry.factor_loadings.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.factor_loadings.factor IS 'Number of the rotated factor.';
COMMENT ON COLUMN registry.factor_loadings.benchmark IS 'Canonical name of the benchmark.';
COMMENT ON COLUMN registry.factor_loadings.version IS
    'Its version; empty where no source states one.';
COMMENT ON COLUMN registry.factor_loadings.loading IS 'Loading, in [-1, 1].';
COMMENT ON COLUMN registry.factor_loadings.lower IS
    'Lower end of its interval, over resampled models.';
COMMENT ON COLUMN registry.factor_loadings.upper IS 'Upper end of it.';
COMMENT ON COLUMN registry.factor_loadings.communality IS
    'Share of the variance of the benchmark''s scores by all kept factors.';
