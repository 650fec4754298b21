-- families: one row per family, that is per root; a model without parents and children is a family of one.
CREATE VIEW registry.families AS
SELECT f.family_id AS family, root.name AS root, f.models, f.generations, f.median_parameters,
       f.downloads, root.license, root.created_at
  FROM (SELECT family_id,
               count(*)          AS models,
               max(generation)   AS generations,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY m.parameters)::bigint
                                 AS median_parameters,
               sum(c.downloads)::bigint AS downloads
          FROM store.model_families
          JOIN store.models m USING (model_id)
          LEFT JOIN store.counters c USING (model_id)
         GROUP BY family_id) f
  JOIN store.models root ON root.model_id = f.family_id;

COMMENT ON VIEW registry.families IS
    'One row per family: the models with one root by way of their first parents, the root included. A model without parents and children is a family of one. Members are in models, by family.

Example:
SELECT root, models, median_parameters, downloads
  FROM registry.families
 ORDER BY models DESC
 LIMIT 10;';
COMMENT ON COLUMN registry.families.family IS 'Key of the family, as in registry.models.family.';
COMMENT ON COLUMN registry.families.root IS 'Name of the model that the family descends from.';
COMMENT ON COLUMN registry.families.models IS 'Number of models in it, in any state: the root, stubs and those that are gone included.';
COMMENT ON COLUMN registry.families.generations IS 'Longest path from the root, in steps; 0 for the root alone.';
COMMENT ON COLUMN registry.families.median_parameters IS 'Median number of weights over the members whose number is known; null without any.';
COMMENT ON COLUMN registry.families.downloads IS 'Downloads of the last 30 days, of all members together; null where unknown.';
COMMENT ON COLUMN registry.families.license IS 'Licence of the root; members may state others.';
COMMENT ON COLUMN registry.families.created_at IS 'Creation of the root on the Hub (UTC).';
