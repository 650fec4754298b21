-- board_setups(variant): keys of the setups of a variant; plain is without one, null is all setups.
CREATE FUNCTION store.board_setups(variant text) RETURNS integer[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    keys CONSTANT integer[] := ARRAY(
        SELECT t.setup_id FROM store.setups t
         WHERE coalesce(t.variant, 'plain') = board_setups.variant);
BEGIN
    IF board_setups.variant IS NULL THEN
        RETURN NULL;
    ELSIF keys = '{}' AND board_setups.variant <> 'plain' THEN
        RAISE no_data_found USING MESSAGE =
            format('There is no variant %L of models in evaluations', board_setups.variant);
    END IF;
    RETURN keys;
END;
$$;

COMMENT ON FUNCTION store.board_setups(text) IS
    'Keys of the setups of a variant; plain is without one, null is all setups.';
