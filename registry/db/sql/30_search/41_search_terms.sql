-- search_terms(query): the first ten words of a query; null without words. Cut off at 500 characters:
-- a tsquery accepts no word above 2,046 bytes.
CREATE FUNCTION store.search_terms(query text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN nullif((store.search_words(
    regexp_replace(left(query, 500), '[][''"\\&|!():*<>,;@#+~?%$^={}`\s]+', ' ', 'g')))[1:10], '{}');

COMMENT ON FUNCTION store.search_terms(text) IS
    'The first ten words of a query; null without words.';
