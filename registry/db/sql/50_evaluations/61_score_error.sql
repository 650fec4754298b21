-- score_error(score, stated, items): standard error of a share, as stated. Where none or all of the items
-- are right the usual formula gives 0, which is no knowledge: two right and two wrong items are added
-- (Agresti and Coull 1998).
CREATE FUNCTION store.score_error(score double precision, stated double precision, items bigint)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN stated > 0 AND stated < 'infinity' THEN stated
    WHEN stated = 0 AND items > 0
    THEN sqrt((items * score + 2) * (items * (1 - score) + 2) / (items + 4)::float8 ^ 3) END;

COMMENT ON FUNCTION store.score_error(double precision, double precision, bigint) IS
    'Standard error of a share in [0, 1], above 0; null where it is not known.';
