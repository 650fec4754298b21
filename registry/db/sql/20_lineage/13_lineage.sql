-- lineage: what each model was made from; one row per child, parent and relation, with the source
-- of highest confidence. Self-edges and cycles are kept as stated: see lineage_problems.
CREATE VIEW registry.lineage AS
SELECT child.name AS child, parent.name AS parent, e.relation, e.source, e.confidence,
       (SELECT array_agg(s.source ORDER BY s.confidence DESC, s.source DESC)
          FROM store.edges s
         WHERE (s.child_id, s.parent_id, s.relation) = (e.child_id, e.parent_id, e.relation))
           AS sources,
       e.position,
       e.child_id = e.parent_id AS self_edge,
       parent.state = 'stub'    AS parent_missing
  FROM store.edges e
  JOIN store.models child ON child.model_id = e.child_id
  JOIN store.models parent ON parent.model_id = e.parent_id
 WHERE NOT EXISTS (
           SELECT FROM store.edges better
            WHERE (better.child_id, better.parent_id, better.relation)
                  = (e.child_id, e.parent_id, e.relation)
              AND (better.confidence, better.source) > (e.confidence, e.source));

COMMENT ON VIEW registry.lineage IS
    'What each model was made from: one row per child, parent and relation, with the source of highest confidence. A child has several rows where it has several parents, or where sources disagree about the relation.

Example:
SELECT child, relation, confidence
  FROM registry.lineage
 WHERE parent = ''mistralai/Mistral-7B-v0.1'' AND relation = ''quantized'';';
COMMENT ON COLUMN registry.lineage.child IS 'Name of the model that was made.';
COMMENT ON COLUMN registry.lineage.parent IS 'Name of the model that it was made from.';
COMMENT ON COLUMN registry.lineage.relation IS
    'finetune, adapter, merge, quantized, or base_unknown where the parent is stated but not how it was used.';
COMMENT ON COLUMN registry.lineage.source IS
    'Source of the statement with the highest confidence: tag (the Hub''s own resolution), merge_config (a mergekit configuration in the card) or card.';
COMMENT ON COLUMN registry.lineage.confidence IS 'Confidence of that source, in (0, 1].';
COMMENT ON COLUMN registry.lineage.sources IS 'All sources that state it, the highest confidence first.';
COMMENT ON COLUMN registry.lineage.position IS 'Position of the parent in the list that it was read from, from 0: 0 is the first source of a merge.';
COMMENT ON COLUMN registry.lineage.self_edge IS 'True where a model names itself as its parent.';
COMMENT ON COLUMN registry.lineage.parent_missing IS 'True where the parent is a stub: in no listing so far.';
