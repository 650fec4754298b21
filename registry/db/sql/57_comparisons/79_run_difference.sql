-- run_difference(a, b): in what two runs on a benchmark were made otherwise, so that their scores are
-- not of the same test; null where nothing is known to differ.
CREATE FUNCTION store.run_difference(a bigint, b bigint)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT nullif(concat_ws('; ',
               CASE WHEN (m.metric, m.filter) <> (n.metric, n.filter)
                    THEN format('measured by %s and %s',
                                concat_ws(' ', m.metric, nullif(m.filter, '')),
                                concat_ws(' ', n.metric, nullif(n.filter, ''))) END,
               CASE WHEN s.shots <> t.shots
                    THEN format('with %s and %s examples in the prompt', s.shots, t.shots) END,
               CASE WHEN s.prompt_template <> t.prompt_template THEN 'with two prompt templates' END,
               CASE WHEN s.harness <> t.harness
                    THEN format('by %s and %s', s.harness, t.harness) END,
               CASE WHEN s.variant IS DISTINCT FROM t.variant
                    THEN format('%s and %s', coalesce(s.variant, 'the plain model'),
                                coalesce(t.variant, 'the plain model')) END), '')
      FROM store.runs x
      JOIN store.measures m ON m.measure_id = x.measure_id
      JOIN store.setups s ON s.setup_id = x.setup_id,
           store.runs y
      JOIN store.measures n ON n.measure_id = y.measure_id
      JOIN store.setups t ON t.setup_id = y.setup_id
     WHERE x.run_id = a AND y.run_id = b
$$;

COMMENT ON FUNCTION store.run_difference(bigint, bigint) IS
    'In what two runs on a benchmark were made otherwise; null where nothing is known to differ.';
