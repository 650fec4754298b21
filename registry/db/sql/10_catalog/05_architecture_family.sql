-- store.architecture_family(model_type, architectures): the architecture without its version: qwen
-- for qwen2 and qwen2_moe, deepseek for deepseek_v3, llama for llama4_text; without a model type, that
-- of the first class. Names that would have fewer than three letters (t5, mt5) stay whole.
CREATE FUNCTION store.architecture_family(model_type text, architectures text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT nullif(lower(CASE WHEN length(short) >= 3 THEN short ELSE whole END), '')
      FROM (SELECT whole, regexp_replace(whole, '([_-]v|[_-]|V)?[0-9].*$', '') AS short
              FROM (SELECT coalesce(
                        lower(model_type),
                        regexp_replace(
                            architectures[1],
                            '(For[A-Z].*|LMHeadModel|Model|HeadModel)$', ''))) AS t (whole)) AS s;
END;

COMMENT ON FUNCTION store.architecture_family(text, text[]) IS
    'Architecture family of a model type, or else of an architecture class: the name without its version.';
