-- name: campaign.insert
INSERT INTO campaign (id, name, release, delivery, state, created_at, created_by, reason, details)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: campaign.get
SELECT id, name, release, delivery, state, created_at, created_by, reason, details, version
  FROM campaign
 WHERE id = ?;

-- name: campaign.list
SELECT id, name, release, delivery, state, created_at, created_by, reason, details, version
  FROM campaign
 WHERE ? = '' OR id < ?
 ORDER BY id DESC
 LIMIT ?;

-- name: campaign.unfinished
SELECT id, name, release, delivery, state, created_at, created_by, reason, details, version
  FROM campaign
 WHERE state NOT IN ('done', 'aborted', 'failed')
 ORDER BY id;

-- name: campaign.set
UPDATE campaign SET state = ?, reason = ?, details = ?, version = version + 1 WHERE id = ?;

-- name: campaign.counts
SELECT wave, tally, n FROM wave_count WHERE campaign = ? AND n > 0;

-- name: campaign.count
INSERT INTO wave_count (campaign, wave, tally, n)
VALUES (?, ?, ?, ?)
    ON CONFLICT (campaign, wave, tally) DO UPDATE SET n = n + excluded.n;

-- Once for a change of many jobs.
-- name: campaign.forget_counts
DELETE FROM wave_count WHERE campaign = ?;

-- name: campaign.recount
INSERT INTO wave_count (campaign, wave, tally, n)
SELECT campaign, wave, CASE aside WHEN '' THEN state ELSE aside END, COUNT(*)
  FROM job
 WHERE campaign = ?
 GROUP BY 1, 2, 3;

-- name: campaign.move_aside
UPDATE job SET wave = ?, version = version + 1 WHERE campaign = ? AND wave = ? AND aside <> '';

-- name: campaign.abort_jobs
UPDATE job
   SET state = 'aborted', aside = '', reason = ?1, ended_at = ?2, updated_at = ?2, version = version + 1
 WHERE campaign = ?3 AND state IN ('planned', 'queued', 'waiting', 'delivering', 'downloading', 'downloaded');

-- name: campaign.unblock
UPDATE job
   SET aside = '', reason = 'its device is free again', version = version + 1
 WHERE aside = 'blocked'
   AND device IN (SELECT a.device FROM job a WHERE a.campaign = ? AND a.state = 'aborted' AND a.ended_at = ?)
RETURNING campaign, wave;

-- name: campaign.wake_jobs
UPDATE job
   SET due = ?1, version = version + 1
 WHERE campaign = ?2 AND state IN ('queued', 'delivering', 'downloading', 'downloaded', 'installing') AND aside = ''
   AND due > ?1;

-- name: job.insert
INSERT INTO job (campaign, device, position, wave, state, reason, result, tries, due, version, updated_at)
VALUES (?, ?, ?, ?, ?, ?, 0, 0, ?, 0, ?)
    ON CONFLICT (campaign, device) DO NOTHING;

-- name: job.planned
SELECT campaign, device, position, wave, state, aside, reason, result, tries, attempts, zone,
       due, silent, began_at, first_at, ended_at, version, updated_at
  FROM job
 WHERE campaign = ? AND wave = ? AND state = 'planned' AND aside = ''
 ORDER BY position, device
 LIMIT ?;

-- name: job.in_hand
SELECT c.name
  FROM job j
  JOIN campaign c ON c.id = j.campaign
 WHERE j.device = ? AND j.state IN ('queued', 'waiting', 'delivering', 'downloading', 'downloaded', 'installing');

-- name: job.start
UPDATE job
   SET state = ?, aside = ?, reason = ?, due = ?, updated_at = ?, version = version + 1
 WHERE campaign = ? AND device = ?;

-- name: job.open
SELECT campaign, device, position, wave, state, aside, reason, result, tries, attempts, zone,
       due, silent, began_at, first_at, ended_at, version, updated_at
  FROM job
 WHERE state IN ('queued', 'waiting', 'delivering', 'downloading', 'downloaded', 'installing')
   AND device > ?
 ORDER BY device
 LIMIT ?;

-- name: job.open_of_campaign
SELECT campaign, device, position, wave, state, aside, reason, result, tries, attempts, zone,
       due, silent, began_at, first_at, ended_at, version, updated_at
  FROM job
 WHERE campaign = ? AND device > ?
   AND state IN ('queued', 'waiting', 'delivering', 'downloading', 'downloaded', 'installing')
 ORDER BY device
 LIMIT ?;

-- name: job.of_device
SELECT campaign, device, position, wave, state, aside, reason, result, tries, attempts, zone,
       due, silent, began_at, first_at, ended_at, version, updated_at
  FROM job
 WHERE device = ? AND state IN ('queued', 'waiting', 'delivering', 'downloading', 'downloaded', 'installing');

-- name: job.get
SELECT campaign, device, position, wave, state, aside, reason, result, tries, attempts, zone,
       due, silent, began_at, first_at, ended_at, version, updated_at
  FROM job
 WHERE campaign = ? AND device = ?;

-- name: job.lines
SELECT j.campaign, j.device, j.position, j.wave, j.state, j.aside, j.reason, j.result, j.tries, j.attempts, j.zone,
       j.due, j.silent, j.began_at, j.first_at, j.ended_at, j.version, j.updated_at, d.endpoint,
       COALESCE((SELECT v.plain FROM value v WHERE v.device = d.id AND v.path = '/3/0/0'), ''),
       COALESCE((SELECT v.plain FROM value v WHERE v.device = d.id AND v.path = '/3/0/1'), '')
  FROM job j
  JOIN device d ON d.id = j.device
 WHERE j.campaign = ? AND (j.position, j.device) > (?, ?)
 ORDER BY j.position, j.device
 LIMIT ?;

-- name: job.set
UPDATE job
   SET wave = ?, state = ?, aside = ?, reason = ?, result = ?, tries = ?, attempts = ?, zone = ?, due = ?, silent = ?,
       began_at = ?, first_at = ?, ended_at = ?, updated_at = ?, version = version + 1
 WHERE campaign = ? AND device = ? AND version = ?;

-- name: job.unblock
UPDATE job
   SET aside = '', reason = 'its device is free again', version = version + 1
 WHERE device = ? AND aside = 'blocked'
RETURNING campaign, wave;

-- name: job.last_done
SELECT r.details, c.delivery
  FROM job j
  JOIN campaign c ON c.id = j.campaign
  JOIN release r ON r.id = c.release
 WHERE j.device = ? AND j.state = 'done'
 ORDER BY r.sequence DESC
 LIMIT 1;

-- Parameters: manufacturer, model, class, tag, version, campaign, after, limit.
-- name: member.candidates
SELECT d.id, d.endpoint, d.ownership, d.manufacturer, d.model, d.firmware, d.version IS NOT NULL,
       COALESCE((SELECT MAX(r.sequence) FROM job j JOIN campaign c ON c.id = j.campaign JOIN release r ON r.id = c.release
                  WHERE j.device = d.id AND j.state = 'done'), 0),
       COALESCE((SELECT c.name FROM job j JOIN campaign c ON c.id = j.campaign
                  WHERE j.device = d.id
                    AND j.state IN ('queued', 'waiting', 'delivering', 'downloading', 'downloaded', 'installing')), '')
  FROM device_line d
 WHERE d.id > ?7
   AND (?1 = '' OR d.manufacturer = ?1)
   AND (?2 = '' OR d.model = ?2)
   AND (?3 = '' OR ?3 = (SELECT r.class FROM job j JOIN campaign c ON c.id = j.campaign
                           JOIN release r ON r.id = c.release
                          WHERE j.device = d.id AND j.state = 'done' ORDER BY r.sequence DESC LIMIT 1))
   AND (?4 = '' OR EXISTS (SELECT 1 FROM json_each(d.tags) WHERE value = ?4))
   AND (?5 = '' OR d.firmware = ?5)
   AND NOT EXISTS (SELECT 1 FROM job j WHERE j.campaign = ?6 AND j.device = d.id)
 ORDER BY d.id
 LIMIT ?8;

-- name: member.known
SELECT d.id, d.endpoint, d.ownership, d.manufacturer, d.model, d.firmware, d.version IS NOT NULL,
       COALESCE((SELECT MAX(r.sequence) FROM job j JOIN campaign c ON c.id = j.campaign JOIN release r ON r.id = c.release
                  WHERE j.device = d.id AND j.state = 'done'), 0),
       COALESCE((SELECT c.name FROM job j JOIN campaign c ON c.id = j.campaign
                  WHERE j.device = d.id
                    AND j.state IN ('queued', 'waiting', 'delivering', 'downloading', 'downloaded', 'installing')), '')
  FROM device_line d
 WHERE d.id IN (SELECT value FROM json_each(?));
