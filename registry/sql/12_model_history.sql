-- model_history: the counters of a model at each moment at which one of them had changed.
CREATE VIEW registry.model_history AS
SELECT m.name AS model, h.observed_at, h.downloads, h.downloads_all_time, h.likes, h.trending_score
  FROM store.model_history h JOIN store.models m USING (model_id);

COMMENT ON VIEW registry.model_history IS
    'Counters over time: a row each time that a sync found one of them changed; between two rows the earlier holds.';
COMMENT ON COLUMN registry.model_history.model IS 'Name of the model.';
COMMENT ON COLUMN registry.model_history.observed_at IS 'When the sync looked (UTC).';
COMMENT ON COLUMN registry.model_history.downloads IS 'Downloads of the 30 days before.';
COMMENT ON COLUMN registry.model_history.downloads_all_time IS 'Downloads since creation.';
COMMENT ON COLUMN registry.model_history.likes IS 'Likes.';
COMMENT ON COLUMN registry.model_history.trending_score IS 'The Hub''s trending score.';
