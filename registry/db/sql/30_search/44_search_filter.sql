-- search_filter(...): the filters as queries that must all hold, and how many models each lets pass.
-- Empty where nothing is filtered. Sizes pass in steps of a factor two, and of a tag only the rarest
-- word is asked for, because its others go with it: both are to be checked again.
CREATE FUNCTION store.search_filter(
    by_author text, by_license text, by_tag text, min_parameters bigint, max_parameters bigint,
    OUT queries tsquery[], OUT counts bigint[])
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    WITH lexemes (part, lexeme) AS (
        SELECT 1, 'author=' || replace(lower(by_author), ' ', '_')
        UNION ALL
        SELECT 2, 'license=' || replace(lower(by_license), ' ', '_')
        UNION ALL
        SELECT 3, 'size=' || n
          FROM generate_series(
                   floor(ln(greatest(min_parameters, 1)::double precision) / ln(2.0::double precision))::integer,
                   floor(ln(greatest(coalesce(max_parameters,
                                              greatest(min_parameters, 1::bigint << 44)),
                                     1)::double precision)
                         / ln(2.0::double precision))::integer) AS n
         WHERE min_parameters IS NOT NULL OR max_parameters IS NOT NULL
        UNION ALL
        SELECT 4, '#' || word
          FROM unnest(string_to_array(replace(lower(by_tag), '-', ' '), ' ')) AS word
         WHERE word <> '' AND store.is_telling(by_tag)
    ),
    counted AS (
        SELECT l.part, store.quoted_lexeme(l.lexeme) AS query,
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
            (SELECT c.query, c.models FROM counted AS c WHERE c.part = 4 ORDER BY c.models LIMIT 1)) AS p;
END;
$$;

COMMENT ON FUNCTION store.search_filter(text, text, text, bigint, bigint) IS
    'Filters on author, licence, tag and size as tsqueries, and how many models each lets pass.';
