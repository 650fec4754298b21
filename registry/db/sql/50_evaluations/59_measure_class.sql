-- measure_class(metric, filter, unit, bounded, benchmark): measures of one class on the same items may
-- be compared. Metrics and filters that only spell the same thing otherwise are one. A score without
-- bounds is compared with those of its unit alone. The name of a benchmark as stored may say what its
-- accuracy is: that of truthfulqa_mc2 is what others call mc2 of TruthfulQA.
CREATE FUNCTION store.measure_class(
    metric text, filter text, unit text, bounded boolean, benchmark text
)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN translate(lower(benchmark), '-_ ', '') ~ 'truthfulqa\W*mc2'
                 AND metric IN ('acc', 'accuracy') THEN 'mc2'
       ELSE CASE translate(lower(metric), '-_ ', '')
           WHEN 'truthfulqamc1' THEN 'mc1'
           WHEN 'truthfulqamc2' THEN 'mc2'
           -- The share of items that are right, by whatever name.
           WHEN 'accuracy' THEN 'acc'
           WHEN 'exactmatch' THEN 'acc'
           WHEN 'em' THEN 'acc'
           WHEN 'exact' THEN 'acc'
           WHEN 'accuracynorm' THEN 'accnorm'
           WHEN 'normalizedaccuracy' THEN 'accnorm'
           WHEN 'pass@1' THEN 'passat1'
           WHEN 'pass1' THEN 'passat1'
           ELSE translate(lower(metric), '-_ ', '')
       END END
       || CASE
              -- How answers are usually extracted, which lm-eval names only where it must.
              WHEN filter IN ('', 'none', 'strict-match', 'strict_match', 'custom-extract',
                              'get-answer', 'get_response', 'remove_whitespace', 'create_test',
                              'extract_code') THEN ''
              ELSE ',' || lower(filter)
          END
       || CASE WHEN bounded THEN '' ELSE ' in ' || coalesce(unit, 'raw') END;

COMMENT ON FUNCTION store.measure_class(text, text, text, boolean, text) IS
    'Class of a measure: scores of one class on the same items may be compared.';
