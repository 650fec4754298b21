-- working_value(raw, measure, centre, scale): a raw score on the working scale of predicted scores,
-- on which more is better: the inverse of raw_of_working.
CREATE FUNCTION store.working_value(
    raw double precision, measure integer, centre double precision, scale double precision
)
RETURNS double precision
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN $3 IS NOT NULL THEN ($1 - $3) / $4
                ELSE ln((s.share + 0.01) / (1.01 - s.share)) END
      FROM (SELECT store.share($1, k.lower, k.upper, k.higher_is_better) AS share
              FROM store.measures k WHERE k.measure_id = $2) s
$$;

COMMENT ON FUNCTION store.working_value(
    double precision, integer, double precision, double precision) IS
    'A raw score on the working scale of predicted scores: the inverse of raw_of_working.';
