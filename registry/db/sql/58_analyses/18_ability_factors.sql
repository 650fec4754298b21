-- ability_factors: how few abilities lie behind scores on many benchmarks.
CREATE VIEW registry.ability_factors AS
SELECT analysis_id, factor, eigenvalue, by_chance, kept, share, share_lower, share_upper,
       rotated_share
  FROM store.ability_factors
 ORDER BY analysis_id DESC, factor;

COMMENT ON VIEW registry.ability_factors IS
    'Factors behind scores of models, one row per analysis and factor; those kept explain more than chance does (parallel analysis). The share of the first is that of a general ability.

Example:
SELECT factor, eigenvalue, by_chance, share
  FROM registry.ability_factors
 WHERE analysis_id = (SELECT max(analysis_id) FROM registry.ability_factors) AND kept;';
COMMENT ON COLUMN registry.ability_factors.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.ability_factors.factor IS 'Number of the factor, the largest being 1.';
COMMENT ON COLUMN registry.ability_factors.eigenvalue IS
    'Eigenvalue of the correlation matrix of the scores.';
COMMENT ON COLUMN registry.ability_factors.by_chance IS
    'What the eigenvalue of as many unrelated normal scores exceeds in 1 minus the level of cases.';
COMMENT ON COLUMN registry.ability_factors.kept IS
    'Whether its eigenvalue, and those of all before it, are above what chance does.';
COMMENT ON COLUMN registry.ability_factors.share IS
    'Share of the variance of all standardised scores, before rotation.';
COMMENT ON COLUMN registry.ability_factors.share_lower IS
    'Lower end of its interval, over resampled models.';
COMMENT ON COLUMN registry.ability_factors.share_upper IS 'Upper end of it.';
COMMENT ON COLUMN registry.ability_factors.rotated_share IS
    'Share of the variance by the rotated factor of this number; null where it is not kept.';
