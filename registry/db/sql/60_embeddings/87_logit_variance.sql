-- logit_variance(axes, variances, item): variance of the logit of a model on an item by the error of
-- the model's vector, along axes on which its entries are uncorrelated.
CREATE FUNCTION store.logit_variance(axes vector[], variances halfvec, item vector)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
SET search_path FROM CURRENT
AS $$
    SELECT sum(v.variance * (a.axis <#> item) ^ 2)
      FROM unnest(axes) WITH ORDINALITY AS a (axis, place)
      JOIN unnest(variances::vector::real[]) WITH ORDINALITY AS v (variance, place) USING (place)
$$;

COMMENT ON FUNCTION store.logit_variance(vector[], halfvec, vector) IS
    'Variance of a logit, given the variances of a model along the axes of a version and an item''s vector without its offset.';
