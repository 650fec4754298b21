-- model_facts: facts that sources of evaluations state of models, one row per model, source and fact.
CREATE VIEW registry.model_facts AS
SELECT m.name AS model, f.fact, f.value, s.name AS source, i.path AS file
  FROM store.model_facts f
  JOIN store.models m USING (model_id)
  JOIN store.sources s USING (source_id)
  LEFT JOIN store.imports i USING (import_id);

COMMENT ON VIEW registry.model_facts IS
    'What leaderboards and other tables of evaluations state of models besides scores, one row per model, source and fact. models.parameters and models.license take them where the Hub says nothing.

Example:
SELECT fact, value, source
  FROM registry.model_facts
 WHERE model = ''mistralai/Mistral-7B-v0.1'';';
COMMENT ON COLUMN registry.model_facts.model IS 'Name of the model.';
COMMENT ON COLUMN registry.model_facts.fact IS
    'Name of the fact: parameters, license, base_model, architecture, type, precision, moe, merged, flagged and others, as the mapping of the table names them.';
COMMENT ON COLUMN registry.model_facts.value IS 'Its value: a number of weights for parameters, in lower case for license; several that one source states are separated by semicolons.';
COMMENT ON COLUMN registry.model_facts.source IS 'Who states it.';
COMMENT ON COLUMN registry.model_facts.file IS 'File that it was last imported from.';
