-- benchmark_ids(name): keys of all versions of a benchmark, or of one by name@version.
CREATE FUNCTION store.benchmark_ids(benchmark text) RETURNS SETOF integer
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT b.benchmark_id FROM store.benchmarks b
     WHERE b.name = benchmark_ids.benchmark
    UNION
    SELECT b.benchmark_id FROM store.benchmarks b
     WHERE position('@' IN benchmark_ids.benchmark) > 0
       AND b.name || '@' || b.version = benchmark_ids.benchmark;
END;

COMMENT ON FUNCTION store.benchmark_ids(text) IS
    'Keys of all versions of a benchmark, or of one version by name@version.';
