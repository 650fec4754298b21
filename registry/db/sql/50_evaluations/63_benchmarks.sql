-- benchmarks: one row per version of a benchmark, with the measure that leaderboards show.
CREATE VIEW registry.benchmarks AS
SELECT b.name AS benchmark, b.version, m.metric, m.filter, b.item_count AS items, b.domain,
       m.unit, m.lower AS lowest, m.upper AS highest, m.higher_is_better, m.random_baseline,
       b.description, b.url,
       (SELECT count(*) FROM store.runs r WHERE r.benchmark_id = b.benchmark_id) AS runs,
       coalesce(b.canonical, b.name) AS canonical, b.variant AS prompting,
       (SELECT count(*) FROM store.items i
         WHERE i.benchmark_id = b.benchmark_id
           AND EXISTS (SELECT FROM store.encoders e
                         JOIN store.text_vectors v ON v.encoder_id = e.encoder_id
                                                  AND v.content_hash = i.content_hash
                        WHERE v.cut)) AS cut_items
  FROM store.benchmarks b
  LEFT JOIN store.measures m ON m.measure_id = b.measure_id;

COMMENT ON VIEW registry.benchmarks IS
    'One row per version of a benchmark, with the measure that leaderboards show.

Example:
SELECT benchmark, version, metric, items, runs FROM registry.benchmarks ORDER BY runs DESC;';
COMMENT ON COLUMN registry.benchmarks.benchmark IS
    'Name of the benchmark in its source.';
COMMENT ON COLUMN registry.benchmarks.version IS
    'Version of the benchmark; empty where no source states one.';
COMMENT ON COLUMN registry.benchmarks.metric IS
    'Metric, such as acc or exact_match: of the measure with bounds that most models have.';
COMMENT ON COLUMN registry.benchmarks.filter IS
    'How answers were extracted from replies, such as strict-match, or who judged them; empty for none.';
COMMENT ON COLUMN registry.benchmarks.items IS
    'Number of known items; 0 where only scores are known.';
COMMENT ON COLUMN registry.benchmarks.domain IS
    'Subject, where the source states it.';
COMMENT ON COLUMN registry.benchmarks.unit IS
    'Unit of raw scores, such as %; null for a share.';
COMMENT ON COLUMN registry.benchmarks.lowest IS
    'Least raw score; null without a bound.';
COMMENT ON COLUMN registry.benchmarks.highest IS
    'Greatest raw score; null without a bound.';
COMMENT ON COLUMN registry.benchmarks.higher_is_better IS
    'False for perplexities and errors; null where it is not known.';
COMMENT ON COLUMN registry.benchmarks.random_baseline IS
    'Raw score of random answers, where known.';
COMMENT ON COLUMN registry.benchmarks.description IS
    'Description by its source.';
COMMENT ON COLUMN registry.benchmarks.url IS
    'Address of its source.';
COMMENT ON COLUMN registry.benchmarks.runs IS
    'Number of runs on it, by any measure.';
COMMENT ON COLUMN registry.benchmarks.canonical IS
    'Canonical name of the benchmark: equal for all names of the same items; subsets, versions and translations have their own.';
COMMENT ON COLUMN registry.benchmarks.prompting IS
    'Way of prompting that the name stands for, such as cot; null for the plain one.';
COMMENT ON COLUMN registry.benchmarks.cut_items IS
    'Number of items whose text is longer than an encoder reads: its vector is of the end of the text.';
