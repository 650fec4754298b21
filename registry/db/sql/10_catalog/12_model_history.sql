-- model_history: the counters of a model at each sync that found one of them changed.
CREATE VIEW registry.model_history AS
SELECT m.name AS model, h.observed_at, h.downloads, h.downloads_all_time, h.likes, h.trending_score
  FROM store.model_history h JOIN store.models m USING (model_id);

COMMENT ON VIEW registry.model_history IS
    'Counters over time: one row for each sync that found one of them changed. A row holds until the next: for the value at a time take the last row up to it.

Example:
SELECT observed_at, downloads, likes
  FROM registry.model_history
 WHERE model = ''mistralai/Mistral-7B-v0.1''
 ORDER BY observed_at;';
COMMENT ON COLUMN registry.model_history.model IS 'Present name of the model.';
COMMENT ON COLUMN registry.model_history.observed_at IS 'Start of the sync that found the change (UTC), the same for all models of a sync.';
COMMENT ON COLUMN registry.model_history.downloads IS 'Downloads of the 30 days before observed_at.';
COMMENT ON COLUMN registry.model_history.downloads_all_time IS 'Downloads since creation, where the Hub states them.';
COMMENT ON COLUMN registry.model_history.likes IS 'Number of likes.';
COMMENT ON COLUMN registry.model_history.trending_score IS 'The Hub''s trending score.';
