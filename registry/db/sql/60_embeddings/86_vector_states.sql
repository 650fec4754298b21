-- vector_states: every model of the catalog, whether it has a vector in the current version, and why
-- not. The scalar subqueries let the planner read that version's partition only.
CREATE VIEW registry.vector_states AS
SELECT m.name AS model, v.version_id AS version, coalesce(e.kind, 'none') AS kind, e.uncertainty,
       e.support,
       CASE WHEN e.kind IS NOT NULL THEN NULL
            WHEN v.version_id IS NULL THEN 'no version is current; `registry train` learns one'
            WHEN v.placed_at IS NULL THEN 'only trained models have vectors so far'
            WHEN m.model_id > p.newest_model_id THEN 'new since vectors were last computed'
            WHEN m.changed_at > v.placed_at THEN 'changed since vectors were last computed'
            ELSE 'shares too little with trained models'
       END AS reason
  FROM store.models m
  LEFT JOIN store.embedding_versions v ON v.state = 'current'
  LEFT JOIN store.priors p ON p.version_id = v.version_id
  LEFT JOIN store.embeddings e
         ON e.model_id = m.model_id AND e.version_id = v.version_id
        AND e.version_id = (SELECT c.version_id FROM store.embedding_versions c
                             WHERE c.state = 'current');

COMMENT ON VIEW registry.vector_states IS
    'Every model of the catalog, stubs and models that are gone included: the kind of its vector in the current version and how reliable it is, or why it has none.

Example:
SELECT kind, reason, count(*)
  FROM registry.vector_states
 GROUP BY kind, reason
 ORDER BY count(*) DESC;';
COMMENT ON COLUMN registry.vector_states.model IS 'Present name of the model.';
COMMENT ON COLUMN registry.vector_states.version IS 'Number of the current version; null where none is.';
COMMENT ON COLUMN registry.vector_states.kind IS 'trained, folded or cold, as in embeddings; none where it has no vector.';
COMMENT ON COLUMN registry.vector_states.uncertainty IS 'Standard deviation of a coordinate, at least 0; null where the method gives none.';
COMMENT ON COLUMN registry.vector_states.support IS 'Share of a folded or cold model''s own similarity that trained models explain, in [0, 1]; near 0, the prediction says little. Null for trained models.';
COMMENT ON COLUMN registry.vector_states.reason IS 'Why it has no vector; null where it has one.';
