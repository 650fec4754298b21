-- items: one row per question of a benchmark.
CREATE VIEW registry.items AS
SELECT b.name AS benchmark, b.version, i.item, i.ordinal, i.domain, i.prompt, i.choices, i.answer,
       i.content_hash
  FROM store.items i
  JOIN store.benchmarks b USING (benchmark_id);

COMMENT ON VIEW registry.items IS
    'One row per question of a benchmark.

Example:
SELECT domain, count(*) FROM registry.items GROUP BY domain ORDER BY count DESC;';
COMMENT ON COLUMN registry.items.benchmark IS
    'Name of the benchmark.';
COMMENT ON COLUMN registry.items.version IS
    'Version of the benchmark.';
COMMENT ON COLUMN registry.items.item IS
    'Name of the item in its source; unique in the version of the benchmark.';
COMMENT ON COLUMN registry.items.ordinal IS
    'Place of the item in the benchmark, from 0; it never changes.';
COMMENT ON COLUMN registry.items.domain IS
    'Subject, where the source states it.';
COMMENT ON COLUMN registry.items.prompt IS
    'Text of the question, where the source states it.';
COMMENT ON COLUMN registry.items.choices IS
    'Possible answers; empty where not known.';
COMMENT ON COLUMN registry.items.answer IS
    'The right answer, where the source states it.';
COMMENT ON COLUMN registry.items.content_hash IS
    'Digest of prompt and choices: equal for the same question in two benchmarks.';
