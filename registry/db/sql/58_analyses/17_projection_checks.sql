-- projection_checks: what maps keep, and whether groups of models lie apart.
CREATE VIEW registry.projection_checks AS
SELECT c.analysis_id, a.options ->> 'grouping' AS grouping, c.layout, c.models, c.benchmarks,
       c.trustworthiness, c.kept_neighbours, c.grouped_models, c.groups, c.silhouette,
       c.silhouette_p, c.purity, c.purity_by_chance, c.purity_p, c.adjusted_rand, c.map_silhouette,
       c.map_purity, c.map_adjusted_rand, c.verdict
  FROM store.projection_checks c
  JOIN store.analyses a USING (analysis_id)
 ORDER BY analysis_id DESC;

COMMENT ON VIEW registry.projection_checks IS
    'How much of the neighbourhoods of models their map keeps, and whether groups lie apart by standardised scores, one row per map. Null where a number is not defined, as without a grouping.

Example:
SELECT analysis_id, grouping, silhouette, purity, purity_by_chance, verdict
  FROM registry.projection_checks;';
COMMENT ON COLUMN registry.projection_checks.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.projection_checks.grouping IS
    'What models are grouped by, such as size; null where they are not.';
COMMENT ON COLUMN registry.projection_checks.layout IS 'tsne or umap.';
COMMENT ON COLUMN registry.projection_checks.models IS
    'Number of models, with a score on each benchmark.';
COMMENT ON COLUMN registry.projection_checks.benchmarks IS 'Number of benchmarks.';
COMMENT ON COLUMN registry.projection_checks.trustworthiness IS
    'Of the ten nearest models on the plane, in [0, 1]: 1 where all are neighbours by scores too.';
COMMENT ON COLUMN registry.projection_checks.kept_neighbours IS
    'Share of the ten nearest models by scores that are among the ten nearest on the plane.';
COMMENT ON COLUMN registry.projection_checks.grouped_models IS
    'Number of models in groups that count.';
COMMENT ON COLUMN registry.projection_checks.groups IS 'Number of groups.';
COMMENT ON COLUMN registry.projection_checks.silhouette IS
    'Mean silhouette by scores, in [-1, 1]: above 0 where models are nearer to their own group than to the next.';
COMMENT ON COLUMN registry.projection_checks.silhouette_p IS
    'Share of 1,000 orders of the groups, one of them the real one, with as high a silhouette.';
COMMENT ON COLUMN registry.projection_checks.purity IS
    'Share of the ten nearest models by scores that are of a model''s own group.';
COMMENT ON COLUMN registry.projection_checks.purity_by_chance IS
    'Mean of that share over random orders.';
COMMENT ON COLUMN registry.projection_checks.purity_p IS
    'Share of 1,000 orders with as high a share.';
COMMENT ON COLUMN registry.projection_checks.adjusted_rand IS
    'Agreement of the groups with as many clusters by k-means: 1 if the same, 0 by chance.';
COMMENT ON COLUMN registry.projection_checks.map_silhouette IS 'The silhouette on the plane.';
COMMENT ON COLUMN registry.projection_checks.map_purity IS 'The share of neighbours on the plane.';
COMMENT ON COLUMN registry.projection_checks.map_adjusted_rand IS
    'The agreement with clusters on the plane.';
COMMENT ON COLUMN registry.projection_checks.verdict IS
    'apart (silhouette above 0.25 and more neighbours of the same group than by chance), overlapping (the latter alone), no difference found, or unknown.';
