-- benchmark_saturation: how near the ceiling benchmarks are, and what they still tell apart.
CREATE VIEW registry.benchmark_saturation AS
SELECT s.analysis_id, a.options ->> 'grouping' AS grouping, s.benchmark, s.version, s.period,
       s.position, s.n, s.models, s.median, s.lower_quartile, s.upper_quartile, s.deviation, s.best,
       s.best_model, s.headroom, s.noise, s.near_best, s.pairs, s.separated, s.paired, s.verdict
  FROM store.saturation_results s
  JOIN store.analyses a USING (analysis_id)
 ORDER BY analysis_id DESC, benchmark, version, position;

COMMENT ON VIEW registry.benchmark_saturation IS
    'How saturated benchmarks are at the end of each period of the models, one row per analysis, benchmark and period; period ''all models'' has all, those of unknown date included. Null where noise is not known.

Example:
SELECT benchmark, period, models, best, headroom, separated, verdict
  FROM registry.benchmark_saturation
 WHERE analysis_id = (SELECT max(analysis_id) FROM registry.benchmark_saturation)
 ORDER BY benchmark, position;';
COMMENT ON COLUMN registry.benchmark_saturation.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.benchmark_saturation.grouping IS 'year or quarter.';
COMMENT ON COLUMN registry.benchmark_saturation.benchmark IS 'Canonical name of the benchmark.';
COMMENT ON COLUMN registry.benchmark_saturation.version IS
    'Its version; empty where no source states one.';
COMMENT ON COLUMN registry.benchmark_saturation.period IS
    'Year or quarter in which models came to the Hub, or all models.';
COMMENT ON COLUMN registry.benchmark_saturation.position IS 'Place in the order of time, from 0 on.';
COMMENT ON COLUMN registry.benchmark_saturation.n IS 'Number of models of the period.';
COMMENT ON COLUMN registry.benchmark_saturation.models IS
    'Number of models of the period and all before.';
COMMENT ON COLUMN registry.benchmark_saturation.median IS 'Median score of the period.';
COMMENT ON COLUMN registry.benchmark_saturation.lower_quartile IS 'Lower quartile of the period.';
COMMENT ON COLUMN registry.benchmark_saturation.upper_quartile IS 'Upper quartile of the period.';
COMMENT ON COLUMN registry.benchmark_saturation.deviation IS
    'Standard deviation of the scores of the period; null for one model.';
COMMENT ON COLUMN registry.benchmark_saturation.best IS 'Best score so far.';
COMMENT ON COLUMN registry.benchmark_saturation.best_model IS 'Name then of a model that has it.';
COMMENT ON COLUMN registry.benchmark_saturation.headroom IS
    'Distance of the best score from 1; labels that are wrong make it larger than what can be won.';
COMMENT ON COLUMN registry.benchmark_saturation.noise IS
    'Half the interval of the best score, at the level of the analysis.';
COMMENT ON COLUMN registry.benchmark_saturation.near_best IS
    'Share of models so far that are not told apart from the best one.';
COMMENT ON COLUMN registry.benchmark_saturation.pairs IS
    'Number of pairs of the ten best models so far that were compared.';
COMMENT ON COLUMN registry.benchmark_saturation.separated IS
    'Share of them that are told apart, each at the level of the analysis.';
COMMENT ON COLUMN registry.benchmark_saturation.paired IS
    'Whether they were compared on shared items; else as if each had items of its own, which tells fewer apart.';
COMMENT ON COLUMN registry.benchmark_saturation.verdict IS
    'separates (half of the pairs or more), separates little, saturated (the ceiling is within noise, or near with hardly a pair told apart), or unknown.';
