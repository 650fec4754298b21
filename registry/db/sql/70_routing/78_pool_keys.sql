-- pool_keys(pool): keys of the models of a pool by any of their names; null for null, and an error
-- that names the first unknown one.
CREATE FUNCTION store.pool_keys(pool text[])
RETURNS bigint[]
LANGUAGE plpgsql STABLE STRICT
AS $$
DECLARE
    keys bigint[];
    unknown text;
BEGIN
    SELECT coalesce(array_agg(p.model_id), '{}'), min(p.name) FILTER (WHERE p.model_id IS NULL)
      INTO keys, unknown
      FROM (SELECT w.name, registry.model_id(w.name) AS model_id
              FROM unnest(pool) AS w (name)) AS p;
    IF unknown IS NOT NULL THEN
        RAISE no_data_found USING MESSAGE = format('No model named %L is in the registry', unknown);
    END IF;
    RETURN keys;
END;
$$;

COMMENT ON FUNCTION store.pool_keys(text[]) IS
    'Keys of the models of a pool by any of their names; an error for an unknown one.';
