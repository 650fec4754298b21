-- similarity_weights: what each kind of evidence weighs in similarity(a, b).
CREATE VIEW registry.similarity_weights AS
SELECT name, weight, description FROM store.similarity_weights;

COMMENT ON VIEW registry.similarity_weights IS
    'What each kind of evidence weighs in the similarity of two models. They are yours to choose: UPDATE store.similarity_weights, which needs the right to write.

Example:
SELECT name, weight, description FROM registry.similarity_weights ORDER BY name;';
COMMENT ON COLUMN registry.similarity_weights.name IS 'Name of the weight.';
COMMENT ON COLUMN registry.similarity_weights.weight IS 'Its value, in [0, 1].';
COMMENT ON COLUMN registry.similarity_weights.description IS 'What it weighs.';
