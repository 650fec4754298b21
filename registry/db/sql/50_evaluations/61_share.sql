-- share(...): a raw score as a share in [0, 1], higher being better; null without bounds.
CREATE FUNCTION store.share(
    raw double precision, lower double precision, upper double precision, higher_is_better boolean
)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN upper > lower AND raw IS NOT NULL THEN
        CASE WHEN higher_is_better THEN least(greatest((raw - lower) / (upper - lower), 0), 1)
             ELSE 1 - least(greatest((raw - lower) / (upper - lower), 0), 1) END
END;

COMMENT ON FUNCTION store.share(
    double precision, double precision, double precision, boolean) IS
    'A raw score as a share in [0, 1], higher being better; null without bounds.';
