-- normal_quantile(p): the number that a standard normal variable is below with probability p, in
-- (0, 1), to seven digits (Wichura 1988, algorithm AS 241, PPND7); null for another p.
CREATE FUNCTION store.normal_quantile(p double precision)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    q CONSTANT double precision := p - 0.5;
    r double precision;
    x double precision;
BEGIN
    IF p IS NULL OR p <= 0 OR p >= 1 THEN
        RETURN NULL;
    ELSIF abs(q) <= 0.425 THEN
        r := 0.180625 - q * q;
        RETURN q * (((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179)
                 / (((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1);
    END IF;
    r := sqrt(-ln(least(p, 1 - p)));
    IF r <= 5 THEN
        r := r - 1.6;
        x := (((0.17023821103 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777)
             / ((0.12021132975 * r + 0.73700164250) * r + 1);
    ELSE
        r := r - 5;
        x := (((0.017337203997 * r + 0.42868294337) * r + 3.0812263860) * r + 6.6579051150)
             / ((0.012258202635 * r + 0.24197894225) * r + 1);
    END IF;
    RETURN sign(q) * x;
END;
$$;

COMMENT ON FUNCTION store.normal_quantile(double precision) IS
    'The number that a standard normal variable is below with probability p, to seven digits.';
