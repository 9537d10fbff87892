-- name: campaign.insert
INSERT INTO campaign (id, name, release, delivery, state, created_at, created_by) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: campaign.get
SELECT id, name, release, delivery, state, created_at, created_by FROM campaign WHERE id = ?;

-- name: campaign.list
SELECT id, name, release, delivery, state, created_at, created_by
  FROM campaign
 WHERE ? = '' OR id < ?
 ORDER BY id DESC
 LIMIT ?;

-- name: campaign.set_state
UPDATE campaign SET state = ? WHERE id = ? AND state = ?;

-- name: campaign.abort_jobs
UPDATE job SET state = 'aborted', reason = ?, version = version + 1, updated_at = ?
 WHERE campaign = ? AND state NOT IN ('done', 'failed', 'aborted', 'installing');

-- name: job.insert
INSERT INTO job (campaign, device, state, reason, result, tries, due, version, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: job.unfinished
SELECT campaign, device, state, reason, result, tries, due, version, updated_at
  FROM job
 WHERE device = ? AND state NOT IN ('done', 'failed', 'aborted');

-- name: job.of_campaign
SELECT campaign, device, state, reason, result, tries, due, version, updated_at
  FROM job
 WHERE campaign = ?
 ORDER BY device;

-- name: job.due
SELECT j.campaign, j.device, j.state, j.reason, j.result, j.tries, j.due, j.version, j.updated_at
  FROM job j
  JOIN campaign c ON c.id = j.campaign
 WHERE j.state NOT IN ('done', 'failed', 'aborted') AND j.due <= ? AND (c.state = 'running' OR j.state = 'installing')
 ORDER BY j.due
 LIMIT ?;

-- name: job.set
UPDATE job
   SET state = ?, reason = ?, result = ?, tries = ?, due = ?, version = version + 1, updated_at = ?
 WHERE campaign = ? AND device = ? AND version = ?;

-- name: job.last_done
SELECT r.details, c.delivery
  FROM job j
  JOIN campaign c ON c.id = j.campaign
  JOIN release r ON r.id = c.release
 WHERE j.device = ? AND j.state = 'done'
 ORDER BY r.sequence DESC
 LIMIT 1;
