-- lineage_problems: inconsistencies of the lineage, one row per finding.
CREATE VIEW registry.lineage_problems AS
SELECT 'self_edge'::text AS problem, m.name AS model, m.name AS parent,
       'names itself as its parent'::text AS detail
  FROM store.edges e JOIN store.models m ON m.model_id = e.child_id
 WHERE e.child_id = e.parent_id
 GROUP BY m.name
UNION ALL
SELECT 'cycle', m.name, p.name, 'first parents lead back to the model itself'
  FROM store.model_families f
  JOIN store.models m ON m.model_id = f.model_id
  LEFT JOIN store.models p ON p.model_id = f.primary_parent_id
 WHERE f.in_cycle
UNION ALL
SELECT 'missing_parent', m.name, p.name, 'the parent has never been seen in a listing'
  FROM store.edges e
  JOIN store.models m ON m.model_id = e.child_id
  JOIN store.models p ON p.model_id = e.parent_id
 WHERE p.state = 'stub'
 GROUP BY m.name, p.name
UNION ALL
SELECT 'gone_parent', m.name, p.name, 'the parent is ' || p.state
  FROM store.edges e
  JOIN store.models m ON m.model_id = e.child_id
  JOIN store.models p ON p.model_id = e.parent_id
 WHERE p.state IN ('gone', 'disabled') AND e.child_id <> e.parent_id
 GROUP BY m.name, p.name, p.state
UNION ALL
SELECT 'license_drift', m.name, p.name, format('%s, made from %s', m.license, p.license)
  FROM store.edges e
  JOIN store.models m ON m.model_id = e.child_id
  JOIN store.models p ON p.model_id = e.parent_id
 WHERE m.license <> p.license AND e.child_id <> e.parent_id
 GROUP BY m.name, p.name, m.license, p.license;

COMMENT ON VIEW registry.lineage_problems IS 'Inconsistencies of the lineage, one row per finding. They are what the sources state, and are not corrected.

Example:
SELECT problem, count(*) FROM registry.lineage_problems GROUP BY problem ORDER BY problem;';
COMMENT ON COLUMN registry.lineage_problems.problem IS
    'self_edge (names itself as its parent), cycle (its first parents lead back to it), missing_parent (the parent is a stub), gone_parent (the parent is gone or disabled) or license_drift (child and parent state different licences).';
COMMENT ON COLUMN registry.lineage_problems.model IS 'Name of the model concerned: the child.';
COMMENT ON COLUMN registry.lineage_problems.parent IS 'Name of the parent concerned.';
COMMENT ON COLUMN registry.lineage_problems.detail IS 'The inconsistency, in words.';
