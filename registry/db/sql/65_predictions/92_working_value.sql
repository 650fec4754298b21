-- working_value(share, raw, centre, scale): a score on the working scale of predicted scores, on which
-- more is better: the inverse of working_share, or of raw_of_working where there is no share. Null of a
-- score with bounds on a benchmark without, and the other way round.
CREATE FUNCTION store.working_value(
    share double precision, raw double precision, centre double precision, scale double precision
)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN centre IS NULL THEN ln((share + 0.01) / (1.01 - share))
            WHEN share IS NULL THEN (raw - centre) / scale END;

COMMENT ON FUNCTION store.working_value(
    double precision, double precision, double precision, double precision) IS
    'A score on the working scale of predicted scores, on which more is better.';
