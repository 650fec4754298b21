-- ancestors(model): all models that a model was made from, directly or not, the nearest first. Each
-- ancestor once, by its shortest path; cycles are not followed twice. Empty for a root. descendants is
-- the same with parent and child exchanged: one function with the direction as an argument took 1.6
-- times as long for most models.
CREATE FUNCTION registry.ancestors(model text)
RETURNS TABLE (
    ancestor text, depth integer, child text, relation text, source text, confidence real, state text
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
        SELECT DISTINCT ON (p.name)
               p.name, steps, c.name, e.relation, e.source, e.confidence, p.state
          FROM store.edges e
          JOIN store.models p ON p.model_id = e.parent_id
          JOIN store.models c ON c.model_id = e.child_id
         WHERE e.child_id = ANY (frontier)
           AND NOT EXISTS (SELECT FROM unnest(visited) AS v (id) WHERE v.id = e.parent_id)
         ORDER BY p.name, e.confidence DESC, e.source DESC, c.name;
        frontier := ARRAY(
            SELECT DISTINCT e.parent_id FROM store.edges e
             WHERE e.child_id = ANY (frontier)
               AND NOT EXISTS (SELECT FROM unnest(visited) AS v (id) WHERE v.id = e.parent_id));
        visited := visited || frontier;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION registry.ancestors(text) IS
    'All models that a model was made from, directly or not, the nearest first. Each ancestor is listed once, by its shortest path; cycles are not followed twice, and the model itself is not listed.
model: any name of the model
ancestor: name of the ancestor
depth: steps from the model: 1 for a parent, 2 for a parent''s parent
child: the model one step before, which was made from the ancestor
relation: relation of child to ancestor, as in lineage
source: source of that relation with the highest confidence
confidence: confidence of that source, in (0, 1]
state: state of the ancestor, as in models

Example:
SELECT ancestor, depth, relation
  FROM registry.ancestors(''HuggingFaceH4/zephyr-7b-beta'');';
