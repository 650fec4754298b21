-- search_models(query, limit, filters): the models that match words and filters, best first.
-- match is the kind of match: 'exact' (the name, also without its organisation, or an alias), 'name' (every word
-- is in the name, or begins a word of it), 'tags' (in name or tags), 'similar' (after correcting rare
-- words); 'filter' without words. A stub found by an alias is 'name': nothing more is known of it, and
-- models like it come first. Within each, the most downloaded first. score orders the same way: 3 exact,
-- 2 name, 1 tags, 0 similar, plus ln(1 + downloads) / ln(1e12). Filters that are null do not filter.
--
-- Filters on author, licences, tags and sizes alone, in order of downloads, are answered from the
-- inverted index (see matching_models); all others by the planner (see ordered_models).
CREATE FUNCTION registry.search_models(
    query text,
    "limit" integer DEFAULT 20,
    by_author text DEFAULT NULL,
    by_license text DEFAULT NULL,
    by_tag text DEFAULT NULL,
    min_parameters bigint DEFAULT NULL,
    max_parameters bigint DEFAULT NULL,
    by_task text DEFAULT NULL,
    by_library text DEFAULT NULL,
    by_family text DEFAULT NULL,
    by_architecture text DEFAULT NULL,
    by_quantization text DEFAULT NULL,
    licenses text[] DEFAULT NULL,
    tags text[] DEFAULT NULL,
    states text[] DEFAULT NULL,
    created_after timestamptz DEFAULT NULL,
    created_before timestamptz DEFAULT NULL,
    modified_after timestamptz DEFAULT NULL,
    modified_before timestamptz DEFAULT NULL,
    sort text DEFAULT NULL)
RETURNS TABLE (name text, author text, downloads bigint, likes bigint, license text,
               parameters bigint, pipeline_tag text, last_modified timestamptz,
               match text, score double precision)
LANGUAGE plpgsql STABLE ROWS 20
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    most CONSTANT integer := greatest(coalesce(search_models."limit", 20), 0);
    terms CONSTANT text[] := store.search_terms(search_models.query);
    ordering CONSTANT text := CASE
        WHEN search_models.sort <> 'relevance' THEN search_models.sort
        -- Other orders leave out what has nothing to be ordered by, and a stub has only its name.
        WHEN search_models.sort IS NULL AND 'stub' = ANY (search_models.states) THEN 'name'
        WHEN terms IS NULL THEN 'downloads'
        ELSE 'relevance' END;
    any_license CONSTANT text[] := nullif(ARRAY(
        SELECT lower(l.license)
          FROM unnest(array_append(search_models.licenses, search_models.by_license)) AS l (license)
         WHERE l.license IS NOT NULL), '{}');
    all_tags CONSTANT text[] := nullif(array_remove(
        array_append(search_models.tags, search_models.by_tag), NULL), '{}');
    condition CONSTANT text := store.search_condition(
        search_models.by_author, any_license, all_tags, search_models.min_parameters,
        search_models.max_parameters, search_models.by_task, search_models.by_library,
        search_models.by_family, search_models.by_architecture, search_models.by_quantization,
        nullif(search_models.states, '{}'), search_models.created_after, search_models.created_before,
        search_models.modified_after, search_models.modified_before);
    -- Whether the inverted index has a lexeme for every filter.
    is_indexed CONSTANT boolean := ordering IN ('relevance', 'downloads')
        AND num_nonnulls(
                search_models.by_task, search_models.by_library, search_models.by_family,
                search_models.by_architecture, search_models.by_quantization,
                nullif(search_models.states, '{}'), search_models.created_after,
                search_models.created_before, search_models.modified_after,
                search_models.modified_before) = 0
        AND NOT EXISTS (SELECT FROM unnest(all_tags) AS t (tag) WHERE NOT store.is_telling(t.tag));
    tiers CONSTANT text[] := ARRAY['similar', 'tags', 'name', 'exact'];
    filter record;
    step record;
    in_names tsquery;
    hits bigint[];
    found bigint[] := '{}';
    ranks smallint[] := '{}';
    last_rank integer := 0;
    at_once integer := most;
BEGIN
    IF ordering NOT IN ('relevance', 'downloads', 'likes', 'trending', 'created', 'modified', 'name') THEN
        RAISE invalid_parameter_value USING MESSAGE = format('There is no order %L of models', sort),
            HINT = 'Orders are relevance, downloads, likes, trending, created, modified and name.';
    END IF;
    IF greatest(cardinality(any_license), cardinality(all_tags)) > 500 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'A search takes at most 500 licences and 500 tags';
    END IF;
    IF search_models.min_parameters > search_models.max_parameters THEN
        RETURN;
    END IF;
    SELECT * INTO filter
      FROM store.search_filter(search_models.by_author, any_license, all_tags,
                               search_models.min_parameters, search_models.max_parameters);
    IF ordering = 'relevance' THEN
        -- More than a short list takes: the model of that very name may have few downloads.
        at_once := greatest(most, 50);
        found := ARRAY(SELECT k.id FROM registry.model_id(search_models.query) AS k (id)
                        WHERE k.id IS NOT NULL);
        IF found <> '{}' AND condition IS NOT NULL THEN
            EXECUTE 'SELECT ARRAY(SELECT m.model_id FROM store.models AS m WHERE m.model_id = $1 AND '
                    || condition || ')'
               INTO found USING found[1];
        END IF;
        ranks := array_fill(3::smallint, ARRAY[cardinality(found)]);
        -- An exact name is for that model and others of its words, not for similar spellings.
        IF found <> '{}' THEN
            last_rank := 2;
        END IF;
    END IF;
    FOR rank IN REVERSE CASE WHEN terms IS NULL THEN 0 WHEN ordering = 'relevance' THEN 2 ELSE 1 END
                ..last_rank LOOP
        IF terms IS NULL THEN
            SELECT NULL::tsquery AS query, NULL::bigint AS estimate INTO step;
        ELSIF ordering <> 'relevance' AND rank = 1 THEN
            SELECT string_agg('(' || q.query::text || ')', ' | ')::tsquery AS query,
                   sum(q.estimate)::bigint AS estimate
              INTO step
              FROM unnest(ARRAY['name', 'tags']) AS t (tier), store.search_query(terms, t.tier) AS q;
        ELSE
            SELECT * INTO step FROM store.search_query(terms, tiers[rank + 1]);
        END IF;
        CONTINUE WHEN terms IS NOT NULL AND step.query IS NULL;
        IF is_indexed AND (terms IS NOT NULL OR filter.queries <> '{}') THEN
            hits := store.matching_models(
                array_remove(step.query || filter.queries, NULL),
                array_remove(step.estimate || filter.counts, NULL), at_once,
                any_license, all_tags, search_models.min_parameters, search_models.max_parameters);
        ELSIF terms IS NULL AND condition IS NULL AND ordering = 'downloads' THEN
            hits := ARRAY(SELECT c.model_id FROM store.counters AS c
                           ORDER BY c.downloads DESC NULLS LAST, c.model_id LIMIT most);
        ELSE
            hits := store.ordered_models(
                (SELECT string_agg('(' || q.query::text || ')', ' & ')::tsquery
                   FROM unnest(step.query || filter.queries) AS q (query)),
                condition, CASE ordering WHEN 'relevance' THEN 'downloads' ELSE ordering END, at_once);
        END IF;
        found := found || hits;
        ranks := ranks || array_fill(rank::smallint, ARRAY[cardinality(hits)]);
        EXIT WHEN cardinality(found) >= CASE ordering WHEN 'relevance' THEN most ELSE 1 END;
    END LOOP;
    IF ordering <> 'relevance' AND terms IS NOT NULL THEN
        SELECT q.query INTO in_names FROM store.search_query(terms, 'name') AS q;
    END IF;
    RETURN QUERY
    SELECT m.name, m.author, c.downloads, c.likes, m.license, m.parameters, m.pipeline_tag,
           m.last_modified,
           CASE WHEN terms IS NULL THEN 'filter' ELSE tiers[t.rank + 1] END,
           t.rank + ln(1 + coalesce(c.downloads, 0)::double precision) / ln(1e12::double precision)
      FROM (SELECT h.model_id, max(h.rank) AS rank, min(h.place) AS place
              FROM unnest(found, ranks) WITH ORDINALITY AS h (model_id, rank, place)
             GROUP BY h.model_id) AS f
      JOIN store.models AS m ON m.model_id = f.model_id
      LEFT JOIN store.counters AS c ON c.model_id = f.model_id
     CROSS JOIN LATERAL (
           SELECT CASE WHEN f.rank = 1 AND m.search @@ in_names THEN 2 ELSE f.rank END AS rank) AS w
     CROSS JOIN LATERAL (
           SELECT CASE WHEN m.state = 'stub' AND lower(m.name) <> lower(btrim(search_models.query))
                       THEN least(w.rank, 2)
                       WHEN w.rank = 2
                        AND lower(split_part(m.name, '/', 2)) = lower(btrim(search_models.query))
                       THEN 3 ELSE w.rank END AS rank) AS t
     ORDER BY CASE ordering WHEN 'relevance' THEN t.rank END DESC,
              CASE WHEN ordering NOT IN ('relevance', 'downloads') THEN f.place END,
              c.downloads DESC NULLS LAST, m.name
     LIMIT most;
END;
$$;

COMMENT ON FUNCTION registry.search_models IS
    'Models that match words, the best first: the models of that very name, with or without the organisation, or alias, then those with all the words in their names (or words that begin so), then those with some in their tags, then those with similarly spelled words; within each the most downloaded first. A stub, known by name only, is first by that name alone; by an alias it comes after the models with all the words in their names. Filters restrict this, or select alone where query is null; all of them must hold.
query: words, in any case; "-", "_", "/" and "." separate words as blanks do, and qwen2.5 is qwen 2 5
limit: most rows to return; null is 20, less than 0 is 0
by_author: only models of this organisation or user, in any case
by_license: only models of this licence, by its identifier in any case
by_tag: only models with this tag
min_parameters: only models with at least this number of weights, known for the model itself, not from its parent or siblings (see parameters_source of models)
max_parameters: only models with at most this number of weights, known likewise
by_task: only models for this task, such as text-generation
by_library: only models of this library, such as transformers
by_family: only models of the family of this model, by any of its names; an unknown model has none
by_architecture: only models of this class (Qwen2ForCausalLM), model type (qwen2_moe) or family of types (qwen)
by_quantization: only models quantized by this method at any width (gptq), at one width (gptq-4bit), or none
licenses: only models of one of these licences, or of by_license; at most 500
tags: only models with all of these tags, and by_tag; at most 500
states: only models in one of these states
created_after: only models created at this time or later
created_before: only models created before this time
modified_after: only models last changed at this time or later
modified_before: only models last changed before this time
sort: relevance, downloads, likes, trending, created, modified (the highest or newest first) or name; null is relevance with words, name where states include stub, else downloads; models without that value are left out, or last
name: name of the model
author: its organisation or user
downloads: downloads of the last 30 days
likes: likes
license: licence by the Hub''s identifier
parameters: number of weights
pipeline_tag: task
last_modified: last commit on the Hub (UTC)
match: kind of match: exact, name, tags, similar, or filter without a query
score: orders as relevance does: 3 exact, 2 name, 1 tags, 0 similar, plus ln(1 + downloads) / ln(10^12)

Example:
SELECT name, downloads, match
  FROM registry.search_models(''mistral instruct'', 5, by_license => ''apache-2.0'');';
