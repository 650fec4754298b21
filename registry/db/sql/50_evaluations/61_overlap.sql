-- overlap(...): counts of two runs' common outcomes, in one row, from bits alone.
-- Where a model was not observed its bit is 0, so only the other's bits have to be masked.
CREATE FUNCTION store.overlap(a varbit, a_present varbit, b varbit, b_present varbit)
RETURNS TABLE (items bigint, right_a bigint, right_b bigint, both_right bigint)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN s.a_present IS NULL AND s.b_present IS NULL THEN length(s.a)
                ELSE bit_count(coalesce(s.a_present & s.b_present, s.a_present, s.b_present)) END,
           bit_count(coalesce(s.a & s.b_present, s.a)),
           bit_count(coalesce(s.b & s.a_present, s.b)),
           bit_count(s.a & s.b)
      FROM (SELECT substring(a FROM 1 FOR n.n) AS a, substring(a_present FROM 1 FOR n.n) AS a_present,
                   substring(b FROM 1 FOR n.n) AS b, substring(b_present FROM 1 FOR n.n) AS b_present
              FROM (SELECT least(length(a), length(b)) AS n OFFSET 0) n
            OFFSET 0) s
$$;

COMMENT ON FUNCTION store.overlap(varbit, varbit, varbit, varbit) IS
    'Counts of two runs'' common outcomes: items that both observed, those of them that each got right, and those that both got right.';
