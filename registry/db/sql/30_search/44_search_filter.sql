-- search_filter(...): the filters that have lexemes, as tsqueries that must all hold, and the number of
-- models that each lets pass. Empty where nothing is filtered. Sizes pass in steps of a factor two, and
-- of a tag only the rarest word is queried, because its others occur with it: the caller checks both.
CREATE FUNCTION store.search_filter(
    by_author text, licenses text[], tags text[], min_parameters bigint, max_parameters bigint,
    OUT queries tsquery[], OUT counts bigint[])
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    WITH lexemes (part, tag, lexeme) AS (
        SELECT 1, NULL, 'author=' || replace(lower(by_author), ' ', '_')
        UNION ALL
        SELECT 2, NULL, 'license=' || replace(lower(l.license), ' ', '_')
          FROM unnest(licenses) AS l (license)
        UNION ALL
        SELECT 3, NULL, 'size=' || n
          FROM generate_series(
                   floor(ln(greatest(min_parameters, 1)::double precision) / ln(2.0::double precision))::integer,
                   floor(ln(greatest(coalesce(max_parameters,
                                              greatest(min_parameters, 1::bigint << 44)),
                                     1)::double precision)
                         / ln(2.0::double precision))::integer) AS n
         WHERE min_parameters IS NOT NULL OR max_parameters IS NOT NULL
        UNION ALL
        SELECT 4, t.tag, '#' || word
          FROM unnest(tags) AS t (tag),
               unnest(string_to_array(replace(lower(t.tag), '-', ' '), ' ')) AS word
         WHERE word <> '' AND store.is_telling(t.tag)
    ),
    counted AS (
        -- Cut off, as a tsquery accepts no word above 2,046 bytes; no value of a model is so long.
        SELECT l.part, l.tag, store.quoted_lexeme(left(l.lexeme, 500)) AS query,
               coalesce((SELECT v.models FROM store.search_vocabulary AS v
                          WHERE v.word = l.lexeme), 0) AS models
          FROM lexemes AS l
         WHERE l.lexeme IS NOT NULL
    )
    SELECT coalesce(array_agg(p.query::tsquery), '{}'), coalesce(array_agg(p.models), '{}')
      INTO queries, counts
      FROM (SELECT string_agg(c.query, ' | ') AS query, sum(c.models)::bigint AS models
              FROM counted AS c
             WHERE c.part < 4
             GROUP BY c.part
             UNION ALL
            (SELECT DISTINCT ON (c.tag) c.query, c.models
               FROM counted AS c WHERE c.part = 4 ORDER BY c.tag, c.models)) AS p;
END;
$$;

COMMENT ON FUNCTION store.search_filter(text, text[], text[], bigint, bigint) IS
    'Filters on author, licences, tags and size as tsqueries, and how many models each lets pass.';
