-- predicted_benchmarks(name): the benchmarks that a name stands for and the current version predicts,
-- one for each version of the benchmark; an error where there is none, with its reason.
CREATE FUNCTION store.predicted_benchmarks(name text) RETURNS SETOF integer
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
DECLARE
    used CONSTANT integer := (SELECT v.version_id FROM store.prediction_versions v
                               WHERE v.state = 'current');
    keys integer[];
    most bigint;
BEGIN
    IF used IS NULL THEN
        RAISE no_data_found USING MESSAGE =
            'No scores are predicted yet: `registry train` fits the model that does';
    END IF;
    -- The name that scores are listed under needs no search.
    RETURN QUERY
    SELECT b.benchmark_id FROM store.benchmarks b
      JOIN store.served_loadings w ON w.benchmark_id = b.benchmark_id
     WHERE coalesce(b.canonical, b.name) = predicted_benchmarks.name;
    IF FOUND THEN
        RETURN;
    END IF;
    keys := ARRAY(SELECT store.benchmark_ids(predicted_benchmarks.name));
    IF keys = '{}' THEN
        RAISE no_data_found USING MESSAGE =
            format('There is no benchmark %L', predicted_benchmarks.name);
    END IF;
    RETURN QUERY
    SELECT DISTINCT w.benchmark_id
      FROM store.benchmarks asked
      JOIN store.benchmarks b ON coalesce(b.canonical, b.name) = coalesce(asked.canonical, asked.name)
                             AND b.version = asked.version
      JOIN store.served_loadings w ON w.benchmark_id = b.benchmark_id
     WHERE asked.benchmark_id = ANY (keys);
    IF NOT FOUND THEN
        SELECT count(DISTINCT s.model_id) INTO most FROM store.shown_runs s
         WHERE s.benchmark_id = ANY (keys);
        RAISE no_data_found USING MESSAGE = format(
            'Scores on benchmark %L are not predicted: it has scores of %s models, and predicting '
            'takes complete ones of 5, at the time of the last `registry train`',
            predicted_benchmarks.name, most);
    END IF;
END;
$$;

COMMENT ON FUNCTION store.predicted_benchmarks(text) IS
    'The benchmarks that a name stands for and the current version predicts, one for each version of the benchmark.';
