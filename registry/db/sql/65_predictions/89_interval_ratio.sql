-- interval_ratio(levels, ratios, level): half-width of an interval in predicted standard deviations,
-- interpolated between the levels at which it was measured. Null above them, where nobody knows, and
-- below 0.5.
CREATE FUNCTION store.interval_ratio(
    levels double precision[], ratios double precision[], level double precision
)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
AS $$
    SELECT CASE WHEN b.level = a.level THEN a.ratio
                ELSE a.ratio + (b.ratio - a.ratio) * ($3 - a.level) / (b.level - a.level) END
      FROM (SELECT l.level, l.ratio FROM unnest($1, $2) AS l (level, ratio)
             WHERE l.level <= $3 AND $3 >= 0.5 ORDER BY l.level DESC LIMIT 1) a
     CROSS JOIN (SELECT l.level, l.ratio FROM unnest($1, $2) AS l (level, ratio)
                  WHERE l.level >= $3 ORDER BY l.level LIMIT 1) b
$$;

COMMENT ON FUNCTION store.interval_ratio(
    double precision[], double precision[], double precision) IS
    'Half-width of an interval of a level in predicted standard deviations; null for a level below 0.5 or above those at which it was measured.';
