-- student_quantile(level, freedom): the t that a share `level` of Student's t is within, by secants on
-- the logarithm of the tail.
CREATE FUNCTION store.student_quantile(level double precision, freedom integer)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    aim double precision;
    before double precision := 0;
    t double precision := 1;
    of_before double precision;
    off double precision;
    next double precision;
BEGIN
    IF level IS NULL OR freedom IS NULL OR freedom < 1 OR level <= 0 OR level >= 1 THEN
        RETURN NULL;
    END IF;
    aim := ln(1 - level);
    of_before := -aim;
    FOR round IN 1 .. 60 LOOP
        off := ln(greatest(store.student_tail(t, freedom), 1e-307)) - aim;
        EXIT WHEN abs(off) < 1e-13 OR off = of_before;
        next := t - off * (t - before) / (off - of_before);
        before := t;
        of_before := off;
        -- Tails of few degrees of freedom are long: no step is to leave what the series can tell.
        t := least(greatest(next, 0.1 * t), 8 * t + 1);
    END LOOP;
    RETURN t;
END;
$$;

COMMENT ON FUNCTION store.student_quantile(double precision, integer) IS
    'The t that a share of Student''s t with whole degrees of freedom is within, in either direction.';
