-- lineage_neighbours(id): the models related to one in one step or through one parent, and the weight
-- of the strongest relation, in [0, 1]. At most 20,000 children of a parent are read.
CREATE FUNCTION store.lineage_neighbours(id bigint)
RETURNS TABLE (model_id bigint, lineage double precision)
LANGUAGE sql STABLE
AS $$
    SELECT r.model_id, max(w.weight)
      FROM (SELECT e.parent_id, CASE e.relation WHEN 'merge' THEN 'merge' ELSE 'parent' END
              FROM store.edges AS e
             WHERE e.child_id = id
            UNION ALL
            SELECT e.child_id, CASE e.relation WHEN 'merge' THEN 'merge' ELSE 'parent' END
              FROM store.edges AS e
             WHERE e.parent_id = id
            UNION ALL
            SELECT s.child_id,
                   CASE WHEN e.relation = 'merge' OR s.relation = 'merge'
                        THEN 'shared_merge' ELSE 'base' END
              FROM store.edges AS e,
                   LATERAL (SELECT o.child_id, o.relation FROM store.edges AS o
                             WHERE o.parent_id = e.parent_id LIMIT 20000) AS s
             WHERE e.child_id = id) AS r (model_id, relation)
      JOIN store.similarity_weights AS w ON w.name = r.relation
     WHERE r.model_id <> id
     GROUP BY r.model_id
$$;

COMMENT ON FUNCTION store.lineage_neighbours(bigint) IS
    'Models related to one directly or through one parent, with the weight of the strongest relation.';
