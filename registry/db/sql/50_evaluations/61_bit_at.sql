-- bit_at(bits, place): one of some bits, from 0; null beyond their end.
-- get_bit fails there, and conditions are not always asked in the order that they are written in.
CREATE FUNCTION store.bit_at(bits varbit, place integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN place < length(bits) THEN get_bit(bits, place) END;

COMMENT ON FUNCTION store.bit_at(varbit, integer) IS
    'One of some bits, from 0; null beyond their end.';
