-- rank_value(...): a number that is higher for a better score: the share, or the raw score where
-- there are no bounds, negated where lower is better. Null where the direction is not known, and for a
-- score outside a bound.
CREATE FUNCTION store.rank_value(
    raw double precision, lower double precision, upper double precision, higher_is_better boolean
)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN upper > lower THEN store.share(raw, lower, upper, higher_is_better)
    WHEN raw < lower OR raw > upper THEN NULL
    WHEN higher_is_better THEN raw
    WHEN NOT higher_is_better THEN -raw
END;

COMMENT ON FUNCTION store.rank_value(
    double precision, double precision, double precision, boolean) IS
    'A number that is higher for a better score: the share, or the raw score where there are no bounds, negated where lower is better; null where the direction is not known, and for a score outside a bound.';
