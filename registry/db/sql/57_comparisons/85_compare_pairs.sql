-- compare_pairs(models, on_benchmark, level): each pair of several models compared, as by `registry evals
-- compare`.
CREATE FUNCTION registry.compare_pairs(
    models text[], on_benchmark text DEFAULT NULL, level double precision DEFAULT 0.95)
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
    WITH named AS (
        SELECT min(u.place) AS place, registry.model_id(u.name) AS model_id
          FROM unnest(models) WITH ORDINALITY AS u (name, place)
         GROUP BY registry.model_id(u.name)
    ), pairs AS (
        SELECT array_agg(x.name ORDER BY a.place, b.place) AS firsts,
               array_agg(y.name ORDER BY a.place, b.place) AS seconds
          FROM named a
          JOIN named b ON a.place < b.place
          JOIN store.models x ON x.model_id = a.model_id
          JOIN store.models y ON y.model_id = b.model_id
    )
    SELECT j.*
      FROM pairs p
     CROSS JOIN LATERAL store.judged_comparisons(
         p.firsts, p.seconds, compare_pairs.on_benchmark, compare_pairs.level) j
$$;

COMMENT ON FUNCTION registry.compare_pairs(text[], text, double precision) IS
    'Which of several models is better, on the items that both of a pair have outcomes on: a row for each pair and benchmark, as `registry evals compare` has, with p-values corrected for the number of rows and the verdict. No row where a name is unknown; two names of one model count once.
models: any names of two models or more
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
SELECT benchmark, model, other, difference, holm, verdict
  FROM registry.compare_pairs(ARRAY[''mistralai/Mistral-7B-v0.1'', ''HuggingFaceH4/zephyr-7b-beta'']);';
