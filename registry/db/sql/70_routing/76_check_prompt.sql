-- check_prompt(prompt, dimension, encoder): an error unless the vector of a prompt is one that an
-- encoder of so many dimensions makes.
CREATE FUNCTION store.check_prompt(prompt vector, dimension integer, encoder text)
RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path FROM CURRENT
AS $$
BEGIN
    IF vector_dims(prompt) <> dimension THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'The prompt''s vector has %s dimensions; those of the encoder %L have %s',
            vector_dims(prompt), encoder, dimension);
    END IF;
END;
$$;

COMMENT ON FUNCTION store.check_prompt(vector, integer, text) IS
    'An error unless the vector of a prompt is one that an encoder of so many dimensions makes.';
