-- index_question(queries, counts, top, top_models, total): the queries for the inverted index, as one;
-- the rest, to be checked on the rows that it returns; an estimate of their number; and the cost.
-- counts has the number of models, of the total, that match each query; top, a lexeme, is always among
-- the queries for the index.
--
-- A query that most models match costs more to scan than the rows it saves. In microseconds, measured:
-- 0.1 for each lexeme at each model of the rarest query, 0.01 for each model of any query, 6 for each
-- row fetched.
CREATE FUNCTION store.index_question(
    queries tsquery[], counts bigint[], top text, top_models bigint, total double precision,
    OUT indexed tsquery, OUT unindexed tsquery, OUT fetches double precision, OUT cost double precision)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    part record;
    rarest double precision;
    lexemes integer := 0;
    scanned double precision := 0;
    with_it double precision;
BEGIN
    IF top IS NOT NULL THEN
        indexed := store.quoted_lexeme(top)::tsquery;
        rarest := top_models;
        lexemes := 1;
        scanned := top_models;
        fetches := top_models;
        cost := 0.1 * rarest + 0.01 * scanned + 6 * fetches;
    END IF;
    FOR part IN
        SELECT q.query, least(q.models, total) AS models, (numnode(q.query) + 1) / 2 AS lexemes
          FROM unnest(queries, counts) AS q (query, models)
         ORDER BY q.models
    LOOP
        with_it := 0.1 * least(rarest, part.models) * (lexemes + part.lexemes)
                   + 0.01 * (scanned + part.models)
                   + 6 * coalesce(fetches, total) * part.models / total;
        IF with_it < cost OR indexed IS NULL THEN
            indexed := coalesce(indexed && part.query, part.query);
            rarest := least(rarest, part.models);
            lexemes := lexemes + part.lexemes;
            scanned := scanned + part.models;
            fetches := coalesce(fetches, total) * part.models / total;
            cost := with_it;
        ELSE
            unindexed := coalesce(unindexed && part.query, part.query);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION store.index_question(tsquery[], bigint[], text, bigint, double precision) IS
    'Which of several queries are for the inverted index, which to check on the rows, the number of rows, and the cost.';
