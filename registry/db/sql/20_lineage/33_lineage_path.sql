-- lineage_path(a, b): how two models are related: the path from a up to the nearest common ancestor
-- and down to b. One row per model on it, a first; empty without a common ancestor.
CREATE FUNCTION registry.lineage_path(a text, b text)
RETURNS TABLE (step integer, model text, direction text, relation text)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH RECURSIVE ends AS (
        SELECT (SELECT m.name FROM store.models m WHERE m.model_id = registry.model_id(a)) AS a,
               (SELECT m.name FROM store.models m WHERE m.model_id = registry.model_id(b)) AS b
    ), from_a AS (
        SELECT ends.a AS model, 0 AS depth, NULL::text AS child, NULL::text AS relation FROM ends
        UNION ALL
        SELECT x.ancestor, x.depth, x.child, x.relation FROM ends, registry.ancestors(ends.a) x
    ), from_b AS (
        SELECT ends.b AS model, 0 AS depth, NULL::text AS child, NULL::text AS relation FROM ends
        UNION ALL
        SELECT x.ancestor, x.depth, x.child, x.relation FROM ends, registry.ancestors(ends.b) x
    ), meeting AS (
        SELECT from_a.model, from_a.depth AS depth_a
          FROM from_a JOIN from_b USING (model)
         WHERE from_a.model IS NOT NULL
         ORDER BY from_a.depth + from_b.depth, from_a.model
         LIMIT 1
    ), up AS (
        SELECT from_a.model, from_a.depth, from_a.child, from_a.relation
          FROM from_a JOIN meeting USING (model)
        UNION ALL
        SELECT from_a.model, from_a.depth, from_a.child, from_a.relation
          FROM up JOIN from_a ON from_a.model = up.child
    ), down AS (
        SELECT from_b.model, 0 AS depth, from_b.child, NULL::text AS relation,
               from_b.relation AS next_relation
          FROM from_b JOIN meeting USING (model)
        UNION ALL
        SELECT from_b.model, down.depth + 1, from_b.child, down.next_relation, from_b.relation
          FROM down JOIN from_b ON from_b.model = down.child
    ), way AS (
        -- An upward step is labelled by the edge that leads from the model before it.
        SELECT up.depth AS step, up.model,
               CASE WHEN up.depth = 0 THEN 'start' ELSE 'up' END AS direction, up.relation
          FROM up
        UNION ALL
        SELECT meeting.depth_a + down.depth, down.model, 'down', down.relation
          FROM down, meeting WHERE down.depth > 0
    )
    SELECT way.step, way.model, way.direction, way.relation FROM way ORDER BY way.step;
END;

COMMENT ON FUNCTION registry.lineage_path(text, text) IS
    'How two models are related: the path from the first up to the nearest common ancestor and down to the second, one row per model on it. Empty without a common ancestor.
a: any name of the model to start from
b: any name of the model to end at
step: 0 for a, then one more for each model on the path
model: name of the model
direction: start for a; up where the model is a parent of the one before, down where it is a child of it
relation: relation of that child to that parent, as in lineage; null for the start

Example:
SELECT step, direction, relation, model
  FROM registry.lineage_path(''HuggingFaceH4/zephyr-7b-beta'', ''teknium/OpenHermes-2.5-Mistral-7B'');';
