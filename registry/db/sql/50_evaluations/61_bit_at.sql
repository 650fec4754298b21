-- bit_at(bits, place): the bit at a place from 0; null beyond the end.
-- get_bit fails there, and Postgres may evaluate conditions in another order than they are written.
CREATE FUNCTION store.bit_at(bits varbit, place integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN place < length(bits) THEN get_bit(bits, place) END;

COMMENT ON FUNCTION store.bit_at(varbit, integer) IS
    'The bit at a place from 0; null beyond the end.';
