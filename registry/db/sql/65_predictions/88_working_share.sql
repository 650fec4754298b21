-- working_share(value): the share, in [0, 1], of a value on the working scale of predicted scores.
-- That scale is the logit of the share with a margin, so that shares of 0 and 1 are finite; the
-- margin is `registry.learning.scores.links.MARGIN`.
CREATE FUNCTION store.working_share(value double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN least(greatest(1.02 / (1 + exp(-greatest(least(value, 700), -700))) - 0.01, 0), 1);

COMMENT ON FUNCTION store.working_share(double precision) IS
    'The share, in [0, 1], of a value on the working scale of predicted scores.';
