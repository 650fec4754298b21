-- single_license_class(license): what a licence asks of who uses a model, by the Hub's identifier, its
-- SPDX spelling, or a licence's usual name where the Hub has none; unknown for anything else.
CREATE FUNCTION store.single_license_class(license text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE
        WHEN id IN (
            'apache-2.0', 'mit', 'mit-0', '0bsd', 'afl-3.0', 'artistic-2.0', 'bsl-1.0', 'bsd',
            'bsd-2-clause', 'bsd-3-clause', 'bsd-3-clause-clear', 'cc0-1.0', 'cc-by-2.0', 'cc-by-2.5',
            'cc-by-3.0', 'cc-by-4.0', 'cdla-permissive-1.0', 'cdla-permissive-2.0', 'wtfpl', 'ecl-2.0',
            'etalab-2.0', 'isc', 'ms-pl', 'apple-ascl', 'odc-by', 'openmdw-1.0', 'postgresql',
            'ofl-1.1', 'ncsa', 'unlicense', 'zlib', 'pddl')
            THEN 'permissive'
        WHEN id IN (
            'epl-1.0', 'epl-2.0', 'eupl-1.1', 'eupl-1.2', 'lgpl', 'lgpl-2.1', 'lgpl-3.0', 'lgpl-lr',
            'lppl-1.3c', 'mpl-2.0')
            THEN 'weak copyleft'
        WHEN id IN (
            'agpl-3.0', 'gfdl', 'gpl', 'gpl-2.0', 'gpl-3.0', 'osl-3.0', 'cc-by-sa-2.0', 'cc-by-sa-3.0',
            'cc-by-sa-4.0', 'cdla-sharing-1.0', 'odbl')
            THEN 'copyleft'
        WHEN id ~ '^cc-by-nc(-|$)'
          OR id ~ '(^|-)(non-?commercial|research)(-|$)'
          OR id IN ('apple-amlr', 'deepfloyd-if-license', 'mnpl', 'mrl', 'msrla', 'exaone')
            THEN 'non-commercial'
        WHEN id ~ '^(llama|gemma)-?[0-9.]*(-|$)' OR id ~ 'openrail|(^|-)rail(-|$)'
          OR id ~ '^cc-by-nd(-|$)' OR id ~ '(^|-)community(-|$)'
          OR id ~ '^(deepseek|falcon|glm|nvidia|qwen|tongyi-qianwen|yi)(-|$)'
          OR id IN ('c-uda', 'other', 'modified-mit')
            THEN 'custom'
        ELSE 'unknown' END
      FROM (SELECT regexp_replace(
                       regexp_replace(lower(btrim(license)), '[ _]+', '-', 'g'),
                       '(-only|-or-later)$', '')) AS l (id);
END;

COMMENT ON FUNCTION store.single_license_class(text) IS
    'What one licence asks of who uses a model, as in license_class.';
