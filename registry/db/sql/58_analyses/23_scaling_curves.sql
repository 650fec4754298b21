-- scaling_curves: scores by size, tokens or compute, as curves with bands.
CREATE VIEW registry.scaling_curves AS
SELECT p.analysis_id, a.options ->> 'axis' AS axis, p.benchmark, p.version, p.group_name,
       p.position, p.amount, p.score, p.lower, p.upper, p.beyond
  FROM store.scaling_points p
  JOIN store.analyses a USING (analysis_id)
 ORDER BY analysis_id DESC, benchmark, version, group_name, position;

COMMENT ON VIEW registry.scaling_curves IS
    'Curves of scores by size, training tokens or compute, one row per analysis, benchmark, group and point; view scaling_fits has what they are made of.

Example:
SELECT group_name, amount, score, lower, upper
  FROM registry.scaling_curves
 WHERE analysis_id = (SELECT max(analysis_id) FROM registry.scaling_fits)
   AND benchmark = ''mmlu'' AND NOT beyond;';
COMMENT ON COLUMN registry.scaling_curves.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.scaling_curves.axis IS 'size, tokens or compute.';
COMMENT ON COLUMN registry.scaling_curves.benchmark IS 'Canonical name of the benchmark.';
COMMENT ON COLUMN registry.scaling_curves.version IS
    'Its version; empty where no source states one.';
COMMENT ON COLUMN registry.scaling_curves.group_name IS
    'Group of models; ''all models'' is the curve through all.';
COMMENT ON COLUMN registry.scaling_curves.position IS 'Number of the point, from 0 on.';
COMMENT ON COLUMN registry.scaling_curves.amount IS
    'Number of weights, of training tokens, or of operations.';
COMMENT ON COLUMN registry.scaling_curves.score IS
    'Score of the curve: a share, or as the measure states.';
COMMENT ON COLUMN registry.scaling_curves.lower IS
    'Lower end of the interval of a new model''s score, at the level of the analysis; null beyond the largest model where it is not known how far larger models are from curves (drift of view scaling_fits).';
COMMENT ON COLUMN registry.scaling_curves.upper IS 'Upper end of it.';
COMMENT ON COLUMN registry.scaling_curves.beyond IS
    'Whether it lies beyond the largest model that the curve is fitted to.';
