-- similarity_weights: what each kind of evidence weighs in similarity(a, b).
CREATE VIEW registry.similarity_weights AS
SELECT name, weight, description FROM store.similarity_weights;

COMMENT ON VIEW registry.similarity_weights IS
    'Weights of similarity; change them with UPDATE store.similarity_weights.';
COMMENT ON COLUMN registry.similarity_weights.name IS 'Name of the weight.';
COMMENT ON COLUMN registry.similarity_weights.weight IS 'Its value, in [0, 1].';
COMMENT ON COLUMN registry.similarity_weights.description IS 'What it weighs.';
