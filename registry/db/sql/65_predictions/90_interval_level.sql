-- interval_level(levels, ratios, ratio): share of held-out scores within so many predicted standard
-- deviations: the inverse of interval_ratio. Beyond the highest
-- level it is that of a normal distribution with the same highest ratio.
CREATE FUNCTION store.interval_level(
    levels double precision[], ratios double precision[], ratio double precision
)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
AS $$
    SELECT CASE
        WHEN $3 >= $2[cardinality($2)] THEN
            1 - (1 - $1[cardinality($1)])
                * erfc($3 / $2[cardinality($2)] * z.width) / erfc(z.width)
        ELSE (SELECT a.level + (b.level - a.level) * ($3 - a.ratio) / nullif(b.ratio - a.ratio, 0)
                FROM (SELECT l.level, l.ratio FROM unnest($1, $2) AS l (level, ratio)
                       WHERE l.ratio <= $3 ORDER BY l.level DESC LIMIT 1) a
               CROSS JOIN (SELECT l.level, l.ratio FROM unnest($1, $2) AS l (level, ratio)
                            WHERE l.ratio > $3 ORDER BY l.level LIMIT 1) b) END
      -- The width at which a normal distribution has the highest level, 0.99 in all versions.
      FROM (VALUES (1.8213863677)) AS z (width)
$$;

COMMENT ON FUNCTION store.interval_level(
    double precision[], double precision[], double precision) IS
    'Share of held-out scores within so many predicted standard deviations: the inverse of interval_ratio.';
