-- lineage_similarity(a, b): the weight of the strongest relation between two models; 0 without one.
CREATE FUNCTION store.lineage_similarity(a bigint, b bigint) RETURNS double precision
LANGUAGE sql STABLE
AS $$
    SELECT coalesce(max(w.weight), 0)
      FROM (SELECT CASE e.relation WHEN 'merge' THEN 'merge' ELSE 'parent' END
              FROM store.edges AS e
             WHERE (e.child_id = a AND e.parent_id = b) OR (e.child_id = b AND e.parent_id = a)
            UNION ALL
            SELECT CASE WHEN e.relation = 'merge' OR o.relation = 'merge'
                        THEN 'shared_merge' ELSE 'base' END
              FROM store.edges AS e
              JOIN store.edges AS o ON o.parent_id = e.parent_id
             WHERE e.child_id = a AND o.child_id = b) AS r (relation)
      JOIN store.similarity_weights AS w ON w.name = r.relation
$$;

COMMENT ON FUNCTION store.lineage_similarity(bigint, bigint) IS
    'Weight of the strongest relation between two models, 0 without one.';
