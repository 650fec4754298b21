-- projections: models on maps by their scores.
CREATE VIEW registry.projections AS
SELECT p.analysis_id, c.layout, p.model, p.x, p.y, a.options ->> 'grouping' AS grouping,
       p.group_name
  FROM store.projections p
  JOIN store.projection_checks c USING (analysis_id)
  JOIN store.analyses a USING (analysis_id)
 ORDER BY analysis_id DESC, model;

COMMENT ON VIEW registry.projections IS
    'Models on a plane by their scores, one row per map and model, so that models with similar scores lie close. Axes have no meaning, and neither have distances between what is far apart; view projection_checks has what the map keeps.

Example:
SELECT model, x, y, group_name
  FROM registry.projections
 WHERE analysis_id = (SELECT max(analysis_id) FROM registry.analyses WHERE kind = ''map'');';
COMMENT ON COLUMN registry.projections.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.projections.layout IS 'tsne or umap.';
COMMENT ON COLUMN registry.projections.model IS 'Name of the model at that time.';
COMMENT ON COLUMN registry.projections.x IS 'Place on the plane.';
COMMENT ON COLUMN registry.projections.y IS 'Likewise.';
COMMENT ON COLUMN registry.projections.grouping IS
    'What models are grouped by, such as size; null where they are not.';
COMMENT ON COLUMN registry.projections.group_name IS
    'Group of the model; null where it is in none, or in one that is too small to count.';
