-- benchmark_ids(name): keys of all benchmarks that a name stands for, in all versions, or in one by
-- name@version. Names under one canonical name are one benchmark; a name that stands for a way of
-- prompting is that way alone, and a plain name is the plain way where there is one.
CREATE FUNCTION store.benchmark_ids(benchmark text) RETURNS SETOF integer
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    WITH asked AS (
        SELECT $1 AS name, NULL::text AS version
         WHERE length($1) <= 600  -- longer than any name and version; comparing takes its square
        UNION ALL
        SELECT left($1, p.place - 1), substring($1 FROM p.place + 1)
          FROM (SELECT length($1) - position('@' IN reverse($1)) + 1 AS place) p
         WHERE length($1) <= 600 AND position('@' IN $1) > 1
           AND NOT EXISTS (SELECT FROM store.benchmarks b WHERE b.name = $1)
    ), named AS (
        SELECT coalesce(i.benchmark, s.benchmark, a.name) AS canonical,
               CASE WHEN i.benchmark IS NULL THEN s.variant ELSE i.variant END AS variant,
               a.version
          FROM asked a
          LEFT JOIN LATERAL store.benchmark_identity(a.name) i ON true
          -- Without an alias: the name as stored, or else the only one that is spelt like it.
          LEFT JOIN LATERAL (
              SELECT min(coalesce(b.canonical, b.name)) AS benchmark, min(b.variant) AS variant
                FROM store.benchmarks b
               WHERE i.benchmark IS NULL
                 AND NOT EXISTS (SELECT FROM store.benchmarks o WHERE o.name = a.name)
                 AND store.benchmark_key(b.name) = store.benchmark_key(a.name)
              HAVING count(DISTINCT b.name) = 1) s ON true
    ), members AS (
        SELECT b.benchmark_id, b.variant IS NOT DISTINCT FROM n.variant AS is_same, n.variant
          FROM named n
          JOIN store.benchmarks b ON coalesce(b.canonical, b.name) = n.canonical
         WHERE n.version IS NULL OR b.version = n.version
    )
    SELECT b.benchmark_id FROM store.benchmarks b
     WHERE position('@' IN $1) > 0 AND b.name || '@' || b.version = $1
    UNION
    SELECT m.benchmark_id FROM members m
     WHERE m.is_same
        OR (m.variant IS NULL AND NOT EXISTS (SELECT FROM members o WHERE o.is_same))
$$;

COMMENT ON FUNCTION store.benchmark_ids(text) IS
    'Keys of all benchmarks that a name stands for, in all versions, or in one by name@version.';
