-- family_key(model): key of the family of a model by any of its names; null for null, and an error
-- where no family is known.
CREATE FUNCTION store.family_key(model text)
RETURNS bigint
LANGUAGE plpgsql STABLE STRICT
AS $$
DECLARE
    key bigint;
BEGIN
    SELECT f.family_id INTO key FROM store.model_families AS f
     WHERE f.model_id = registry.model_id(family_key.model);
    IF NOT FOUND THEN
        RAISE no_data_found USING MESSAGE =
            format('No family is known for a model named %L', family_key.model);
    END IF;
    RETURN key;
END;
$$;

COMMENT ON FUNCTION store.family_key(text) IS
    'Key of the family of a model by any of its names; an error where none is known.';
