-- model_id(name): key of the model that a name resolves to; null if none, or if it is ambiguous.
-- Order: present name; alias; then both in any case.
CREATE FUNCTION registry.model_id(name text) RETURNS bigint
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce(
        (SELECT m.model_id FROM store.models m WHERE m.name = model_id.name),
        (SELECT min(a.model_id) FROM store.model_aliases a WHERE a.alias = model_id.name
         HAVING count(DISTINCT a.model_id) = 1),
        (SELECT min(m.model_id) FROM store.models m WHERE lower(m.name) = lower(model_id.name)
         HAVING count(*) = 1),
        (SELECT min(a.model_id) FROM store.model_aliases a
          WHERE lower(a.alias) = lower(model_id.name)
         HAVING count(DISTINCT a.model_id) = 1));
END;

COMMENT ON FUNCTION registry.model_id(text) IS
    'Key of the model that a name resolves to: as its present name, else as an alias, else as either in another case. Null without a model, and for a name of several. Keys serve to compare names; they differ between databases.
name: any name of the model

Example:
SELECT registry.model_id(''MISTRALAI/mistral-7b-v0.1'')
     = registry.model_id(''mistralai/Mistral-7B-v0.1'') AS same;';
