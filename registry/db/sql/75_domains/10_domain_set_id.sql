-- domain_set_id(name): key of a set of domains; an error that names those there are, where it is none.
CREATE FUNCTION store.domain_set_id(name text) RETURNS integer
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    found_id integer;
    there text;
BEGIN
    SELECT s.set_id INTO found_id FROM store.domain_sets s WHERE s.name = domain_set_id.name;
    IF found_id IS NULL THEN
        SELECT string_agg(s.name, ', ' ORDER BY s.name) INTO there FROM store.domain_sets s;
        RAISE no_data_found USING MESSAGE = CASE
            WHEN there IS NULL THEN
                'There is no set of domains yet; `registry domains train` stores and trains those that ship'
            ELSE format('There is no set of domains named %L; there are %s', domain_set_id.name, there)
        END;
    END IF;
    RETURN found_id;
END;
$$;

COMMENT ON FUNCTION store.domain_set_id(text) IS
    'Key of a set of domains; an error that names those there are, where it is none.';
