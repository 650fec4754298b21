-- board_sources(name): the key of a source, as an array; null for all sources.
CREATE FUNCTION store.board_sources(name text) RETURNS integer[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    keys CONSTANT integer[] := ARRAY(
        SELECT s.source_id FROM store.sources s WHERE s.name = board_sources.name);
BEGIN
    IF board_sources.name IS NULL THEN
        RETURN NULL;
    ELSIF keys = '{}' THEN
        RAISE no_data_found USING MESSAGE =
            format('There is no source %L of evaluations', board_sources.name);
    END IF;
    RETURN keys;
END;
$$;

COMMENT ON FUNCTION store.board_sources(text) IS
    'The key of a source of evaluations, as an array; null for all sources.';
