-- family(model): all members of the model's family, root first, then by generation and name.
CREATE FUNCTION registry.family(model text)
RETURNS TABLE (
    member text, generation integer, parent text, state text, license text, parameters bigint,
    downloads bigint
)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT m.name, f.generation::integer, p.name, m.state, m.license, m.parameters, c.downloads
      FROM store.model_families f
      JOIN store.models m ON m.model_id = f.model_id
      LEFT JOIN store.models p ON p.model_id = f.primary_parent_id
      LEFT JOIN store.counters c ON c.model_id = f.model_id
     WHERE f.family_id = (SELECT own.family_id FROM store.model_families own
                           WHERE own.model_id = registry.model_id(model))
     ORDER BY f.generation, m.name;
END;

COMMENT ON FUNCTION registry.family(text) IS
    'All members of a model''s family, the model itself included, by generation and name; the root first.
model: any name of any member
member: name of the member
generation: steps from the root along first parents; 0 for the root
parent: first parent: the one through which it belongs to the family
state: state of the member, as in models
license: licence of the member
parameters: number of weights
downloads: downloads of the last 30 days

Example:
SELECT member, generation, parent
  FROM registry.family(''HuggingFaceH4/zephyr-7b-beta'')
 WHERE generation <= 1;';
