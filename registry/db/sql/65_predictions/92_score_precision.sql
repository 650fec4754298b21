-- score_precision(value, ...): how much a score counts in its model's abilities: the inverse of its
-- variance times the factor by Student's t with three degrees of freedom, which is near 0 for a score
-- unlike all others (`registry.learning.scores.factors.student_precisions`).
CREATE FUNCTION store.score_precision(
    value double precision, variance double precision, intercept double precision,
    residual double precision, ability vector, ability_spread vector, loadings vector,
    loading_spread vector
)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN 4 / (3 * (residual + variance) + (value - intercept + (ability <#> loadings)) ^ 2
            + greatest(-(ability_spread <#> loading_spread), 0));

COMMENT ON FUNCTION store.score_precision(
    double precision, double precision, double precision, double precision, vector, vector, vector,
    vector) IS
    'How much a score counts in its model''s abilities: the inverse of its variance, less for one unlike all others.';
