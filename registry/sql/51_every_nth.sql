-- store.every_nth(dimensions, groups, which): the dimensions dealt out to one of several groups.
CREATE FUNCTION store.every_nth(dimensions integer[], groups integer, which integer)
RETURNS integer[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT array_agg(d ORDER BY place)
      FROM unnest(dimensions) WITH ORDINALITY AS dealt (d, place)
     WHERE place % groups = which;
END;

COMMENT ON FUNCTION store.every_nth(integer[], integer, integer) IS
    'The elements of an array whose place leaves a given remainder.';
