-- student_tail(t, freedom): the probability that Student's t is beyond t in either direction, by the
-- finite series for whole degrees of freedom (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4).
-- Differences of 1e-12 from 1 are lost: smaller probabilities read as 0.
CREATE FUNCTION store.student_tail(t double precision, freedom integer)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    angle double precision;
    squared double precision;
    term double precision := 1;
    total double precision := 1;
    within double precision;
BEGIN
    IF t IS NULL OR freedom IS NULL OR freedom < 1 THEN
        RETURN NULL;
    ELSIF t IN ('infinity', '-infinity') THEN
        RETURN 0;
    END IF;
    angle := atan(abs(t) / sqrt(freedom));
    squared := cos(angle) ^ 2;
    IF freedom % 2 = 0 THEN
        FOR place IN 2 .. freedom - 2 BY 2 LOOP
            term := term * squared * (place - 1) / place;
            EXIT WHEN term < 1e-17 * total;
            total := total + term;
        END LOOP;
        within := sin(angle) * total;
    ELSIF freedom = 1 THEN
        within := 2 * angle / pi();
    ELSE
        FOR place IN 3 .. freedom - 2 BY 2 LOOP
            term := term * squared * (place - 1) / place;
            EXIT WHEN term < 1e-17 * total;
            total := total + term;
        END LOOP;
        within := (angle + sin(angle) * cos(angle) * total) * 2 / pi();
    END IF;
    RETURN CASE WHEN within > 1 - 1e-12 THEN 0 ELSE 1 - within END;
END;
$$;

COMMENT ON FUNCTION store.student_tail(double precision, integer) IS
    'The probability that Student''s t with whole degrees of freedom is beyond t in either direction.';
