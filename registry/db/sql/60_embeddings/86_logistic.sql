-- logistic(logit): 1 / (1 + exp(-logit)), without an overflow far from 0.
CREATE FUNCTION store.logistic(logit double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN 1 / (1 + exp(-greatest(least(logit, 700), -700)));

COMMENT ON FUNCTION store.logistic(double precision) IS
    'Probability of a logit: 1 / (1 + exp(-logit)).';
