-- ancestors(model): everything that a model was made from, directly or not, the nearest first.
-- Each ancestor once, by its shortest way; circles end where they close. Empty for a root.
CREATE FUNCTION registry.ancestors(model text)
RETURNS TABLE (
    ancestor text, depth integer, child text, relation text, source text, confidence real, state text
)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    frontier bigint[] := ARRAY[registry.model_id(model)];
    visited  bigint[] := frontier;
    steps    integer  := 0;
BEGIN
    WHILE cardinality(frontier) > 0 AND frontier[1] IS NOT NULL LOOP
        steps := steps + 1;
        RETURN QUERY
        SELECT DISTINCT ON (p.name)
               p.name, steps, c.name, e.relation, e.source, e.confidence, p.state
          FROM store.edges e
          JOIN store.models p ON p.model_id = e.parent_id
          JOIN store.models c ON c.model_id = e.child_id
         WHERE e.child_id = ANY (frontier) AND e.parent_id <> ALL (visited)
         ORDER BY p.name, e.confidence DESC, e.source DESC, c.name;
        frontier := ARRAY(
            SELECT DISTINCT e.parent_id FROM store.edges e
             WHERE e.child_id = ANY (frontier) AND e.parent_id <> ALL (visited));
        visited := visited || frontier;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION registry.ancestors(text) IS
    'Everything a model was made from: ancestor, depth (1 = parent), the child on the way, relation, source and confidence of that step, the ancestor''s state; nearest first, each ancestor once.';
