-- license_class(license): what a licence asks of who uses a model. Of several, separated by semicolons,
-- all are taken to hold: the class is that of the one that asks most.
CREATE FUNCTION registry.license_class(license text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN coalesce(strpos(license, ';'), 0) = 0 THEN store.single_license_class(license)
           ELSE (SELECT c.class
                   FROM unnest(string_to_array(license, ';')) AS l (one),
                        store.single_license_class(l.one) AS c (class)
                  ORDER BY array_position(ARRAY['non-commercial', 'unknown', 'custom', 'copyleft',
                                                'weak copyleft', 'permissive'], c.class)
                  LIMIT 1)
           END;
END;

COMMENT ON FUNCTION registry.license_class(text) IS
    'What a licence asks of who uses a model: permissive (no more than a notice), weak copyleft (changes of the work itself stay under it), copyleft (works made from it too), non-commercial (or for research only), custom (terms of its own, mostly on how the model may be used: Llama, Gemma, OpenRAIL, no derivatives, other), unknown (none stated, or not in the list). It is no legal advice.
license: identifier of the Hub or SPDX, in any case; of several separated by semicolons, the class is that of the one that asks most

Example:
SELECT registry.license_class(''apache-2.0'') AS apache, registry.license_class(''llama3.1'') AS llama;';
