-- board_columns(...): the columns of a board: benchmarks, each by one measure, the one that
-- leaderboards show or, of selected runs, that of most models. Names of one benchmark are one column
-- as far as their measures are of one class; the others are apart. Without names, the columns are up
-- to six of the benchmarks with bounds and most models: a model is ranked if it has them all, so that
-- one benchmark of a few models would empty the board. Others of the first six are not chosen.
CREATE FUNCTION store.board_columns(
    names text[], members bigint[], by_metric text, by_filter text, is_selected boolean,
    sources integer[], setups integer[]
)
RETURNS TABLE (
    chosen boolean, place bigint, title text, version text, keys integer[], measures integer[],
    metric text, filter text, is_share boolean, higher_is_better boolean, unit text,
    stored text[], apart text[]
)
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
DECLARE
    most CONSTANT integer := 6;    -- columns
    kept CONSTANT float8 := 0.5;   -- least share of the first column's models that have all
    unknown text;
    candidate record;
    models bigint[];
    common bigint[];
    remaining bigint[];
    number integer := 0;
    taken integer := 0;
    least float8;
BEGIN
    SELECT n.name INTO unknown FROM unnest(names) AS n (name)
     WHERE NOT EXISTS (SELECT FROM store.benchmark_ids(n.name)) LIMIT 1;
    IF FOUND THEN
        RAISE no_data_found USING MESSAGE = format('There is no benchmark %L', unknown);
    END IF;
    FOR candidate IN
        WITH named AS MATERIALIZED (
            SELECT n.place, k.benchmark_id,
                   CASE WHEN b.name = n.name OR b.version = '' THEN n.name
                        ELSE regexp_replace(n.name, '@' || regexp_replace(
                                 b.version, '([^\w])', '\\\1', 'g') || '$', '') END AS title,
                   n.name IN (b.name, b.name || '@' || b.version) AS is_asked
              FROM unnest(names) WITH ORDINALITY AS n (name, place)
             CROSS JOIN LATERAL store.benchmark_ids(n.name) AS k (benchmark_id)
              JOIN store.benchmarks b ON b.benchmark_id = k.benchmark_id
        ), counted AS (
            SELECT c.benchmark_id, k.measure_id, c.models
              FROM (SELECT s.benchmark_id, count(*) AS models
                      FROM store.shown_runs s
                     WHERE NOT is_selected
                       AND (names IS NULL OR s.benchmark_id IN (SELECT n.benchmark_id FROM named n))
                       AND (members IS NULL OR s.model_id = ANY (members))
                     GROUP BY s.benchmark_id) c
              JOIN store.benchmarks b ON b.benchmark_id = c.benchmark_id
              JOIN store.measures s ON s.measure_id = b.measure_id
              -- Also on other scales: scores are compared as shares.
              JOIN store.measures k ON k.benchmark_id = b.benchmark_id
                                   AND (k.metric, k.filter) = (s.metric, s.filter)
            UNION ALL
            SELECT r.benchmark_id, r.measure_id, count(DISTINCT r.model_id)
              FROM store.runs r JOIN store.measures k ON k.measure_id = r.measure_id
             WHERE is_selected AND r.score IS NOT NULL
               AND (names IS NULL OR r.benchmark_id IN (SELECT n.benchmark_id FROM named n))
               AND (members IS NULL OR r.model_id = ANY (members))
               AND (by_metric IS NULL OR k.metric = by_metric)
               AND (by_filter IS NULL OR k.filter = by_filter)
               AND (sources IS NULL OR r.source_id = ANY (sources))
               AND (setups IS NULL OR r.setup_id = ANY (setups))
             GROUP BY r.benchmark_id, r.measure_id
        ), measured AS MATERIALIZED (
            SELECT DISTINCT ON (g.benchmark_id) g.*,
                   concat(store.measure_class(g.metric, g.filter, g.unit, g.is_share,
                                               g.name),
                          CASE WHEN g.is_share THEN '' ELSE g.higher_is_better::text END) AS class
              FROM (SELECT c.benchmark_id, b.name, k.metric, k.filter,
                           (k.upper > k.lower) IS TRUE
                               AND k.higher_is_better IS NOT NULL AS is_share, k.higher_is_better,
                           CASE WHEN (k.upper > k.lower) IS NOT TRUE THEN k.unit END AS unit,
                           max(c.models) AS models, array_agg(k.measure_id) AS measures,
                           bool_or((k.metric, k.filter) = (s.metric, s.filter)) AS is_shown
                      FROM counted c
                      JOIN store.measures k ON k.measure_id = c.measure_id
                      JOIN store.benchmarks b ON b.benchmark_id = c.benchmark_id
                      LEFT JOIN store.measures s ON s.measure_id = b.measure_id
                     GROUP BY 1, 2, 3, 4, 5, 6, 7) g
             ORDER BY g.benchmark_id, g.is_shown DESC, g.is_share DESC, g.models DESC, g.metric,
                   g.filter
        ), joined AS (
            -- Benchmarks of a column, the one that decides on the measure first.
            SELECT n.place, n.title, b.benchmark_id, b.name, b.version, m.metric, m.filter,
                   m.is_share, m.higher_is_better, m.unit, m.class, m.models, m.measures,
                   row_number() OVER w AS position, first_value(m.class) OVER w AS decided
              FROM named n
              JOIN store.benchmarks b ON b.benchmark_id = n.benchmark_id
              LEFT JOIN measured m ON m.benchmark_id = n.benchmark_id
            WINDOW w AS (PARTITION BY n.place, b.version
                         ORDER BY m.class IS NULL, n.is_asked DESC, b.comparable DESC,
                                  m.models DESC NULLS LAST, b.name)
            UNION ALL
            SELECT NULL, coalesce(b.canonical, b.name) || coalesce(' (' || b.variant || ')', ''),
                   b.benchmark_id, b.name, b.version, m.metric, m.filter, m.is_share,
                   m.higher_is_better, m.unit, m.class, m.models, m.measures,
                   row_number() OVER w, m.class
              FROM measured m JOIN store.benchmarks b ON b.benchmark_id = m.benchmark_id
             WHERE names IS NULL
               AND (m.is_share OR m.higher_is_better IS NOT NULL
                                  AND NOT EXISTS (SELECT FROM measured o WHERE o.is_share))
            WINDOW w AS (PARTITION BY coalesce(b.canonical, b.name), b.comparable, b.variant,
                                      b.version, m.class,
                                      CASE WHEN NOT b.comparable THEN b.name END
                         ORDER BY m.models DESC, b.name)
        ), columns AS (
            SELECT m.place, m.version, m.decided,
                   CASE WHEN m.place IS NULL AND count(DISTINCT m.name) = 1 THEN min(m.name)
                        ELSE min(m.title) END AS title,
                   array_agg(DISTINCT m.benchmark_id)
                       FILTER (WHERE m.class IS NOT DISTINCT FROM m.decided) AS keys,
                   array_agg(DISTINCT m.name ORDER BY m.name)
                       FILTER (WHERE m.class IS NOT DISTINCT FROM m.decided) AS stored,
                   array_agg(DISTINCT m.name || ' (' || m.metric || ')')
                       FILTER (WHERE m.class <> m.decided) AS apart,
                   (array_agg(m.metric ORDER BY m.position))[1] AS metric,
                   (array_agg(m.filter ORDER BY m.position))[1] AS filter,
                   (array_agg(m.is_share ORDER BY m.position))[1] AS is_share,
                   (array_agg(m.higher_is_better ORDER BY m.position))[1] AS higher_is_better,
                   (array_agg(m.unit ORDER BY m.position))[1] AS unit,
                   sum(m.models) AS models
              FROM joined m
             GROUP BY m.place, m.version, m.decided,
                   CASE WHEN m.place IS NULL THEN m.title END
        ), distinct_columns AS (
            -- Two names of one benchmark are one column.
            SELECT DISTINCT ON (c.keys, c.version) c.* FROM columns c
             ORDER BY c.keys, c.version, c.place
        )
        SELECT c.*,
               ARRAY(SELECT DISTINCT k.key FROM measured m, unnest(m.measures) AS k (key)
                      WHERE m.benchmark_id = ANY (c.keys) ORDER BY k.key) AS measures
          FROM distinct_columns c
         ORDER BY c.place, CASE WHEN names IS NULL THEN c.models END DESC, c.title, c.version
         LIMIT CASE WHEN names IS NULL
                    THEN CASE WHEN EXISTS (SELECT FROM measured o WHERE o.is_share)
                              THEN 4 * most ELSE 1 END END
    LOOP
        number := number + 1;
        place := candidate.place;
        title := candidate.title;
        version := candidate.version;
        keys := candidate.keys;
        measures := candidate.measures;
        metric := candidate.metric;
        filter := candidate.filter;
        is_share := coalesce(candidate.is_share, true);
        higher_is_better := candidate.higher_is_better;
        unit := candidate.unit;
        stored := candidate.stored;
        apart := coalesce(candidate.apart, '{}');
        chosen := true;
        IF names IS NULL THEN
            IF is_selected THEN
                SELECT array_agg(DISTINCT r.model_id) INTO models
                  FROM store.runs r
                 WHERE r.benchmark_id = ANY (candidate.keys) AND r.score IS NOT NULL
                   AND r.measure_id = ANY (candidate.measures)
                   AND (members IS NULL OR r.model_id = ANY (members))
                   AND (sources IS NULL OR r.source_id = ANY (sources))
                   AND (setups IS NULL OR r.setup_id = ANY (setups));
            ELSE
                SELECT array_agg(DISTINCT s.model_id) INTO models
                  FROM store.shown_runs s
                 WHERE s.benchmark_id = ANY (candidate.keys)
                   AND (members IS NULL OR s.model_id = ANY (members));
            END IF;
            least := coalesce(least, kept * cardinality(models));
            common := CASE WHEN remaining IS NULL THEN models
                           ELSE ARRAY(SELECT unnest(remaining) INTERSECT SELECT unnest(models)) END;
            chosen := taken < most AND cardinality(common) >= least;
            IF chosen THEN
                taken := taken + 1;
                remaining := common;
            ELSIF number > most THEN
                CONTINUE;
            END IF;
        END IF;
        RETURN NEXT;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION store.board_columns(
    text[], bigint[], text, text, boolean, integer[], integer[]) IS
    'The columns of a board: benchmarks, each by one measure.';
