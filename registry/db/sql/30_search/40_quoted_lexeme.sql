-- quoted_lexeme(value): a lexeme in the text form of tsquery.
CREATE FUNCTION store.quoted_lexeme(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN '''' || replace(replace(value, '\', '\\'), '''', '''''') || '''';

COMMENT ON FUNCTION store.quoted_lexeme(text) IS
    'A lexeme in the text form of tsquery.';
