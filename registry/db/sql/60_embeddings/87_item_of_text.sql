-- item_of_text(text_map, of_text): an item's vector [v, c] in the space of a version, predicted
-- from the vector of its text: each entry is an inner product of a row of the map and [text, 1].
CREATE FUNCTION store.item_of_text(text_map vector[], of_text vector) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
    SELECT array_agg(-(w.row <#> (of_text || '[1]'::vector)) ORDER BY w.place)::vector
      FROM unnest(text_map) WITH ORDINALITY AS w (row, place)
$$;

COMMENT ON FUNCTION store.item_of_text(vector[], vector) IS
    'Vector of an item, with its offset, predicted from the vector of its text.';
