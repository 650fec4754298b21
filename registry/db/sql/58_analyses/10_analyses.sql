-- analyses: stored statistical analyses of scores, the newest first.
CREATE VIEW registry.analyses AS
SELECT analysis_id, kind, slice,
       -- A line break ends a remark in the condition.
       CASE WHEN kind <> 'preferences' THEN
            'SELECT name FROM registry.models WHERE name IN (SELECT model FROM registry.evaluated_names)'
            || coalesce(E' AND (\n' || slice || E'\n)', '')
       END AS query,
       options ->> 'grouping' AS grouping,
       (options ->> 'level')::double precision AS level, options, model_count AS models,
       row_count AS scores, tested_models, tested_scores, notes, data_fingerprint, created_at,
       code_version, libraries, seed, seconds
  FROM store.analyses
 ORDER BY analysis_id DESC;

COMMENT ON VIEW registry.analyses IS
    'Stored statistical analyses of scores, one row each, the newest first; analysis_id leads to their results in anova, tukey, correlations, projections, ability_factors, preference_ratings and others. The same slice on the same data has one row.

Example:
SELECT analysis_id, kind, slice, grouping, models, created_at
  FROM registry.analyses
 WHERE kind = ''anova'';';
COMMENT ON COLUMN registry.analyses.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.analyses.kind IS 'What it computes: anova, tukey, correlate, map, factors and others, as the commands of registry stats; preferences is that of registry evals.';
COMMENT ON COLUMN registry.analyses.slice IS
    'SQL condition on models that selects them, as it was given; null for all evaluated models.';
COMMENT ON COLUMN registry.analyses.query IS
    'SQL that lists the models of the slice as they are now; their scores are those of view canonical_leaderboard, on the benchmarks and of the source that options have. Null for preferences, whose models options name.';
COMMENT ON COLUMN registry.analyses.grouping IS
    'What models are grouped by, such as size; null where they are not.';
COMMENT ON COLUMN registry.analyses.level IS
    'Share of intervals that hold what they are of; differences are found where p is below 1 minus it.';
COMMENT ON COLUMN registry.analyses.options IS
    'All options, as JSON: benchmarks as named (null for all), complete, source (null for all), grouping, cuts in billions of weights, least, most, and those of the kind.';
COMMENT ON COLUMN registry.analyses.models IS
    'Number of models with a score in the slice, those in no group included; of preferences, those that are compared.';
COMMENT ON COLUMN registry.analyses.scores IS 'Number of their scores; of preferences, of outcomes.';
COMMENT ON COLUMN registry.analyses.tested_models IS
    'Number of those models that results are of: in groups that are compared, of known size, with all that is asked of them. Null of analyses of earlier versions.';
COMMENT ON COLUMN registry.analyses.tested_scores IS
    'Number of scores that results are of, likewise; of preferences, of outcomes.';
COMMENT ON COLUMN registry.analyses.notes IS 'What was left out, and why; of which sources and shots the scores on a benchmark are, where there are several.';
COMMENT ON COLUMN registry.analyses.data_fingerprint IS
    'Fingerprint of the names, scores or outcomes, groups and sizes that it was computed from.';
COMMENT ON COLUMN registry.analyses.created_at IS 'When it was computed (UTC).';
COMMENT ON COLUMN registry.analyses.code_version IS 'Version of the registry.';
COMMENT ON COLUMN registry.analyses.libraries IS 'Versions of the packages that computed, as JSON.';
COMMENT ON COLUMN registry.analyses.seed IS 'Seed of random numbers; null where none is drawn.';
COMMENT ON COLUMN registry.analyses.seconds IS 'Duration in seconds.';
