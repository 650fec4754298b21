-- answers: answers of models, one row per run and item, where sources state them.
CREATE VIEW registry.answers AS
SELECT m.name AS model, b.name AS benchmark, i.item,
       f.texts[nullif(
           CASE CASE WHEN i.ordinal < length(f.right_bits)
                     THEN length(f.codes) / length(f.right_bits) END
               WHEN 1 THEN get_byte(f.codes, i.ordinal)
               WHEN 2 THEN get_byte(f.codes, 2 * i.ordinal) * 256
                           + get_byte(f.codes, 2 * i.ordinal + 1)
               WHEN 4 THEN get_byte(f.codes, 4 * i.ordinal) * 16777216
                           + get_byte(f.codes, 4 * i.ordinal + 1) * 65536
                           + get_byte(f.codes, 4 * i.ordinal + 2) * 256
                           + get_byte(f.codes, 4 * i.ordinal + 3)
           END, 0)] AS answer,
       store.bit_at(f.right_bits, i.ordinal) = 1 AS is_right,
       f.input_tokens[i.ordinal + 1] AS input_tokens,
       f.output_tokens[i.ordinal + 1] AS output_tokens,
       f.latencies[i.ordinal + 1] AS latency_ms,
       a.run_id AS run, b.version
  FROM store.answers a
  JOIN store.runs r USING (model_id, run_id)
  CROSS JOIN LATERAL (
      SELECT r.right_bits || B'' AS right_bits, r.present_bits || B'' AS present_bits,
             a.codes || ''::bytea AS codes, a.texts || '{}'::text[] AS texts,
             a.input_tokens || '{}'::integer[] AS input_tokens,
             a.output_tokens || '{}'::integer[] AS output_tokens,
             a.latencies || '{}'::real[] AS latencies
      OFFSET 0) f
  JOIN store.models m ON m.model_id = a.model_id
  JOIN store.benchmarks b ON b.benchmark_id = a.benchmark_id
  JOIN store.items i ON i.benchmark_id = a.benchmark_id
                    AND i.ordinal + 0 < length(f.right_bits)  -- + 0: not a condition for an index
 WHERE f.present_bits IS NULL OR store.bit_at(f.present_bits, i.ordinal) = 1;

COMMENT ON VIEW registry.answers IS
    'Answers of models with their tokens and latencies: one row per run and item, where sources state them.

Example:
SELECT answer, count(*) FROM registry.answers
 WHERE benchmark = ''mmlu_pro'' AND item = ''70'' GROUP BY answer ORDER BY count DESC;';
COMMENT ON COLUMN registry.answers.model IS
    'Name of the model, as it is now.';
COMMENT ON COLUMN registry.answers.benchmark IS
    'Name of the benchmark.';
COMMENT ON COLUMN registry.answers.item IS
    'Name of the item in the benchmark.';
COMMENT ON COLUMN registry.answers.answer IS
    'Answer of the model; null where none could be extracted.';
COMMENT ON COLUMN registry.answers.is_right IS
    'Whether the outcome is at least 0.5.';
COMMENT ON COLUMN registry.answers.input_tokens IS
    'Number of tokens of the prompt, where stated.';
COMMENT ON COLUMN registry.answers.output_tokens IS
    'Number of tokens of the reply, where stated.';
COMMENT ON COLUMN registry.answers.latency_ms IS
    'Latency in milliseconds, where stated.';
COMMENT ON COLUMN registry.answers.run IS
    'Key of the run, as in runs.';
COMMENT ON COLUMN registry.answers.version IS
    'Version of the benchmark.';
