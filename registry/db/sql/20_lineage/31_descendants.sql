-- descendants(model): all models made from a model, directly or not, the nearest first. Each
-- descendant once, by its shortest path; cycles are not followed twice.
CREATE FUNCTION registry.descendants(model text)
RETURNS TABLE (
    descendant text, depth integer, parent text, relation text, source text, confidence real,
    state text
)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET plan_cache_mode = force_generic_plan  -- by index, however many models a generation has
AS $$
DECLARE
    frontier bigint[] := ARRAY[registry.model_id(model)];
    visited  bigint[] := frontier;
    steps    integer  := 0;
BEGIN
    -- NOT EXISTS is hashed, where <> ALL (visited) would compare each edge with all of them.
    WHILE cardinality(frontier) > 0 AND frontier[1] IS NOT NULL LOOP
        steps := steps + 1;
        RETURN QUERY
        SELECT DISTINCT ON (c.name)
               c.name, steps, p.name, e.relation, e.source, e.confidence, c.state
          FROM store.edges e
          JOIN store.models c ON c.model_id = e.child_id
          JOIN store.models p ON p.model_id = e.parent_id
         WHERE e.parent_id = ANY (frontier)
           AND NOT EXISTS (SELECT FROM unnest(visited) AS v (id) WHERE v.id = e.child_id)
         ORDER BY c.name, e.confidence DESC, e.source DESC, p.name;
        frontier := ARRAY(
            SELECT DISTINCT e.child_id FROM store.edges e
             WHERE e.parent_id = ANY (frontier)
               AND NOT EXISTS (SELECT FROM unnest(visited) AS v (id) WHERE v.id = e.child_id));
        visited := visited || frontier;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION registry.descendants(text) IS
    'All models made from a model, directly or not, the nearest first. Each descendant is listed once, by its shortest path; cycles are not followed twice, and the model itself is not listed.
model: any name of the model
descendant: name of the descendant
depth: steps from the model: 1 for a child, 2 for a child''s child
parent: the model one step before, which the descendant was made from
relation: relation of descendant to parent, as in lineage
source: source of that relation with the highest confidence
confidence: confidence of that source, in (0, 1]
state: state of the descendant, as in models

Example:
SELECT relation, count(*)
  FROM registry.descendants(''mistralai/Mistral-7B-v0.1'')
 GROUP BY relation;';
