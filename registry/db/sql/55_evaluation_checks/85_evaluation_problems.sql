-- evaluation_problems: what looks wrong in evaluations, one row per finding.
-- A condition on the kind leaves out the other checks, which take seconds together.
CREATE VIEW registry.evaluation_problems AS
SELECT * FROM store.conflicting_scores
UNION ALL
SELECT * FROM store.mismatched_means
UNION ALL
SELECT * FROM store.sentinel_scores
UNION ALL
SELECT * FROM store.uninformative_items
UNION ALL
SELECT * FROM store.duplicated_items
UNION ALL
SELECT * FROM store.same_outcomes
UNION ALL
SELECT * FROM store.mixed_scales;

COMMENT ON VIEW registry.evaluation_problems IS
    'What looks wrong in evaluations, one row per finding. It is what sources state, and is not corrected.

Example:
SELECT model, benchmark, detail, file, other_file FROM registry.evaluation_problems
 WHERE kind = ''conflict'' LIMIT 20;';
COMMENT ON COLUMN registry.evaluation_problems.kind IS
    'conflict (two scores of a model on a benchmark by one measure and setup differ by more than their standard errors allow), mean (a score is not the mean of its outcomes), sentinel (a score such as -1 that stands for not measured, or is outside the bounds), saturated_items (every model gets them right), constant_items (no model does), duplicated_items (a benchmark holds a question twice), same_outcomes (two models have the same outcome on every item) or mixed_scale (shares among percentages).';
COMMENT ON COLUMN registry.evaluation_problems.model IS
    'Name of the model; null where it is about items or files.';
COMMENT ON COLUMN registry.evaluation_problems.benchmark IS
    'Name of the benchmark, of conflicts its canonical name; null for same_outcomes on several.';
COMMENT ON COLUMN registry.evaluation_problems.version IS
    'Version of the benchmark.';
COMMENT ON COLUMN registry.evaluation_problems.detail IS
    'The finding, in words.';
COMMENT ON COLUMN registry.evaluation_problems.file IS
    'File that it was imported from; null for scores of the Hub.';
COMMENT ON COLUMN registry.evaluation_problems.other_model IS
    'The other model of same_outcomes.';
COMMENT ON COLUMN registry.evaluation_problems.other_file IS
    'File of the other score or model.';
COMMENT ON COLUMN registry.evaluation_problems.findings IS
    'How many pairs of scores, items, benchmarks or scores it is about.';
