-- embeddings: the vectors of the current version, one row per model. The scalar subquery lets the
-- planner read that version's partition only.
CREATE VIEW registry.embeddings AS
SELECT m.name AS model, v.version_id AS version, v.method, e.kind, v.dimension, e.vector,
       e.uncertainty, e.variances
  FROM store.embedding_versions v
  JOIN store.embeddings e ON e.version_id = v.version_id
  JOIN store.models m ON m.model_id = e.model_id
 WHERE v.state = 'current'
   AND e.version_id = (SELECT c.version_id FROM store.embedding_versions c
                        WHERE c.state = 'current');

COMMENT ON VIEW registry.embeddings IS
    'Learned vectors of models in the current version: one row per model that has one, and always of one version. Empty until a version is promoted.

Example:
SELECT model, version, kind, dimension, vector
  FROM registry.embeddings
 ORDER BY model
 LIMIT 10;';
COMMENT ON COLUMN registry.embeddings.model IS 'Present name of the model.';
COMMENT ON COLUMN registry.embeddings.version IS 'Number of the version, as in embedding_versions; the same in every row.';
COMMENT ON COLUMN registry.embeddings.method IS 'Training method of the version.';
COMMENT ON COLUMN registry.embeddings.kind IS 'trained (from outcomes), folded (in later, from a few outcomes) or cold (predicted from the catalog, without outcomes).';
COMMENT ON COLUMN registry.embeddings.dimension IS 'Dimension of the vector; the same in every row.';
COMMENT ON COLUMN registry.embeddings.vector IS 'The vector. Coordinates are comparable with those of versions that it was aligned to; lengths are not normalised.';
COMMENT ON COLUMN registry.embeddings.uncertainty IS 'Standard deviation of a coordinate, at least 0: one number for all, too coarse for intervals; null where the method gives none.';
COMMENT ON COLUMN registry.embeddings.variances IS 'Variances of the vector along the axes of the version, of which an outcome''s or a score''s interval is made (predict_outcome); null in a version of before, and of methods without uncertainties.';
