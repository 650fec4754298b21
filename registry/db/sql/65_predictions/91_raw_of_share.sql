-- raw_of_share(share, ...): the raw score of a share, on a scale with bounds: the inverse of share.
CREATE FUNCTION store.raw_of_share(
    share double precision, lower double precision, upper double precision, higher_is_better boolean
)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN higher_is_better THEN lower + (upper - lower) * share
            ELSE upper - (upper - lower) * share END;

COMMENT ON FUNCTION store.raw_of_share(
    double precision, double precision, double precision, boolean) IS
    'The raw score of a share, on a scale with bounds: the inverse of share.';
