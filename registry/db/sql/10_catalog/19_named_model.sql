-- named_model(name): key of the model of a name: its present name, an alias, or either in another case;
-- null if none, or if it is ambiguous.
CREATE FUNCTION store.named_model(name text) RETURNS bigint
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce(
        (SELECT m.model_id FROM store.models m WHERE m.name = named_model.name),
        (SELECT min(a.model_id) FROM store.model_aliases a WHERE a.alias = named_model.name
         HAVING count(DISTINCT a.model_id) = 1),
        (SELECT min(m.model_id) FROM store.models m WHERE lower(m.name) = lower(named_model.name)
         HAVING count(*) = 1),
        (SELECT min(a.model_id) FROM store.model_aliases a
          WHERE lower(a.alias) = lower(named_model.name)
         HAVING count(DISTINCT a.model_id) = 1));
END;

COMMENT ON FUNCTION store.named_model(text) IS
    'Key of the model whose present name or alias this is, in any case if it is in none; null if ambiguous.';
