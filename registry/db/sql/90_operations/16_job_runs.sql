-- job_runs: runs of jobs, when and with what result. A job holds a lock while it runs, which the server
-- releases when the job is killed: its run reads as interrupted at once, not only when the next run of
-- the job begins. A standby has no such locks.
CREATE VIEW registry.job_runs AS
SELECT CASE WHEN j.job = 'sync' AND j.summary ->> 'kind' = 'full' THEN 'sweep' ELSE j.job END AS job,
       j.started_at, j.finished_at,
       CASE WHEN j.status = 'running' AND NOT pg_is_in_recovery() AND NOT EXISTS (
                     SELECT
                       FROM pg_locks AS l
                       JOIN pg_database AS d ON d.oid = l.database
                      WHERE l.locktype = 'relation' AND l.mode = 'ExclusiveLock' AND l.granted
                        AND d.datname = current_database()
                        AND l.relation = CASE j.job WHEN 'sync' THEN 'store.lock_catalog'::regclass
                                                    WHEN 'train' THEN 'store.lock_training'::regclass
                                                    WHEN 'place' THEN 'store.lock_placement'::regclass
                                                    WHEN 'evals import' THEN 'store.lock_evaluations'::regclass
                                                    WHEN 'evals remove' THEN 'store.lock_evaluations'::regclass END)
            THEN 'interrupted' ELSE j.status END AS status,
       j.summary
  FROM store.job_runs AS j;

COMMENT ON VIEW registry.job_runs IS 'One row per run of a job, such as sync.

Example:
SELECT started_at, finished_at - started_at AS took, status, summary
  FROM registry.job_runs
 WHERE job = ''sync''
 ORDER BY started_at DESC
 LIMIT 5;';
COMMENT ON COLUMN registry.job_runs.job IS 'Name of the job, such as sync; a full sync is a sweep.';
COMMENT ON COLUMN registry.job_runs.started_at IS 'Start (UTC).';
COMMENT ON COLUMN registry.job_runs.finished_at IS 'End (UTC); null while it runs, and if it was killed.';
COMMENT ON COLUMN registry.job_runs.status IS 'running, done, failed or interrupted (it was stopped or killed).';
COMMENT ON COLUMN registry.job_runs.summary IS 'What it did, as JSON; for a failure the reason (error). A sync that resumed the pass of an earlier run (resumed) has the numbers of the whole pass.';
