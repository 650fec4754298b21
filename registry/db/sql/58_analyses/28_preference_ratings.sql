-- preference_ratings: models by which of them does better on the same items, the best first.
CREATE VIEW registry.preference_ratings AS
SELECT p.analysis_id, a.options ->> 'benchmark' AS benchmark, a.options ->> 'metric' AS metric,
       a.options ->> 'filter' AS filter, p.model, p.rating, p.lower, p.upper, p.rank, p.best_rank,
       p.worst_rank, p.wins, p.ties, p.losses, p.items, p.unrated
  FROM store.preference_ratings p
  JOIN store.analyses a USING (analysis_id)
 ORDER BY analysis_id DESC, rank, model;

COMMENT ON VIEW registry.preference_ratings IS
    'Models rated by which of two does better on the same item of a benchmark (Bradley and Terry), one row per analysis and model, the best first and those without a rating last. registry evals preferences makes them.

Example:
SELECT model, rating, lower, upper, best_rank, worst_rank
  FROM registry.preference_ratings
 WHERE analysis_id = (SELECT max(analysis_id) FROM registry.analyses WHERE kind = ''preferences'');';
COMMENT ON COLUMN registry.preference_ratings.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.preference_ratings.benchmark IS
    'Name of the benchmark, as stored; with @version if one was asked for, and a comma between several.';
COMMENT ON COLUMN registry.preference_ratings.metric IS
    'What outcomes are measured by, such as acc; all models by the same.';
COMMENT ON COLUMN registry.preference_ratings.filter IS
    'Filter of the answers, or the judge; empty where there is none.';
COMMENT ON COLUMN registry.preference_ratings.model IS 'Name of the model at that time.';
COMMENT ON COLUMN registry.preference_ratings.rating IS
    'On Elo''s scale, with mean 1000 over the models that are rated: 400 points are odds of ten to one. Null where it has none.';
COMMENT ON COLUMN registry.preference_ratings.lower IS
    'Lower end of its interval over resampled items, at the level of the analysis.';
COMMENT ON COLUMN registry.preference_ratings.upper IS 'Its upper end.';
COMMENT ON COLUMN registry.preference_ratings.rank IS
    'Rank by rating, from 1; equal ratings share one.';
COMMENT ON COLUMN registry.preference_ratings.best_rank IS
    'Rank if only the models are better whose interval is wholly above.';
COMMENT ON COLUMN registry.preference_ratings.worst_rank IS
    'Rank if all are better but those whose interval is wholly below.';
COMMENT ON COLUMN registry.preference_ratings.wins IS
    'Number of comparisons with another model on an item in which it did better.';
COMMENT ON COLUMN registry.preference_ratings.ties IS 'Number of those with equal outcomes.';
COMMENT ON COLUMN registry.preference_ratings.losses IS
    'Number of those in which the other did better.';
COMMENT ON COLUMN registry.preference_ratings.items IS
    'Number of items with an outcome of it and of another model.';
COMMENT ON COLUMN registry.preference_ratings.unrated IS
    'Why it has no rating: won all, lost all, no shared item, or apart (it always won or lost against the rated models, or shares no item with them); null where it has one.';
