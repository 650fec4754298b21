-- check_prompts(prompts): an error, which names the place, unless vectors of prompts are of the
-- dimensions of the first and of length 1, and none is null.
CREATE FUNCTION store.check_prompts(prompts vector[])
RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path FROM CURRENT
AS $$
DECLARE
    wrong record;
BEGIN
    SELECT v.place, v.vector INTO wrong
      FROM unnest(prompts) WITH ORDINALITY AS v (vector, place)
     WHERE v.vector IS NULL OR vector_dims(v.vector) <> vector_dims(prompts[1])
        OR NOT abs(vector_norm(v.vector) - 1) <= 0.01
     ORDER BY v.place LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RAISE invalid_parameter_value USING MESSAGE = CASE
        WHEN wrong.vector IS NULL THEN format('Vector %s of the prompts is null', wrong.place)
        WHEN vector_dims(wrong.vector) <> vector_dims(prompts[1]) THEN format(
            'Vector %s of the prompts has %s dimensions, the first has %s',
            wrong.place, vector_dims(wrong.vector), vector_dims(prompts[1]))
        ELSE format(
            'Vector %s of the prompts has length %s, not 1: divide it by its length (l2_normalize), '
            'where the encoder of the version made it; that of a text without a word has length 0, '
            'and cannot be routed', wrong.place, round(vector_norm(wrong.vector)::numeric, 3))
    END;
END;
$$;

COMMENT ON FUNCTION store.check_prompts(vector[]) IS
    'An error that names the place, unless vectors of prompts have the same dimensions and length 1.';
