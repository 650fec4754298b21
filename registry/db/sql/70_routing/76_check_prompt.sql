-- check_prompt(prompt, dimension, encoder): an error unless the vector of a prompt is one that an
-- encoder of so many dimensions makes: of length 1, within 1%. Another would give any probabilities.
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
    IF NOT abs(vector_norm(prompt) - 1) <= 0.01 THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'The prompt''s vector has length %s, not 1: divide it by its length (l2_normalize), where '
            'the encoder %L made it; that of a text without a word has length 0, and cannot be routed',
            round(vector_norm(prompt)::numeric, 3), encoder);
    END IF;
END;
$$;

COMMENT ON FUNCTION store.check_prompt(vector, integer, text) IS
    'An error unless the vector of a prompt is one that an encoder of so many dimensions makes, of length 1.';
