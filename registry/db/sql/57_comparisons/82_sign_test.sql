-- sign_test(a, b): the exact two-sided probability of counts as unlike as these where both are equally
-- likely, which for items that one of two models alone got right is McNemar's exact test.
CREATE FUNCTION store.sign_test(a bigint, b bigint)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    least_count CONSTANT bigint := least(a, b);
    of_both CONSTANT bigint := a + b;
    term double precision;
    total double precision := 0;
BEGIN
    IF a IS NULL OR b IS NULL THEN
        RETURN NULL;
    END IF;
    term := coalesce((SELECT sum(ln((of_both - least_count + i)::float8 / i))
                        FROM generate_series(1, least_count) i), 0) - of_both * ln(2.0::float8);
    term := CASE WHEN term < -700 THEN 0 ELSE exp(term) END;
    FOR place IN REVERSE least_count .. 0 LOOP
        total := total + term;
        term := term * place / (of_both - place + 1);
        EXIT WHEN term < 1e-17 * total;
    END LOOP;
    RETURN least(1, 2 * total);
END;
$$;

COMMENT ON FUNCTION store.sign_test(bigint, bigint) IS
    'The exact two-sided probability of counts as unlike as these where both are equally likely.';
