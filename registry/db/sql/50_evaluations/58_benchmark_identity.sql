-- benchmark_identity(name): the canonical name and the way of prompting that a name stands for.
-- No row for a name that neither an alias nor a canonical name equals. A person's alias comes
-- before a shipped one, and an alias before a canonical name.
CREATE FUNCTION store.benchmark_identity(name text)
RETURNS TABLE (benchmark text, variant text, confidence real)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT i.benchmark, i.variant, i.confidence
      FROM (SELECT a.benchmark, a.variant, a.confidence, a.source = 'user' AS by_user,
                   true AS is_alias, a.alias
              FROM store.benchmark_aliases a
             WHERE translate(lower(a.alias), '-_ ', '') = store.benchmark_key($1)
            UNION ALL
            SELECT a.benchmark, NULL, 1, false, false, a.alias
              FROM store.benchmark_aliases a
             WHERE store.benchmark_key(a.benchmark) = store.benchmark_key($1)) i
     ORDER BY i.by_user DESC, i.is_alias DESC, i.alias = $1 DESC, i.confidence DESC, i.alias
     LIMIT 1
$$;

COMMENT ON FUNCTION store.benchmark_identity(text) IS
    'The canonical name and the way of prompting that a name of a benchmark stands for; no row for a name without an alias.';
