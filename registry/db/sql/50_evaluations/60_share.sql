-- share(...): a raw score as a share in [0, 1], higher being better; null without bounds.
-- A score outside the bounds was not measured: it has no share, as clipped it would be the best or
-- the worst. What exceeds a bound by rounding is on it.
CREATE FUNCTION store.share(
    raw double precision, lower double precision, upper double precision, higher_is_better boolean
)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN upper > lower AND (raw - lower) / (upper - lower) BETWEEN -1e-6 AND 1 + 1e-6 THEN
        CASE higher_is_better
             WHEN true THEN least(greatest((raw - lower) / (upper - lower), 0), 1)
             WHEN false THEN 1 - least(greatest((raw - lower) / (upper - lower), 0), 1) END
END;

COMMENT ON FUNCTION store.share(
    double precision, double precision, double precision, boolean) IS
    'A raw score as a share in [0, 1], higher being better; null without bounds or a direction, and for a score outside the bounds.';
