-- correlations: of scores on pairs of benchmarks, plain and given the models' size.
CREATE VIEW registry.correlations AS
SELECT analysis_id, benchmark, version, other, other_version, n, pearson, pearson_lower,
       pearson_upper, pearson_p, pearson_holm, spearman, spearman_lower, spearman_upper, spearman_p,
       spearman_holm, partial_n, partial, partial_lower, partial_upper, partial_p, partial_holm,
       partial_spearman, partial_spearman_lower, partial_spearman_upper
  FROM store.correlation_results
 ORDER BY analysis_id DESC, benchmark, version, other, other_version;

COMMENT ON VIEW registry.correlations IS
    'Correlations of scores on two benchmarks over the models that have both, one row per analysis and pair. Null where a correlation is not defined.

Example:
SELECT benchmark, other, n, pearson, spearman, partial
  FROM registry.correlations
 WHERE analysis_id = (SELECT max(analysis_id) FROM registry.analyses WHERE kind = ''correlate'')
 ORDER BY pearson DESC;';
COMMENT ON COLUMN registry.correlations.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.correlations.benchmark IS 'Canonical name of the first benchmark.';
COMMENT ON COLUMN registry.correlations.version IS
    'Its version; empty where no source states one.';
COMMENT ON COLUMN registry.correlations.other IS 'Canonical name of the second benchmark.';
COMMENT ON COLUMN registry.correlations.other_version IS 'Its version.';
COMMENT ON COLUMN registry.correlations.n IS 'Number of models with scores on both.';
COMMENT ON COLUMN registry.correlations.pearson IS 'Linear correlation, in [-1, 1].';
COMMENT ON COLUMN registry.correlations.pearson_lower IS
    'Lower end of its interval (Fisher), at the level of the analysis.';
COMMENT ON COLUMN registry.correlations.pearson_upper IS 'Upper end of it.';
COMMENT ON COLUMN registry.correlations.pearson_p IS
    'p of no correlation. Here and in all p, 0 is below what a double holds (1e-307).';
COMMENT ON COLUMN registry.correlations.pearson_holm IS
    'That p corrected for the number of pairs, so that any false finding is rare.';
COMMENT ON COLUMN registry.correlations.spearman IS
    'Correlation of ranks: of any rising relation, and little moved by outliers.';
COMMENT ON COLUMN registry.correlations.spearman_lower IS
    'Lower end of its interval (Bonett and Wright).';
COMMENT ON COLUMN registry.correlations.spearman_upper IS 'Upper end of it.';
COMMENT ON COLUMN registry.correlations.spearman_p IS 'p of no correlation.';
COMMENT ON COLUMN registry.correlations.spearman_holm IS 'That p corrected likewise.';
COMMENT ON COLUMN registry.correlations.partial_n IS
    'Number of those models whose own size is known.';
COMMENT ON COLUMN registry.correlations.partial IS
    'Linear correlation of what the logarithm of the number of weights leaves of both; over those models.';
COMMENT ON COLUMN registry.correlations.partial_lower IS 'Lower end of its interval.';
COMMENT ON COLUMN registry.correlations.partial_upper IS 'Upper end of it.';
COMMENT ON COLUMN registry.correlations.partial_p IS 'p of no correlation given size.';
COMMENT ON COLUMN registry.correlations.partial_holm IS 'That p corrected likewise.';
COMMENT ON COLUMN registry.correlations.partial_spearman IS
    'Correlation of ranks given the ranks of size.';
COMMENT ON COLUMN registry.correlations.partial_spearman_lower IS 'Lower end of its interval.';
COMMENT ON COLUMN registry.correlations.partial_spearman_upper IS 'Upper end of it.';
