-- student_tail(t, freedom): the probability that Student's t is beyond t in either direction: by the
-- finite series for whole degrees of freedom (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4) up to 2,
-- and by the continued fraction of the incomplete beta function beyond (26.5.8), which loses nothing
-- where the probability is small. Below 1e-307, what a double holds, it is 0.
CREATE FUNCTION store.student_tail(t double precision, freedom integer)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    angle double precision;
    squared double precision;
    term double precision := 1;
    total double precision := 1;
    -- Of the fraction: a = freedom / 2, b = 1 / 2, at x.
    a double precision;
    x double precision;
    z double precision;
    ratio double precision := 0;
    above double precision := 1;
    below double precision;
    step double precision;
BEGIN
    IF t IS NULL OR freedom IS NULL OR freedom < 1 THEN
        RETURN NULL;
    ELSIF t IN ('infinity', '-infinity') THEN
        RETURN 0;
    ELSIF abs(t) > 1e150 THEN
        -- Its square is no number; one degree of freedom alone leaves a tail.
        RETURN CASE WHEN freedom = 1 THEN 2 / (pi() * abs(t)) ELSE 0 END;
    ELSIF t ^ 2 > 4 THEN
        a := freedom / 2.0::float8;
        x := 1 / (1 + t ^ 2 / freedom);
        -- The logarithm of gamma(a + 1/2) / gamma(a), by Stirling's series from a + 12 on.
        FOR place IN 0 .. 11 LOOP
            ratio := ratio - ln((a + 0.5 + place) / (a + place));
        END LOOP;
        z := a + 12.5;
        ratio := ratio + a * ln(z / (z - 0.5)) + 12 * ln(z) - 11.5 * ln(z - 0.5) - 0.5
                 + (1 / z - 1 / (z - 0.5)) / 12 - (1 / z ^ 3 - 1 / (z - 0.5) ^ 3) / 360
                 + (1 / z ^ 5 - 1 / (z - 0.5) ^ 5) / 1260;
        below := 1 / (1 - (a + 0.5) * x / (a + 1));
        total := below;
        FOR m IN 1 .. 1000 LOOP
            step := m * (0.5 - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
            below := 1 / (1 + step * below);
            above := 1 + step / above;
            total := total * below * above;
            step := - (a + m) * (a + 0.5 + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
            below := 1 / (1 + step * below);
            above := 1 + step / above;
            total := total * below * above;
            EXIT WHEN abs(below * above - 1) < 1e-15;
        END LOOP;
        -- ln(1 - x) is of a small x lost, but not of t.
        term := ratio - ln(pi()) / 2 + a * ln(x) - ln(1 + freedom / t ^ 2) / 2 - ln(a) + ln(total);
        RETURN CASE WHEN term < -707 THEN 0 ELSE exp(term) END;
    END IF;
    angle := atan(abs(t) / sqrt(freedom));
    squared := cos(angle) ^ 2;
    IF freedom % 2 = 0 THEN
        FOR place IN 2 .. freedom - 2 BY 2 LOOP
            term := term * squared * (place - 1) / place;
            EXIT WHEN term < 1e-17 * total;
            total := total + term;
        END LOOP;
        RETURN 1 - sin(angle) * total;
    ELSIF freedom = 1 THEN
        RETURN 1 - 2 * angle / pi();
    END IF;
    FOR place IN 3 .. freedom - 2 BY 2 LOOP
        term := term * squared * (place - 1) / place;
        EXIT WHEN term < 1e-17 * total;
        total := total + term;
    END LOOP;
    RETURN 1 - (angle + sin(angle) * cos(angle) * total) * 2 / pi();
END;
$$;

COMMENT ON FUNCTION store.student_tail(double precision, integer) IS
    'The probability that Student''s t with whole degrees of freedom is beyond t in either direction.';
