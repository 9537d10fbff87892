-- name: replace.put
INSERT INTO device_replacement (replaced, device, at, actor, reason) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (replaced) DO UPDATE SET
    device = excluded.device, at = excluded.at, actor = excluded.actor, reason = excluded.reason;

-- name: replace.groups
INSERT INTO device_group_member (name, device)
SELECT name, ?1 FROM device_group_member WHERE device = ?2
    ON CONFLICT (name, device) DO NOTHING;

-- name: replace.leave_groups
DELETE FROM device_group_member WHERE device = ?;

-- name: replace.observations
INSERT INTO observation (device, path, query)
SELECT ?1, path, query FROM observation WHERE device = ?2
    ON CONFLICT (device, path) DO NOTHING;

-- name: replace.jobs
UPDATE job
   SET device = ?1, version = version + 1
 WHERE device = ?2 AND state = 'planned'
   AND NOT EXISTS (SELECT 1 FROM job j WHERE j.campaign = job.campaign AND j.device = ?1);

-- name: replace.of
SELECT d.id, d.factory, d.endpoint, d.ownership, d.nosec, d.tags, d.created_at
  FROM device_replacement r
  JOIN device d ON d.id = r.replaced
 WHERE r.device = ?
 ORDER BY r.at DESC
 LIMIT 20;

-- name: replace.by
SELECT d.id, d.factory, d.endpoint, d.ownership, d.nosec, d.tags, d.created_at
  FROM device_replacement r
  JOIN device d ON d.id = r.device
 WHERE r.replaced = ?;
