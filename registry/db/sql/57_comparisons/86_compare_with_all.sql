-- compare_with_all(name, on_benchmark, level): a model compared with all others, as by `registry evals
-- compare --all`.
CREATE FUNCTION registry.compare_with_all(
    name text, on_benchmark text DEFAULT NULL, level double precision DEFAULT 0.95)
RETURNS TABLE (
    model text, other text, benchmark text, version text, items bigint, clusters bigint,
    clustered_by text, score double precision, other_score double precision,
    difference double precision, standard_error double precision, lower double precision,
    upper double precision, p_value double precision, holm double precision,
    benjamini_hochberg double precision, only_model bigint, only_other bigint,
    mcnemar double precision, detectable double precision, verdict text, caution text
)
LANGUAGE sql STABLE
AS $$
    WITH own AS MATERIALIZED (
        SELECT DISTINCT r.model_id, r.benchmark_id
          FROM store.runs r
         WHERE r.model_id = registry.model_id(compare_with_all.name) AND r.right_bits IS NOT NULL
           AND (compare_with_all.on_benchmark IS NULL
                OR r.benchmark_id IN (SELECT store.benchmark_ids(compare_with_all.on_benchmark)))
    ), pairs AS (
        SELECT array_agg(x.name ORDER BY y.name COLLATE "C") AS firsts,
               array_agg(y.name ORDER BY y.name COLLATE "C") AS seconds
          FROM (SELECT DISTINCT o.model_id, r.model_id AS another
                  FROM own o
                  JOIN store.runs r ON r.benchmark_id = o.benchmark_id
                                   AND r.right_bits IS NOT NULL AND r.model_id <> o.model_id) u
          JOIN store.models x ON x.model_id = u.model_id
          JOIN store.models y ON y.model_id = u.another
    )
    SELECT j.*
      FROM pairs p
     CROSS JOIN LATERAL store.judged_comparisons(
         p.firsts, p.seconds, compare_with_all.on_benchmark, compare_with_all.level) j
$$;

COMMENT ON FUNCTION registry.compare_with_all(text, text, double precision) IS
    'Which models are better or worse than one, on the items that both have outcomes on: a row for each other model and benchmark, as `registry evals compare --all` has, with p-values corrected for the number of rows and the verdict. Name a benchmark where models are many: each pair is computed by itself. No row where a name is unknown.
name: any name of the model
on_benchmark: any name of a benchmark, or name@version; null for all
level: share of intervals that hold the difference, between 0 and 1
model: present name of the first model
other: present name of the other
benchmark: name of the benchmark as stored
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
p_value: as in compare_models
holm: p_value corrected for the number of rows, so that any false finding is rare
benjamini_hochberg: p_value corrected so that few of the findings are false
only_model: items that the first alone got right; null where outcomes are graded
only_other: items that the other alone got right
mcnemar: as in compare_models
detectable: least difference that one test of as many clusters, not corrected, would find with a probability of 0.8
verdict: better, worse or tie, by holm at 1 minus the level; unknown where there is no test
caution: in what the two runs were made otherwise; null where nothing is known to differ

Example:
SELECT other, difference, lower, upper, holm, verdict
  FROM registry.compare_with_all(''mistralai/Mistral-7B-v0.1'', ''gsm8k'')
 WHERE verdict <> ''tie'';';
