-- search_query(terms, tier): the tsquery for all terms in one tier, and an upper bound of its matches.
-- Null in tier 'similar' where no term has a similar word.
CREATE FUNCTION store.search_query(
    terms text[], tier text, OUT query tsquery, OUT estimate bigint)
LANGUAGE sql STABLE
AS $$
    SELECT CASE WHEN tier <> 'similar' OR max(t.alternatives) > 1
                THEN string_agg('(' || t.query || ')', ' & ')::tsquery END,
           min(t.models)::bigint
      FROM (SELECT string_agg(store.quoted_lexeme(a.lexeme), ' | ') AS query,
                   sum(a.models) AS models, count(*) AS alternatives
              FROM unnest(terms) WITH ORDINALITY AS w (word, position),
                   store.search_alternatives(w.word, tier) AS a
             GROUP BY w.position) AS t
$$;

COMMENT ON FUNCTION store.search_query(text[], text) IS
    'The tsquery for all words in one tier, and an upper bound of its matches.';
