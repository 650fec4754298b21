-- benchmark_identity(name): the canonical name and the way of prompting that a name stands for.
-- No row for a name that neither an alias nor a canonical name equals. A person's alias comes
-- before a shipped one, and an alias before a canonical name. A number of examples in a name, as in
-- GSM8K (5-shot) and lighteval's leaderboard|gsm8k|5, is a way of prompting of what is named besides.
CREATE FUNCTION store.benchmark_identity(name text)
RETURNS TABLE (benchmark text, variant text, confidence real)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    WITH forms AS (
        SELECT 0 AS rank, $1 AS form, NULL AS shots
         WHERE length($1) <= 600  -- longer than any name; matching takes the square of a length
        UNION ALL
        SELECT 1, m[1], m[2]
          FROM regexp_match(CASE WHEN length($1) <= 600 THEN $1 END, '^(?:[A-Za-z_]+\|)?([^|]+)\|(\d+)(?:\|\d+)?$') m
        UNION ALL
        SELECT 2, m[1], m[2]
          FROM regexp_match(CASE WHEN length($1) <= 600 THEN $1 END, '^(.*[^\s_(\[-])[\s_(\[-]+(\d+)[\s_-]?shots?[)\]]?$', 'i') m
    )
    SELECT i.benchmark, nullif(concat_ws(', ', i.variant, f.shots || '-shot'), ''), i.confidence
      FROM forms f CROSS JOIN LATERAL (
            SELECT a.benchmark, a.variant, a.confidence, a.source = 'user' AS by_user,
                   true AS is_alias, a.alias
              FROM store.benchmark_aliases a
             WHERE translate(lower(a.alias), '-_ ', '') = store.benchmark_key(f.form)
            UNION ALL
            SELECT a.benchmark, NULL, 1, false, false, a.alias
              FROM store.benchmark_aliases a
             WHERE store.benchmark_key(a.benchmark) = store.benchmark_key(f.form)) i
     ORDER BY f.rank, i.by_user DESC, i.is_alias DESC, i.alias = $1 DESC, i.confidence DESC, i.alias
     LIMIT 1
$$;

COMMENT ON FUNCTION store.benchmark_identity(text) IS
    'The canonical name and the way of prompting that a name of a benchmark stands for; no row for a name without an alias.';
