-- features: the features that similarity is computed from (SimRMF, appendix A.1), one row per model
-- and feature, before normalisation.
CREATE VIEW registry.features AS
SELECT DISTINCT m.name AS model, f.kind, f.feature, f.value
  FROM store.models m
 CROSS JOIN LATERAL (
           SELECT store.architecture_family(m.model_type, m.architectures) AS architecture
           OFFSET 0) a  -- once a model, not once a tag
 CROSS JOIN LATERAL store.features_of(m.parameters, a.architecture, m.pipeline_tag, m.tags) f;

COMMENT ON VIEW registry.features IS
    'Features that similarity compares, one row per model and feature: a model''s size, architecture family, task and tags. Where both sizes are known, their nearness is 0.3 of the similarity of features (1 for one size, 0.4 for a factor of 3, 0 for 10), the cosine of the others 0.7. Tags that do not describe the model, such as region:us, are left out, and so are those that repeat the task or the architecture.

Example:
SELECT kind, feature, value
  FROM registry.features
 WHERE model = ''mistralai/Mistral-7B-v0.1'';';
COMMENT ON COLUMN registry.features.model IS 'Name of the model.';
COMMENT ON COLUMN registry.features.kind IS 'parameters, architecture, task or tag.';
COMMENT ON COLUMN registry.features.feature IS 'Name of the feature, unique over kinds, such as task:text-generation.';
COMMENT ON COLUMN registry.features.value IS
    '1 for a feature that is present; for parameters log2(millions of weights) / 12, to two decimals, so that 7 B is 1.06.';
