-- name: writer.begin
BEGIN IMMEDIATE;

-- name: writer.commit
COMMIT;

-- name: writer.rollback
ROLLBACK;

-- name: writer.save
SAVEPOINT job;

-- name: writer.undo
ROLLBACK TO job;

-- name: writer.release
RELEASE job;

-- name: writer.version
PRAGMA data_version;

-- name: audit.last
SELECT hash FROM audit ORDER BY id DESC LIMIT 1;

-- name: audit.insert
INSERT INTO audit (at, actor, action, subject, reason, before, after, prev, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: audit.older
SELECT COALESCE((SELECT id FROM audit WHERE id <= ?2 AND at >= ?1 ORDER BY id LIMIT 1),
                (SELECT MAX(id) FROM audit WHERE id <= ?2), 0) - 1;

-- name: audit.archives
SELECT subject, after FROM audit WHERE id > ? AND action = 'audit.archive';

-- name: audit.batch
SELECT id, hash
  FROM (SELECT id, hash FROM audit WHERE id <= ? ORDER BY id LIMIT ?)
 ORDER BY id DESC
 LIMIT 1;

-- name: audit.drop
DELETE FROM audit WHERE id <= ?;

-- name: audit.before
SELECT id, at, actor, action, subject, reason, before, after, prev, hash
  FROM audit
 WHERE id < ?
 ORDER BY id DESC
 LIMIT ?;

-- name: audit.from
SELECT id, at, actor, action, subject, reason, before, after, prev, hash
  FROM audit
 WHERE id > ?
 ORDER BY id
 LIMIT ?;

-- name: audit.subject_before
SELECT id, at, actor, action, subject, reason, before, after, prev, hash
  FROM audit
 WHERE subject = ? AND id < ?
 ORDER BY id DESC
 LIMIT ?;

-- name: device.busy
SELECT (SELECT COUNT(*) FROM job WHERE device = ?1 AND state NOT IN ('done', 'failed', 'aborted'))
     + (SELECT COUNT(*) FROM transfer_row WHERE factory = ?2 AND ended = 0);

-- name: device.erase
DELETE FROM device WHERE id = ?;

-- name: device.erase_attester
DELETE FROM attester WHERE device = ?;

-- name: device.erase_verdicts
DELETE FROM attestation WHERE device = ?;

-- name: device.erase_bulk
DELETE FROM bulk_device WHERE device = ?;

-- name: device.tags
UPDATE device SET tags = ? WHERE id = ?;

-- name: device.by_id
SELECT id, factory, endpoint, ownership, nosec, tags, created_at FROM device WHERE id = ?;

-- name: device.by_factory
SELECT id, factory, endpoint, ownership, nosec, tags, created_at FROM device WHERE factory = ?;

-- name: device.by_endpoint
SELECT id, factory, endpoint, ownership, nosec, tags, created_at FROM device WHERE endpoint = ?;

-- name: device.standing
SELECT id, ownership, nosec FROM device WHERE endpoint = ?;

-- name: device.list
SELECT id, factory, endpoint, ownership, nosec, tags, created_at
  FROM device
 WHERE id > ?
 ORDER BY id
 LIMIT ?;

-- name: device.clash
SELECT COUNT(*) FROM device WHERE id <> ? AND (endpoint = ? OR factory = ?);

-- name: device.put
INSERT INTO device (id, factory, endpoint, ownership, nosec, tags, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET factory = excluded.factory, endpoint = excluded.endpoint,
       ownership = excluded.ownership, nosec = excluded.nosec, tags = excluded.tags;

-- name: setting.get
SELECT value FROM setting WHERE name = ?;

-- name: setting.put
INSERT INTO setting (name, value) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;
