-- evaluated_names: the spellings of models in evaluations, and the model that each resolves to.
CREATE VIEW registry.evaluated_names AS
SELECT n.name AS spelling, m.name AS model, n.method, n.confidence,
       (SELECT count(*) FROM store.runs r WHERE r.name_id = n.name_id) AS runs
  FROM store.evaluated_names n
  JOIN store.models m ON m.model_id = n.model_id;

COMMENT ON VIEW registry.evaluated_names IS
    'Spellings of models in evaluations, and the model that each resolves to.

Example:
SELECT spelling, runs FROM registry.evaluated_names
 WHERE method = ''unresolved'' ORDER BY runs DESC;';
COMMENT ON COLUMN registry.evaluated_names.spelling IS
    'Name of a model in a source.';
COMMENT ON COLUMN registry.evaluated_names.model IS
    'Name of the model; that of a stub, the spelling itself, where it is unresolved.';
COMMENT ON COLUMN registry.evaluated_names.method IS
    'exact (a present name), alias, case (either in another case), harness (a spelling such as org__name), tail (the only model of that name under any author), user (by a person) or unresolved.';
COMMENT ON COLUMN registry.evaluated_names.confidence IS
    'Confidence of the resolution, in [0, 1]; 0 where it is unresolved.';
COMMENT ON COLUMN registry.evaluated_names.runs IS
    'Number of runs under this spelling.';
