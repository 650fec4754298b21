-- search_models(query, limit, filters): the models that a text finds, best first.
-- match says how: 'exact' (the name, also without its organisation, or an alias), 'name' (every word
-- is in the name, or begins a word of it), 'tags' (in name or tags), 'similar' (after correcting rare
-- words); 'filter' without a text. A stub that an alias stands for is 'name': nothing more is known of
-- it, and who asks wants what is like it first. In each, the most downloaded first. score orders the
-- same way: 3 exact, 2 name, 1 tags, 0 similar, plus ln(1 + downloads) / ln(1e12). Filters that are
-- null do not filter.
CREATE FUNCTION registry.search_models(
    query text,
    "limit" integer DEFAULT 20,
    by_author text DEFAULT NULL,
    by_license text DEFAULT NULL,
    by_tag text DEFAULT NULL,
    min_parameters bigint DEFAULT NULL,
    max_parameters bigint DEFAULT NULL)
RETURNS TABLE (name text, author text, downloads bigint, likes bigint, license text,
               parameters bigint, pipeline_tag text, last_modified timestamptz,
               match text, score double precision)
LANGUAGE plpgsql STABLE
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    wanted CONSTANT integer := greatest(coalesce(search_models."limit", 20), 0);
    -- More than a short list takes: the model of that very name may have few downloads.
    looked_at CONSTANT integer := greatest(wanted, 50);
    terms CONSTANT text[] := store.search_terms(search_models.query);
    tiers CONSTANT text[] := ARRAY['similar', 'tags', 'name', 'exact'];
    filter record;
    step record;
    hits bigint[];
    found bigint[] := '{}';
    ranks smallint[] := '{}';
    last_rank integer := 0;
BEGIN
    IF search_models.min_parameters > search_models.max_parameters THEN
        RETURN;
    END IF;
    SELECT * INTO filter
      FROM store.search_filter(search_models.by_author, search_models.by_license,
                               search_models.by_tag, search_models.min_parameters,
                               search_models.max_parameters);
    IF terms IS NULL AND filter.queries = '{}' THEN
        IF search_models.by_tag IS NULL THEN
            found := ARRAY(SELECT c.model_id FROM store.counters AS c
                            ORDER BY c.downloads DESC NULLS LAST, c.model_id LIMIT wanted);
        ELSE
            -- A tag with a colon or in "_compatible" is no lexeme; planned anew for each, because a
            -- frequent one is soon met in order of downloads and a rare one is not.
            EXECUTE 'SELECT array_agg(h.model_id)
                       FROM (SELECT c.model_id
                               FROM store.counters AS c JOIN store.models AS m USING (model_id)
                              WHERE m.tags @> ARRAY[$1]
                              ORDER BY c.downloads DESC NULLS LAST, c.model_id LIMIT $2) AS h'
               INTO found USING search_models.by_tag, wanted;
            found := coalesce(found, '{}');
        END IF;
        ranks := array_fill(0::smallint, ARRAY[cardinality(found)]);
    ELSIF terms IS NULL THEN
        found := store.matching_models(filter.queries, filter.counts, wanted,
                                       search_models.by_license, search_models.by_tag,
                                       search_models.min_parameters, search_models.max_parameters);
        ranks := array_fill(0::smallint, ARRAY[cardinality(found)]);
    ELSE
        found := ARRAY(
            SELECT m.model_id
              FROM store.models AS m
             WHERE m.model_id = registry.model_id(search_models.query)
               AND (search_models.by_author IS NULL OR lower(m.author) = lower(search_models.by_author))
               AND (search_models.by_license IS NULL OR lower(m.license) = lower(search_models.by_license))
               AND (search_models.by_tag IS NULL OR m.tags @> ARRAY[search_models.by_tag])
               AND (search_models.min_parameters IS NULL
                    OR m.parameters >= search_models.min_parameters)
               AND (search_models.max_parameters IS NULL
                    OR m.parameters <= search_models.max_parameters));
        ranks := array_fill(3::smallint, ARRAY[cardinality(found)]);
        -- Who names a model exactly wants it and its like, not what is spelled similarly.
        IF found <> '{}' THEN
            last_rank := 2;
        END IF;
        FOR rank IN REVERSE 2..last_rank LOOP
            SELECT * INTO step FROM store.search_query(terms, tiers[rank + 1]);
            CONTINUE WHEN step.query IS NULL;
            hits := store.matching_models(
                step.query || filter.queries, step.estimate || filter.counts, looked_at,
                search_models.by_license, search_models.by_tag,
                search_models.min_parameters, search_models.max_parameters);
            found := found || hits;
            ranks := ranks || array_fill(rank::smallint, ARRAY[cardinality(hits)]);
            EXIT WHEN cardinality(found) >= wanted;
        END LOOP;
    END IF;
    RETURN QUERY
    SELECT m.name, m.author, c.downloads, c.likes, m.license, m.parameters, m.pipeline_tag,
           m.last_modified,
           CASE WHEN terms IS NULL THEN 'filter' ELSE tiers[t.rank + 1] END,
           t.rank + ln(1 + coalesce(c.downloads, 0)::double precision) / ln(1e12::double precision)
      FROM (SELECT h.model_id, max(h.rank) AS rank
              FROM unnest(found, ranks) AS h (model_id, rank)
             GROUP BY h.model_id) AS f
      JOIN store.models AS m ON m.model_id = f.model_id
      LEFT JOIN store.counters AS c ON c.model_id = f.model_id
     CROSS JOIN LATERAL (
           SELECT CASE WHEN m.state = 'stub' AND lower(m.name) <> lower(btrim(search_models.query))
                       THEN least(f.rank, 2)
                       WHEN f.rank = 2
                        AND lower(split_part(m.name, '/', 2)) = lower(btrim(search_models.query))
                       THEN 3 ELSE f.rank END AS rank) AS t
     ORDER BY t.rank DESC, c.downloads DESC NULLS LAST, m.name
     LIMIT wanted;
END;
$$;

COMMENT ON FUNCTION registry.search_models IS
    'Models that words find, the best first: the models of that very name, with or without the organisation, or alias, then those with all the words in their names (or words that begin so), then those with some in their tags, then those with words spelled alike; in each the most downloaded first. A stub, of which nothing but a name is known, comes first by that name alone, by an alias after the models with all the words in their names. Filters narrow that down, or stand alone where query is null.
query: words, in any case; "-", "_", "/" and "." part words as blanks do, and qwen2.5 is qwen 2 5
limit: most rows to return; null is 20, less than 0 is 0
by_author: only models of this organisation or user, in any case
by_license: only models of this licence, by its identifier in any case
by_tag: only models with this tag
min_parameters: only models with at least so many weights
max_parameters: only models with at most so many weights
name: name of the model
author: its organisation or user
downloads: downloads of the last 30 days
likes: likes
license: licence by the Hub''s identifier
parameters: number of weights
pipeline_tag: task
last_modified: last commit on the Hub (UTC)
match: how it was found: exact, name, tags, similar, or filter without a query
score: orders as the rows do: 3 exact, 2 name, 1 tags, 0 similar, plus ln(1 + downloads) / ln(10^12)

Example:
SELECT name, downloads, match
  FROM registry.search_models(''mistral instruct'', 5, by_license => ''apache-2.0'');';
