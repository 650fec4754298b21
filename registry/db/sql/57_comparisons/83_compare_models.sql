-- compare_models(a, b, benchmark, level): the difference of two models' scores on the items that both
-- answered, with a standard error of the paired differences, clustered by the items' domains (Miller
-- 2024). Each model counts by its preferred run, as in leaderboard.
CREATE FUNCTION registry.compare_models(
    a text, b text, benchmark text DEFAULT NULL, level double precision DEFAULT 0.95)
RETURNS TABLE (
    model text, other text, on_benchmark text, version text, items bigint, clusters bigint,
    clustered_by text, score double precision, other_score double precision,
    difference double precision, standard_error double precision, lower double precision,
    upper double precision, p_value double precision, only_model bigint, only_other bigint,
    mcnemar double precision, detectable double precision, caution text
)
LANGUAGE sql STABLE
AS $$
    WITH pair AS MATERIALIZED (
        SELECT k.benchmark_id, k.name, k.version, x.right_bits, x.present_bits, x.grades,
               y.right_bits AS other_bits, y.present_bits AS other_present,
               y.grades AS other_grades, store.run_difference(x.run_id, y.run_id) AS caution,
               -- Domains are clusters where each item has one and there are enough of them.
               (SELECT count(DISTINCT i.domain) >= 5 AND count(*) = count(i.domain)
                  FROM store.items i WHERE i.benchmark_id = k.benchmark_id) AS by_domain
          FROM store.benchmarks k
          CROSS JOIN LATERAL store.model_outcomes(registry.model_id(a), k.benchmark_id) x
          CROSS JOIN LATERAL store.model_outcomes(registry.model_id(b), k.benchmark_id) y
         WHERE compare_models.benchmark IS NULL
            OR k.benchmark_id IN (SELECT store.benchmark_ids(compare_models.benchmark))
    ), seen AS MATERIALIZED (
        SELECT p.benchmark_id, CASE WHEN p.by_domain THEN i.domain ELSE i.ordinal::text END AS part,
               coalesce(p.grades[i.ordinal + 1], store.bit_at(p.right_bits, i.ordinal))::float8 AS own,
               coalesce(p.other_grades[i.ordinal + 1],
                        store.bit_at(p.other_bits, i.ordinal))::float8 AS theirs
          FROM pair p
          JOIN store.items i ON i.benchmark_id = p.benchmark_id
                            AND i.ordinal + 0 < least(length(p.right_bits), length(p.other_bits))
         WHERE coalesce(store.bit_at(p.present_bits, i.ordinal), 1) = 1
           AND coalesce(store.bit_at(p.other_present, i.ordinal), 1) = 1
    ), means AS MATERIALIZED (
        SELECT s.benchmark_id, count(*) AS items, avg(s.own) AS own, avg(s.theirs) AS theirs,
               count(*) FILTER (WHERE s.own = 1 AND s.theirs = 0) AS only_a,
               count(*) FILTER (WHERE s.own = 0 AND s.theirs = 1) AS only_b,
               bool_and(s.own IN (0, 1) AND s.theirs IN (0, 1)) AS plain
          FROM seen s GROUP BY s.benchmark_id
    ), parts AS (
        -- Outcomes are stored as real numbers: differences below 1e-6 are rounding.
        SELECT s.benchmark_id, count(*) AS clusters, sum(s.off ^ 2) AS squares,
               bool_and(abs(s.off) <= 1e-6 * s.items) AS alike
          FROM (SELECT s.benchmark_id, count(*) AS items,
                       sum(s.own - s.theirs - (m.own - m.theirs)) AS off
                  FROM seen s JOIN means m ON m.benchmark_id = s.benchmark_id
                 GROUP BY s.benchmark_id, s.part) s
         GROUP BY s.benchmark_id
    ), errors AS (
        SELECT m.*, c.clusters, m.own - m.theirs AS difference,
               CASE WHEN c.clusters > 1 AND c.alike THEN 0
                    WHEN c.clusters > 1
                    THEN sqrt(c.squares * c.clusters / (c.clusters - 1)) / m.items END AS error,
               1 - (CASE WHEN level > 0 AND level < 1 THEN 1 - level END) ^ (1.0 / c.clusters)
                   AS unseen
          FROM means m JOIN parts c ON c.benchmark_id = m.benchmark_id
    ), halves AS (
        -- Where all differences are alike, what is not seen may still happen, however seldom.
        SELECT e.*, CASE WHEN e.error = 0 THEN e.unseen
                         ELSE store.student_quantile(level, (e.clusters - 1)::integer) * e.error
                    END AS half
          FROM errors e
    ), factors AS MATERIALIZED (
        SELECT e.clusters, store.detectable_in_errors(e.clusters, level) AS errors
          FROM (SELECT DISTINCT clusters FROM errors WHERE error > 0) e
    )
    SELECT (SELECT m.name FROM store.models m WHERE m.model_id = registry.model_id(a)),
           (SELECT m.name FROM store.models m WHERE m.model_id = registry.model_id(b)),
           p.name, p.version, h.items, h.clusters,
           CASE WHEN p.by_domain THEN 'domain' ELSE 'item' END, h.own, h.theirs, h.difference,
           h.error, CASE WHEN h.half IS NOT NULL THEN greatest(h.difference - h.half, -1) END,
           CASE WHEN h.half IS NOT NULL THEN least(h.difference + h.half, 1) END,
           CASE WHEN h.error > 0
                THEN store.student_tail(h.difference / h.error, (h.clusters - 1)::integer)
                WHEN h.error = 0 AND abs(h.difference) <= 1e-6 THEN 1
                WHEN h.error = 0 THEN 0.5 ^ (h.clusters - 1) END,
           CASE WHEN h.plain THEN h.only_a END, CASE WHEN h.plain THEN h.only_b END,
           CASE WHEN h.plain THEN store.sign_test(h.only_a, h.only_b) END,
           CASE WHEN h.error = 0 THEN h.unseen
                ELSE (SELECT f.errors FROM factors f WHERE f.clusters = h.clusters) * h.error END,
           p.caution
      FROM halves h JOIN pair p ON p.benchmark_id = h.benchmark_id
     ORDER BY p.name, p.version
$$;

COMMENT ON FUNCTION registry.compare_models(text, text, text, double precision) IS
    'How much better one model is than another on the items that both have outcomes on, a row for each benchmark, with the standard error of the paired differences (Miller 2024, Adding Error Bars to Evals). Items of one domain are a cluster where each item has a domain and there are five or more. Each model counts by its preferred run, as in leaderboard. Columns are those of `registry evals compare`, but for on_benchmark, as benchmark is an argument. No correction is made for several comparisons: compare_pairs and compare_with_all make it. No row where a name is unknown.
a: any name of one model
b: any name of the other
benchmark: any name of a benchmark, or name@version; null for all
level: share of intervals that hold the difference, between 0 and 1
model: present name of the first model
other: present name of the other
on_benchmark: name of the benchmark as stored
version: version of the benchmark
items: number of items that both were observed on
clusters: clusters of these items
clustered_by: domain, or item where each counts as independent
score: mean outcome of the first on them, in [0, 1]
other_score: mean outcome of the other
difference: the first minus the second
standard_error: of the difference; null for a single cluster
lower: lower end of the interval of the difference
upper: its upper end
p_value: probability of a difference as large where there is none, by Student''s t with one degree of freedom less than clusters; 0 is below what a double holds (1e-307)
only_model: items that the first alone got right; null where outcomes are graded
only_other: items that the other alone got right
mcnemar: probability of counts as unlike where both are as good, by McNemar''s exact test
detectable: least difference that one test of as many clusters, at this level and not corrected for several, would find with a probability of 0.8
caution: in what the two runs were made otherwise; null where nothing is known to differ

Example:
SELECT on_benchmark, difference, lower, upper, p_value
  FROM registry.compare_models(''mistralai/Mistral-7B-v0.1'', ''HuggingFaceH4/zephyr-7b-beta'');';
