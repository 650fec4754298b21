-- ordered_models(query, condition, sort, most): keys of the first models in an order that match a
-- tsquery (null for all) and a condition on store.models, named m (null for none). The most downloaded
-- are searched among the popular first (lexemes top=4, top=3, top=2), which saves sorting all; stubs,
-- which have no downloads, come last.
CREATE FUNCTION store.ordered_models(query tsquery, condition text, sort text, most integer)
RETURNS bigint[]
LANGUAGE plpgsql STABLE
SET enable_seqscan = on
SET jit = off
AS $$
DECLARE
    -- What an order needs is joined, and an inner join lets an index give the order.
    statement CONSTANT text := format(
        'SELECT ARRAY(SELECT m.model_id FROM store.models AS m %s WHERE %%s ORDER BY %s, m.model_id LIMIT $1)',
        CASE WHEN sort IN ('downloads', 'likes', 'trending')
             THEN 'JOIN store.counters AS c ON c.model_id = m.model_id' ELSE '' END,
        CASE sort WHEN 'name' THEN 'm.name'
                  WHEN 'created' THEN 'm.created_at DESC'
                  WHEN 'modified' THEN 'm.last_modified DESC'
                  WHEN 'downloads' THEN 'c.downloads DESC NULLS LAST'
                  WHEN 'likes' THEN 'c.likes DESC NULLS LAST'
                  WHEN 'trending' THEN 'c.trending_score DESC NULLS LAST' END);
    conditions CONSTANT text := concat_ws(' AND ', condition,
        CASE sort WHEN 'created' THEN 'm.created_at IS NOT NULL'
                  WHEN 'modified' THEN 'm.last_modified IS NOT NULL' ELSE 'true' END);
    stage text;
    words text;
    found bigint[];
BEGIN
    FOREACH stage IN ARRAY CASE WHEN sort = 'downloads' THEN ARRAY['top=4', 'top=3', 'top=2', NULL]
                                ELSE ARRAY[NULL::text] END LOOP
        words := concat_ws(' & ', '(' || query::text || ')', store.quoted_lexeme(stage));
        -- The planner overestimates how frequent words are together, and reads everything.
        PERFORM set_config('enable_seqscan', CASE WHEN words = '' THEN 'on' ELSE 'off' END, true);
        EXECUTE format(statement, concat_ws(
                    ' AND ', 'm.search @@ ' || quote_literal(nullif(words, '')) || '::tsquery', conditions))
           INTO found USING most;
        EXIT WHEN cardinality(found) >= most;
    END LOOP;
    IF sort = 'downloads' AND cardinality(found) < most AND condition IS NOT NULL THEN
        EXECUTE format('SELECT $2 || ARRAY(SELECT m.model_id FROM store.models AS m WHERE %s LIMIT $1)',
                       concat_ws(' AND ', 'm.search @@ ' || quote_literal(query) || '::tsquery', condition,
                                 'm.state = ''stub''', 'm.model_id <> ALL ($2)'))
           INTO found USING most - cardinality(found), found;
    END IF;
    RETURN found;
END;
$$;

COMMENT ON FUNCTION store.ordered_models(tsquery, text, text, integer) IS
    'Keys of the first models in an order that match a tsquery and a condition in SQL.';
