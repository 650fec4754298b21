-- model_id(name): key of the model that a name resolves to; null if none, or if it is ambiguous.
-- Order: present name; alias; then both in any case; then the same without a slash at the end, or of
-- the model in a folder of the Hub's local cache.
CREATE FUNCTION registry.model_id(name text) RETURNS bigint
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce(store.named_model(model_id.name), store.named_model(store.plain_name(model_id.name)));
END;

COMMENT ON FUNCTION registry.model_id(text) IS
    'Key of the model that a name resolves to: as its present name, else as an alias, else as either in another case. Null without a model, and for a name of several. Keys serve to compare names; they differ between databases.
name: any name of the model

Example:
SELECT registry.model_id(''MISTRALAI/mistral-7b-v0.1'')
     = registry.model_id(''mistralai/Mistral-7B-v0.1'') AS same;';
