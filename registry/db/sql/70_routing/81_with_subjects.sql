-- with_subjects(prompt, roots, weight): the prompt's vector with that of its subjects behind, not
-- scaled: its length is sqrt(1 + weight^2).
CREATE FUNCTION store.with_subjects(prompt vector, roots real[], weight real)
RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
SET search_path FROM CURRENT
AS $$
    SELECT prompt || (SELECT array_agg(weight * r.root ORDER BY r.place)
                        FROM unnest(roots) WITH ORDINALITY AS r (root, place))::vector
$$;

COMMENT ON FUNCTION store.with_subjects(vector, real[], real) IS
    'Vector of a prompt and, weighted, of the roots of its subjects'' probabilities.';
