-- named_items(names): the items that names as benchmark:item or benchmark@version:item stand for.
-- Benchmarks and items may have colons in their names, so each place of one is tried.
CREATE FUNCTION store.named_items(names text[])
RETURNS TABLE (name text, benchmark_id integer, ordinal integer)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    WITH parts AS (
        SELECT n.name, left(n.name, p.place - 1) AS benchmark,
               substring(n.name FROM p.place + 1) AS item
          FROM (SELECT DISTINCT unnest(names) AS name) n
          CROSS JOIN generate_series(2, length(n.name) - 1) AS p (place)
         WHERE substring(n.name FROM p.place FOR 1) = ':'
    ), benchmarks AS MATERIALIZED (  -- once for each benchmark, not for each item
        SELECT d.benchmark, b.id
          FROM (SELECT DISTINCT parts.benchmark FROM parts) d
          CROSS JOIN LATERAL store.benchmark_ids(d.benchmark) AS b (id)
    )
    SELECT DISTINCT p.name, i.benchmark_id, i.ordinal
      FROM parts p
      JOIN benchmarks b USING (benchmark)
      JOIN store.items i ON i.benchmark_id = b.id AND i.item = p.item
$$;

COMMENT ON FUNCTION store.named_items(text[]) IS
    'Items that names as benchmark:item or benchmark@version:item stand for, in all versions of a benchmark where none is named.';
