-- benchmark_key(name): what names of benchmarks are compared by.
-- The index of store.benchmark_aliases is on the same expression.
CREATE FUNCTION store.benchmark_key(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN translate(lower(name), '-_ ', '');

COMMENT ON FUNCTION store.benchmark_key(text) IS
    'A name of a benchmark without case, hyphens, underscores and spaces.';
