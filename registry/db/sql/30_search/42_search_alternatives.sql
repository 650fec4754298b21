-- search_alternatives(term, tier): the lexemes that match one word, and the number of models that each
-- is in. Tier 'name': the word and the 12 most frequent that begin with it; 'tags': the word in a name
-- or a tag; 'similar': the five most similar words, if it is rare itself.
CREATE FUNCTION store.search_alternatives(term text, tier text)
RETURNS TABLE (lexeme text, models bigint)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT  -- where pg_trgm is, whatever the caller's path
AS $$
DECLARE
    own CONSTANT bigint := coalesce(
        (SELECT v.models FROM store.search_vocabulary AS v WHERE v.word = term), 0);
BEGIN
    lexeme := term; models := own;
    RETURN NEXT;
    IF tier = 'name' AND length(term) >= 3 THEN
        RETURN QUERY
        SELECT v.word, v.models::bigint
          FROM store.search_vocabulary AS v
         WHERE v.word > term COLLATE "C" AND v.word < (term || U&'\FFFF') COLLATE "C"
         ORDER BY v.models DESC, v.word
         LIMIT 12;
    ELSIF tier = 'tags' THEN
        RETURN QUERY
        SELECT '#' || term, coalesce((SELECT v.models::bigint FROM store.search_vocabulary AS v
                                       WHERE v.word = '#' || term), 0);
    ELSIF tier = 'similar' AND length(term) >= 3 AND own < 20 THEN
        RETURN QUERY
        SELECT v.word, v.models::bigint
          FROM store.search_vocabulary AS v
         WHERE v.word % term AND similarity(v.word, term) >= 0.4
           AND v.word ~ '^[^0-9#=]{3,30}$' AND v.word <> term
         ORDER BY similarity(v.word, term) DESC, v.models DESC, v.word
         LIMIT 5;
    END IF;
END;
$$;

COMMENT ON FUNCTION store.search_alternatives(text, text) IS
    'The lexemes that match one word in a tier (name, tags or similar), and the number of models that each is in.';
