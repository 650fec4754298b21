-- canonical_leaderboard: the preferred score of each model on each canonical benchmark.
-- Of a canonical name's benchmarks only those count whose shown measure is the one of most models.
CREATE VIEW registry.canonical_leaderboard AS
SELECT l.model, l.canonical AS benchmark, l.version, l.score, l.kind, l.benchmark AS stated_as,
       l.prompting, l.metric, l.filter, l.raw_score, l.unit, l.standard_error, l.items,
       l.complete, l.verified, l.source, l.evaluated_at, l.run, l.revision, l.shots
  FROM (SELECT l.*, b.variant AS prompting,
               row_number() OVER (
                   PARTITION BY l.model, l.canonical, l.version
                   ORDER BY b.variant IS NOT NULL, NOT l.complete, NOT l.verified,
                            l.evaluated_at DESC NULLS LAST, l.kind, l.items DESC NULLS LAST,
                            l.run) AS place
          FROM registry.leaderboard l
          JOIN store.benchmarks b ON b.name = l.benchmark AND b.version = l.version
         WHERE b.comparable) l
 WHERE l.place = 1;

COMMENT ON VIEW registry.canonical_leaderboard IS
    'One score per model and canonical benchmark (and version), whatever name its source has for the benchmark, among those of one measure. Of several it is that of the plain prompting before variants such as chain of thought, then of a complete run, of a verified one, the newest, one with outcomes, of the most items. View leaderboard has one for each name.

Example:
SELECT model, score, stated_as, source FROM registry.canonical_leaderboard
 WHERE benchmark = ''mmlu_pro'' ORDER BY score DESC NULLS LAST LIMIT 10;';
COMMENT ON COLUMN registry.canonical_leaderboard.model IS
    'Name of the model, as it is now.';
COMMENT ON COLUMN registry.canonical_leaderboard.benchmark IS
    'Canonical name of the benchmark.';
COMMENT ON COLUMN registry.canonical_leaderboard.version IS
    'Version of the benchmark; empty where no source states one.';
COMMENT ON COLUMN registry.canonical_leaderboard.score IS
    'Share in [0, 1], higher being better; null where the metric has no bounds.';
COMMENT ON COLUMN registry.canonical_leaderboard.kind IS
    'measured where the outcomes are known, else reported.';
COMMENT ON COLUMN registry.canonical_leaderboard.stated_as IS
    'Name of the benchmark in the source of the score.';
COMMENT ON COLUMN registry.canonical_leaderboard.prompting IS
    'Way of prompting that this name stands for, such as cot; null for the plain one.';
COMMENT ON COLUMN registry.canonical_leaderboard.metric IS
    'Metric, such as acc.';
COMMENT ON COLUMN registry.canonical_leaderboard.filter IS
    'How answers were extracted from replies; empty for none.';
COMMENT ON COLUMN registry.canonical_leaderboard.raw_score IS
    'Score as the source states it, or from the outcomes.';
COMMENT ON COLUMN registry.canonical_leaderboard.unit IS
    'Unit of the raw score; null for a share.';
COMMENT ON COLUMN registry.canonical_leaderboard.standard_error IS
    'Standard error of score, where known.';
COMMENT ON COLUMN registry.canonical_leaderboard.items IS
    'Number of items of the score, where known.';
COMMENT ON COLUMN registry.canonical_leaderboard.complete IS
    'False for a run limited to some of the items.';
COMMENT ON COLUMN registry.canonical_leaderboard.verified IS
    'Whether the source has verified it.';
COMMENT ON COLUMN registry.canonical_leaderboard.source IS
    'Who states it.';
COMMENT ON COLUMN registry.canonical_leaderboard.evaluated_at IS
    'Time of the evaluation in UTC, where known.';
COMMENT ON COLUMN registry.canonical_leaderboard.run IS
    'Key of the run, as in runs.';
COMMENT ON COLUMN registry.canonical_leaderboard.revision IS
    'Commit, branch or checkpoint of the model, where known.';
COMMENT ON COLUMN registry.canonical_leaderboard.shots IS
    'Number of examples in the prompt; null where unknown.';
