-- similarity_weights: weight of each kind of evidence in similarity(a, b).
CREATE VIEW registry.similarity_weights AS
SELECT name, weight, description FROM store.similarity_weights;

COMMENT ON VIEW registry.similarity_weights IS
    'Weight of each kind of evidence in the similarity of two models. Choose your own with UPDATE store.similarity_weights, which needs the right to write.

Example:
SELECT name, weight, description FROM registry.similarity_weights ORDER BY name;';
COMMENT ON COLUMN registry.similarity_weights.name IS 'Name of the weight.';
COMMENT ON COLUMN registry.similarity_weights.weight IS 'Its value, in [0, 1].';
COMMENT ON COLUMN registry.similarity_weights.description IS 'Evidence that it is the weight of.';
