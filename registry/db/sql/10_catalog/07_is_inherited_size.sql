-- is_inherited_size(source): whether a size of this source is that of relatives, which may be another.
-- Cards and leaderboards name wrong parents, so that limits of sizes pass none of these.
CREATE FUNCTION store.is_inherited_size(source text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(source IN ('parent', 'siblings'), false);

COMMENT ON FUNCTION store.is_inherited_size(text) IS
    'Whether a size of this source, as in models.parameters_source, is that of relatives.';
