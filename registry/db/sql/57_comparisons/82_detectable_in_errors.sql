-- detectable_in_errors(clusters, level): the difference, in standard errors, that Student's t test of
-- as many clusters finds with a probability of 0.8: the noncentrality at which the right tail has it
-- (Cohen 1988, section 2.2). The tail is a mean over the error that clusters estimate, summed over its
-- logarithm; Newton's steps find where it is 0.8.
CREATE FUNCTION store.detectable_in_errors(clusters bigint, level double precision)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    freedom CONSTANT double precision := clusters - 1;
    spread CONSTANT double precision := 8 / sqrt(2 * nullif(freedom, 0));
    -- Errors near 0 are rare, but with few clusters not that rare.
    low CONSTANT double precision := - (spread + 36 / nullif(freedom, 0));
    quantile CONSTANT double precision := store.student_quantile(level, freedom::integer);
    -- Of many clusters the error is nearly normal.
    steps CONSTANT integer := CASE WHEN freedom < 30 THEN 300 ELSE 60 END;
    shift double precision := quantile + 0.8416212335729143;
    least_shift double precision := 0;
    most_shift double precision := 2 * quantile + 2;
    found double precision;
    slope double precision;
BEGIN
    IF quantile IS NULL THEN
        RETURN NULL;
    END IF;
    FOR round IN 1 .. 50 LOOP
        SELECT sum(e.weight * (1 + erf((shift - quantile * e.error) / sqrt(2.0::float8))))
                   / 2 / sum(e.weight),
               sum(e.weight * CASE WHEN abs(shift - quantile * e.error) < 38
                                   THEN exp(-0.5 * (shift - quantile * e.error) ^ 2) ELSE 0 END)
                   / sqrt(2 * pi()) / sum(e.weight)
          INTO found, slope
          -- Steps are the smaller the nearer to where the test turns.
          FROM (SELECT exp(u.log) AS error,
                       exp(freedom * (u.log - (exp(2 * u.log) - 1) / 2)) * cosh(u.place) AS weight
                  FROM (SELECT v.place, ln(shift / quantile) + sinh(v.place) / shift AS log
                          FROM (SELECT asinh(shift * (low - ln(shift / quantile)))
                                       * (1 - step / steps::float8)
                                       + asinh(shift * (spread - ln(shift / quantile)))
                                         * step / steps::float8 AS place
                                  FROM generate_series(0, steps) step) v) u
                 WHERE freedom * (u.log - (exp(2 * u.log) - 1) / 2) > -60) e;
        IF found < 0.8 THEN
            least_shift := shift;
        ELSE
            most_shift := shift;
        END IF;
        IF slope > 1e-300 THEN
            shift := shift - (found - 0.8) / slope;
        END IF;
        IF shift <= least_shift OR shift >= most_shift THEN
            shift := (least_shift + most_shift) / 2;
        ELSIF abs(found - 0.8) < 1e-7 THEN
            -- The next step would be of its square.
            EXIT;
        END IF;
    END LOOP;
    RETURN shift;
END;
$$;

COMMENT ON FUNCTION store.detectable_in_errors(bigint, double precision) IS
    'The difference, in standard errors, that Student''s t test of as many clusters finds with a probability of 0.8.';
