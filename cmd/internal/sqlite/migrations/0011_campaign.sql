-- Campaigns in waves. Those from before had none: all their devices are the tail.

ALTER TABLE campaign ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE campaign ADD COLUMN details TEXT NOT NULL DEFAULT '{}'; -- JSON: plan, waves, approval, times
ALTER TABLE campaign ADD COLUMN version INTEGER NOT NULL DEFAULT 0; -- rises with each change

DROP INDEX campaign_running;
UPDATE campaign SET state = CASE state WHEN 'running' THEN 'tail' WHEN 'ended' THEN 'done' ELSE state END;
CREATE INDEX campaign_unfinished ON campaign (id) WHERE state NOT IN ('done', 'aborted', 'failed');

ALTER TABLE job ADD COLUMN position INTEGER NOT NULL DEFAULT 0; -- in the order of the campaign
ALTER TABLE job ADD COLUMN wave     INTEGER NOT NULL DEFAULT 0; -- the number of the waves is the tail
ALTER TABLE job ADD COLUMN aside    TEXT    NOT NULL DEFAULT ''; -- away, deferred, blocked
ALTER TABLE job ADD COLUMN attempts TEXT    NOT NULL DEFAULT ''; -- JSON: tries over again by code
ALTER TABLE job ADD COLUMN zone     TEXT    NOT NULL DEFAULT ''; -- UTC offset that the device told
ALTER TABLE job ADD COLUMN silent   INTEGER NOT NULL DEFAULT 0; -- Unix microseconds, UTC; 0: it answers
ALTER TABLE job ADD COLUMN began_at INTEGER NOT NULL DEFAULT 0; -- Unix microseconds, UTC; 0: not begun
ALTER TABLE job ADD COLUMN first_at INTEGER NOT NULL DEFAULT 0; -- Unix microseconds, UTC; 0: not begun
ALTER TABLE job ADD COLUMN ended_at INTEGER NOT NULL DEFAULT 0; -- Unix microseconds, UTC; 0: not over
UPDATE job SET ended_at = updated_at WHERE state IN ('done', 'failed', 'aborted');

-- No device has two jobs in hand.
DROP INDEX job_due;
DROP INDEX job_unfinished;
CREATE UNIQUE INDEX job_open ON job (device)
 WHERE state IN ('queued', 'waiting', 'delivering', 'downloading', 'downloaded', 'installing');
CREATE INDEX job_planned ON job (campaign, wave, position) WHERE state = 'planned' AND aside = '';
CREATE INDEX job_blocked ON job (device) WHERE aside = 'blocked';
CREATE INDEX job_order ON job (campaign, position, device);

-- Jobs by tally: the state, or the reason for which a wave goes on without them.
-- Kept with each change of a job.
CREATE TABLE wave_count (
    campaign TEXT    NOT NULL REFERENCES campaign ON DELETE CASCADE,
    wave     INTEGER NOT NULL,
    tally    TEXT    NOT NULL,
    n        INTEGER NOT NULL,
    PRIMARY KEY (campaign, wave, tally)
) STRICT, WITHOUT ROWID;

INSERT INTO wave_count (campaign, wave, tally, n)
SELECT campaign, wave, state, COUNT(*) FROM job GROUP BY campaign, wave, state;
