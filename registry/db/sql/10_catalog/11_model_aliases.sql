-- model_aliases: every name of a model, the present one included.
CREATE VIEW registry.model_aliases AS
SELECT m.name AS model, m.name AS alias, 'name'::text AS source, 1::real AS confidence,
       NULL::timestamptz AS valid_from, NULL::timestamptz AS valid_to
  FROM store.models m
UNION ALL
SELECT m.name, a.alias, a.source, a.confidence, a.valid_from, a.valid_to
  FROM store.model_aliases a JOIN store.models m USING (model_id)
 WHERE a.alias <> m.name;  -- a former name that is the present one again

COMMENT ON VIEW registry.model_aliases IS 'Every name of a model: its present one and all others known.

Example:
SELECT alias, source, valid_to
  FROM registry.model_aliases
 WHERE model = ''mistralai/Mistral-7B-v0.1'';';
COMMENT ON COLUMN registry.model_aliases.model IS 'Present name of the model.';
COMMENT ON COLUMN registry.model_aliases.alias IS 'One of its names; an alias of several models resolves to none.';
COMMENT ON COLUMN registry.model_aliases.source IS
    'How that is known: name (the present one), rename (a former one), case (another spelling), card (a child''s card uses it), evaluation (a source of evaluations states it) or user.';
COMMENT ON COLUMN registry.model_aliases.confidence IS 'Confidence that the alias is right, in (0, 1].';
COMMENT ON COLUMN registry.model_aliases.valid_from IS 'When the name came into use (UTC), where known.';
COMMENT ON COLUMN registry.model_aliases.valid_to IS 'Until when it was the present name (UTC); null for other names.';
