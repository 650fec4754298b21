-- scale_text(lower, upper, higher_is_better): a scale in words.
CREATE FUNCTION store.scale_text(
    lower double precision, upper double precision, higher_is_better boolean
)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
           WHEN lower IS NULL AND upper IS NULL THEN 'without bounds'
           WHEN upper IS NULL THEN format('from %s up', lower)
           WHEN lower IS NULL THEN format('up to %s', upper)
           ELSE format('from %s to %s', lower, upper)
       END
       || CASE higher_is_better WHEN true THEN '' WHEN false THEN ', lower is better'
               ELSE ', of unknown direction' END;

COMMENT ON FUNCTION store.scale_text(double precision, double precision, boolean) IS
    'A scale in words, such as from 0 to 100.';
