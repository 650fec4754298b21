-- plain_name(name): the name that a spelling as a path stands for: without slashes at the end, or that of
-- a folder of the Hub's local cache; null where it is no path.
CREATE FUNCTION store.plain_name(name text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE
        WHEN name ~ '(^|/)models--'
            THEN regexp_replace(regexp_replace(name, '^(.*/)?models--([^/]+)(/.*)?$', '\2'), '--', '/')
        WHEN name LIKE '%/' THEN nullif(rtrim(name, '/'), '') END;
END;

COMMENT ON FUNCTION store.plain_name(text) IS
    'Name of a model that is spelled with a slash at the end, or as a folder of the local cache; null otherwise.';
