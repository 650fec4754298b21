-- rank_ranges(scores, errors, level): ranks by scores, and the ranks that their standard errors allow.
-- Intervals of all scores hold at once (Sidak), and who is below another's interval is surely worse:
-- so all ranges hold the true ranks at once (Klein, Wright and Wieczorek 2020, A joint confidence
-- region for an overall ranking of populations). Who has no standard error is surely better or worse
-- than none.
CREATE FUNCTION store.rank_ranges(
    scores double precision[], errors double precision[], level double precision
)
RETURNS TABLE (place bigint, rank bigint, tied bigint, lower bigint, upper bigint)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
#variable_conflict use_column
DECLARE
    known CONSTANT bigint := (SELECT count(*) FROM unnest(scores, errors) AS u (score, error)
                               WHERE u.score IS NOT NULL AND u.error IS NOT NULL);
    z CONSTANT double precision :=
        store.normal_quantile((1 + level ^ (1.0 / nullif(known, 0))) / 2);
BEGIN
    RETURN QUERY
    WITH given AS MATERIALIZED (
        -- Means that differ by rounding alone are equal.
        SELECT u.place, u.score, round(u.score::numeric, 12) AS rounded, z * u.error AS half
          FROM unnest(scores, errors) WITH ORDINALITY AS u (score, error, place)
         WHERE u.score IS NOT NULL
    ), ends AS MATERIALIZED (
        SELECT count(*) AS scored,
               array_agg(g.score - g.half ORDER BY g.score - g.half)
                   FILTER (WHERE g.half IS NOT NULL) AS lows,
               array_agg(-g.score - g.half ORDER BY -g.score - g.half)
                   FILTER (WHERE g.half IS NOT NULL) AS highs
          FROM given g
    ), spans AS MATERIALIZED (
        -- Before the windows below, whose sorts would carry the arrays in each row.
        SELECT g.place, g.rounded, 1 + known - width_bucket(g.score + g.half, e.lows) AS lower,
               e.scored - known + width_bucket(g.half - g.score, e.highs) AS upper
          FROM given g CROSS JOIN ends e
    )
    SELECT s.place, rank() OVER (ORDER BY s.rounded DESC),
           count(*) OVER (PARTITION BY s.rounded) - 1, s.lower, s.upper
      FROM spans s;
END;
$$;

COMMENT ON FUNCTION store.rank_ranges(double precision[], double precision[], double precision) IS
    'Ranks by scores, the highest first, how many others have the same score, and the ranges of ranks that standard errors allow, all at once with probability level; null without a standard error.';
