-- board_benchmarks(benchmarks, filters): the columns of a board of the same arguments.
CREATE FUNCTION registry.board_benchmarks(
    benchmarks text[] DEFAULT NULL, query text DEFAULT NULL, by_family text DEFAULT NULL,
    licenses text[] DEFAULT NULL, license_classes text[] DEFAULT NULL,
    min_parameters bigint DEFAULT NULL, max_parameters bigint DEFAULT NULL,
    models text[] DEFAULT NULL, by_metric text DEFAULT NULL, by_filter text DEFAULT NULL,
    by_source text DEFAULT NULL, by_variant text DEFAULT NULL
)
RETURNS TABLE (
    benchmark text, version text, metric text, filter text, unit text, is_share boolean,
    higher_is_better boolean, chosen boolean, names text[], apart text[]
)
LANGUAGE sql STABLE
ROWS 10
AS $$
    SELECT c.title, c.version, c.metric, c.filter, c.unit, c.is_share, c.higher_is_better, c.chosen,
           c.stored, c.apart
      FROM store.board_columns(
               nullif(benchmarks, '{}'),
               store.board_models(query, by_family, licenses, license_classes, min_parameters,
                                  max_parameters, models),
               by_metric, by_filter,
               num_nonnulls(by_metric, by_filter, by_source, by_variant) > 0,
               store.board_sources(by_source), store.board_setups(by_variant)) c
     ORDER BY c.chosen DESC, c.place, c.title, c.version
$$;

COMMENT ON FUNCTION registry.board_benchmarks IS
    'The benchmarks of a board of the same arguments, in its order, then those of most models that too few of the others'' models have.
benchmarks: names, each with all its versions, or name@version; null is up to six of the benchmarks with most models, as long as half of the models on the first have them all
query: only models that a search for these words finds
by_family: only models of the family of this model, by any of its names
licenses: only models of one of these licences, by their identifiers in any case
license_classes: only models whose licence is of one of these classes, as in models
min_parameters: only models with at least this number of weights, known for the model itself, not from its parent or siblings (see parameters_source of models)
max_parameters: only models with at most this number of weights, known likewise
models: only these models, by any of their names
by_metric: only scores by this metric, instead of those that leaderboards show
by_filter: only scores by this filter of answers, such as strict-match
by_source: only scores that this source states
by_variant: only scores of this variant, such as best-of-16; plain is of models alone
benchmark: canonical name, or that of its source
version: version of the benchmark; empty where no source states one
metric: metric of its scores
filter: how answers were extracted from replies; empty for none
unit: unit of raw scores, where they are no shares
is_share: whether its scores are shares; else they are raw, and in no average
higher_is_better: whether a higher raw score is better; null where it is not known
chosen: whether it is a column of the board
names: names under which its scores are stored
apart: names of the same benchmark whose scores are by another measure, with their metrics

Example:
SELECT benchmark, metric, filter FROM registry.board_benchmarks(by_source => ''metabench'') WHERE chosen;';
