-- search_filter(...): the filters as a query, and an upper estimate of the models that pass.
-- Null where nothing is filtered; sizes pass in steps of a factor two and are to be checked again.
CREATE FUNCTION store.search_filter(
    by_author text, by_license text, by_tag text, min_parameters bigint, max_parameters bigint,
    OUT query tsquery, OUT estimate bigint)
LANGUAGE sql STABLE
AS $$
    WITH lexemes (part, lexeme) AS (
        SELECT 1, 'author=' || replace(lower(by_author), ' ', '_')
        UNION ALL
        SELECT 2, 'license=' || replace(lower(by_license), ' ', '_')
        UNION ALL
        SELECT 10 + w.position, '#' || w.word
          FROM unnest(string_to_array(replace(lower(by_tag), '-', ' '), ' '))
               WITH ORDINALITY AS w (word, position)
         WHERE w.word <> '' AND strpos(by_tag, ':') = 0 AND right(by_tag, 11) <> '_compatible'
        UNION ALL
        SELECT 3, 'size=' || n
          FROM generate_series(
                   floor(ln(greatest(min_parameters, 1)::double precision) / ln(2.0::double precision))::integer,
                   floor(ln(greatest(coalesce(max_parameters, 1::bigint << 44), 1)::double precision)
                         / ln(2.0::double precision))::integer) AS n
         WHERE min_parameters IS NOT NULL OR max_parameters IS NOT NULL
    )
    SELECT string_agg('(' || p.query || ')', ' & ')::tsquery, min(p.models)::bigint
      FROM (SELECT string_agg(store.quoted_lexeme(l.lexeme), ' | ') AS query,
                   sum(coalesce(v.models, 0)) AS models
              FROM lexemes AS l
              LEFT JOIN store.search_vocabulary AS v ON v.word = l.lexeme
             WHERE l.lexeme IS NOT NULL
             GROUP BY l.part) AS p
$$;

COMMENT ON FUNCTION store.search_filter(text, text, text, bigint, bigint) IS
    'Filters on author, licence, tag and size as a tsquery, and an upper estimate of its hits.';
