-- index_question(queries, counts, top, top_models, total): which of the queries are worth asking the
-- inverted index, as one; the rest, to be checked on the rows it finds; about how many rows these are;
-- and the cost. counts says how many of the total each query finds; top, a lexeme, is always asked.
--
-- A query that most models answer costs more to walk through than the rows it saves. In microseconds,
-- measured: 0.1 for each lexeme at each model of the rarest query, 0.01 for each model of any query,
-- 6 for each row fetched.
CREATE FUNCTION store.index_question(
    queries tsquery[], counts bigint[], top text, top_models bigint, total double precision,
    OUT asked tsquery, OUT unasked tsquery, OUT fetches double precision, OUT cost double precision)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    part record;
    rarest double precision;
    lexemes integer := 0;
    walked double precision := 0;
    with_it double precision;
BEGIN
    IF top IS NOT NULL THEN
        asked := store.quoted_lexeme(top)::tsquery;
        rarest := top_models;
        lexemes := 1;
        walked := top_models;
        fetches := top_models;
        cost := 0.1 * rarest + 0.01 * walked + 6 * fetches;
    END IF;
    FOR part IN
        SELECT q.query, least(q.models, total) AS models, (numnode(q.query) + 1) / 2 AS lexemes
          FROM unnest(queries, counts) AS q (query, models)
         ORDER BY q.models
    LOOP
        with_it := 0.1 * least(rarest, part.models) * (lexemes + part.lexemes)
                   + 0.01 * (walked + part.models)
                   + 6 * coalesce(fetches, total) * part.models / total;
        IF with_it < cost OR asked IS NULL THEN
            asked := coalesce(asked && part.query, part.query);
            rarest := least(rarest, part.models);
            lexemes := lexemes + part.lexemes;
            walked := walked + part.models;
            fetches := coalesce(fetches, total) * part.models / total;
            cost := with_it;
        ELSE
            unasked := coalesce(unasked && part.query, part.query);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION store.index_question(tsquery[], bigint[], text, bigint, double precision) IS
    'Which of several queries to ask the inverted index, which to check on the rows, how many those are, and the cost.';
