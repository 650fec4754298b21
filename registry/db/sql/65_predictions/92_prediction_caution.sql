-- prediction_caution(...): why a predicted score is weak; null where nothing speaks against it.
CREATE FUNCTION store.prediction_caution(
    reliable boolean, benchmark_scores integer, evidence text, support real
)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN nullif(concat_ws('; ',
    CASE WHEN NOT reliable
         THEN 'intervals of this version held too few or too many of the held-out scores' END,
    CASE WHEN benchmark_scores < 10
         THEN format('the benchmark has %s scores only', benchmark_scores) END,
    CASE WHEN evidence = 'catalog' AND support < 0.1
         THEN 'hardly anything that predicts scores is known of the model' END), '');

COMMENT ON FUNCTION store.prediction_caution(boolean, integer, text, real) IS
    'Why a predicted score is weak; null where nothing speaks against it.';
