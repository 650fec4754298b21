-- raw_of_working(value, ...): the raw score of a value on the working scale of predicted scores.
CREATE FUNCTION store.raw_of_working(
    value double precision, centre double precision, scale double precision,
    lower double precision, upper double precision, higher_is_better boolean
)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN centre IS NOT NULL THEN centre + scale * value
    ELSE store.raw_of_share(store.working_share(value), lower, upper, higher_is_better)
END;

COMMENT ON FUNCTION store.raw_of_working(
    double precision, double precision, double precision, double precision, double precision,
    boolean) IS
    'The raw score of a value on the working scale of predicted scores.';
