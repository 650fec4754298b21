-- quarantine: records that could not be read, until a readable one replaces them.
CREATE VIEW registry.quarantine AS
SELECT source, key, reason, seen_at, payload FROM store.quarantine;

COMMENT ON VIEW registry.quarantine IS 'Records that could not be read, with the reason; a row disappears when a readable record replaces it.

Example:
SELECT source, reason, count(*)
  FROM registry.quarantine
 GROUP BY source, reason
 ORDER BY count DESC;';
COMMENT ON COLUMN registry.quarantine.source IS 'Where the record came from, such as hub.';
COMMENT ON COLUMN registry.quarantine.key IS 'Key of the record there; for the Hub the model''s name, or a digest.';
COMMENT ON COLUMN registry.quarantine.reason IS 'Why it could not be read.';
COMMENT ON COLUMN registry.quarantine.seen_at IS 'When it was first found unreadable (UTC).';
COMMENT ON COLUMN registry.quarantine.payload IS 'Beginning of the record, at most 10,000 characters; those of the Hub as JSON.';
