-- routing_version(prompt, router): number of the current version, once it is known that it can route a
-- prompt of these dimensions by neighbours; an error says why not. Without a prompt, of any.
CREATE FUNCTION store.routing_version(prompt vector DEFAULT NULL)
RETURNS integer
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
DECLARE
    used record;
BEGIN
    SELECT v.version_id, v.encoder, vector_dims(b.subjects[1]) - 1 AS dimension INTO used
      FROM store.embedding_versions AS v LEFT JOIN store.route_blends AS b USING (version_id)
     WHERE v.state = 'current';
    IF NOT FOUND THEN
        RAISE no_data_found USING MESSAGE =
            'There are no embeddings yet: no version is current; `registry train` learns one';
    END IF;
    IF used.dimension IS NULL THEN
        RAISE no_data_found USING MESSAGE = format(
            'Version %s of the embeddings has no routers: it was trained by an earlier version of the '
            'registry, or too few of its items have texts; `registry train` learns them where items '
            'have texts',
            used.version_id);
    END IF;
    IF prompt IS NOT NULL THEN
        PERFORM store.check_prompt(prompt, used.dimension, used.encoder);
    END IF;
    RETURN used.version_id;
END;
$$;

COMMENT ON FUNCTION store.routing_version(vector) IS
    'Number of the current version, which can route a prompt with such a vector by neighbours.';
