-- job_runs: what ran when, and how it ended.
CREATE VIEW registry.job_runs AS
SELECT job, started_at, finished_at, status, summary FROM store.job_runs;

COMMENT ON VIEW registry.job_runs IS 'One row per run of a job, such as sync.

Example:
SELECT started_at, finished_at - started_at AS took, status, summary
  FROM registry.job_runs
 WHERE job = ''sync''
 ORDER BY started_at DESC
 LIMIT 5;';
COMMENT ON COLUMN registry.job_runs.job IS 'Name of the job.';
COMMENT ON COLUMN registry.job_runs.started_at IS 'Start (UTC).';
COMMENT ON COLUMN registry.job_runs.finished_at IS 'End (UTC); null while it runs.';
COMMENT ON COLUMN registry.job_runs.status IS 'running, done, failed or interrupted (it was killed).';
COMMENT ON COLUMN registry.job_runs.summary IS 'What it did, as JSON; for a failure the reason.';
