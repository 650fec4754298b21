-- outcomes: one row per run and item, unpacked. The bits of a run are decompressed once a run
-- (OFFSET 0 ensures it), however many items are selected.
CREATE VIEW registry.outcomes AS
SELECT m.name AS model, b.name AS benchmark, i.item,
       CASE WHEN f.grades IS NULL THEN store.bit_at(f.right_bits, i.ordinal)::real
            ELSE f.grades[i.ordinal + 1] END AS outcome,
       r.run_id AS run, b.version, i.domain
  FROM store.runs r
  CROSS JOIN LATERAL (
      SELECT r.right_bits || B'' AS right_bits, r.present_bits || B'' AS present_bits,
             CASE WHEN r.grades IS NOT NULL THEN r.grades || '{}'::real[] END AS grades
      OFFSET 0) f
  JOIN store.models m ON m.model_id = r.model_id
  JOIN store.benchmarks b ON b.benchmark_id = r.benchmark_id
  JOIN store.items i ON i.benchmark_id = r.benchmark_id
                    AND i.ordinal + 0 < length(f.right_bits)  -- + 0: not a condition for an index
 WHERE f.present_bits IS NULL OR store.bit_at(f.present_bits, i.ordinal) = 1;

COMMENT ON VIEW registry.outcomes IS
    'One row per run and observed item. Filter by model, benchmark or item: without a filter it can be billions of rows. A model has several rows for an item where it has several runs.

Example:
SELECT item, outcome FROM registry.outcomes
 WHERE model = ''mistralai/Mistral-7B-v0.1'' AND benchmark = ''gsm8k'';';
COMMENT ON COLUMN registry.outcomes.model IS
    'Name of the model, as it is now.';
COMMENT ON COLUMN registry.outcomes.benchmark IS
    'Name of the benchmark.';
COMMENT ON COLUMN registry.outcomes.item IS
    'Name of the item in the benchmark.';
COMMENT ON COLUMN registry.outcomes.outcome IS
    'In [0, 1]: 1 is right, 0 wrong, graded answers are between.';
COMMENT ON COLUMN registry.outcomes.run IS
    'Key of the run, as in runs.';
COMMENT ON COLUMN registry.outcomes.version IS
    'Version of the benchmark.';
COMMENT ON COLUMN registry.outcomes.domain IS
    'Subject of the item, where the source states it.';
