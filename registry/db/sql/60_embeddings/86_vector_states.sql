-- vector_states: every model of the catalog, whether it has a vector of the current version, and why
-- not. The scalar subqueries let the planner look into that version's partition only.
CREATE VIEW registry.vector_states AS
SELECT m.name AS model, v.version_id AS version, coalesce(e.kind, 'none') AS kind, e.uncertainty,
       e.support,
       CASE WHEN e.kind IS NOT NULL THEN NULL
            WHEN v.version_id IS NULL THEN 'no version is current'
            WHEN v.placed_at IS NULL THEN 'only trained models were given vectors so far'
            WHEN m.model_id > p.newest_model_id THEN 'came after vectors were last given'
            WHEN m.changed_at > v.placed_at THEN 'changed after vectors were last given'
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
    'Every model of the catalog, stubs and vanished ones included: how it came by its vector of the current version, how far that is to be trusted, or why it has none.

Example:
SELECT kind, reason, count(*)
  FROM registry.vector_states
 GROUP BY kind, reason
 ORDER BY count(*) DESC;';
COMMENT ON COLUMN registry.vector_states.model IS 'Name of the model, as it is now.';
COMMENT ON COLUMN registry.vector_states.version IS 'Number of the current version; null where none is.';
COMMENT ON COLUMN registry.vector_states.kind IS 'trained, folded or cold, as in embeddings; none where it has no vector.';
COMMENT ON COLUMN registry.vector_states.uncertainty IS 'Standard deviation of a coordinate, at least 0; null where the method tells none.';
COMMENT ON COLUMN registry.vector_states.support IS 'Share of a folded or cold model''s own likeness that trained models explain, in [0, 1]; near 0, the guess says little of it. Null for trained models.';
COMMENT ON COLUMN registry.vector_states.reason IS 'Why it has no vector; null where it has one.';
