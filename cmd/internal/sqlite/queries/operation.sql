-- name: operation.insert
INSERT INTO operation (id, device, kind, path, body, action, actor, flags, state, reason, result, exchanges,
                       tries, version, created_at, sent_at, ended_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: operation.set
UPDATE operation SET body = ?, state = ?, reason = ?, result = ?, exchanges = ?, tries = ?, version = ?,
       sent_at = ?, ended_at = ?
 WHERE id = ? AND version = ?;

-- name: operation.by_id
SELECT id, device, kind, path, body, action, actor, flags, state, reason, result, exchanges, tries, version,
       created_at, sent_at, ended_at, expires_at
  FROM operation WHERE id = ?;

-- name: operation.newest
SELECT id, device, kind, path, body, action, actor, flags, state, reason, result, exchanges, tries, version,
       created_at, sent_at, ended_at, expires_at
  FROM operation
 WHERE seq < COALESCE((SELECT seq FROM operation WHERE id = ?), 9223372036854775807)
 ORDER BY seq DESC LIMIT ?;

-- name: operation.newest_of_device
SELECT id, device, kind, path, body, action, actor, flags, state, reason, result, exchanges, tries, version,
       created_at, sent_at, ended_at, expires_at
  FROM operation
 WHERE device = ? AND seq < COALESCE((SELECT seq FROM operation WHERE id = ?), 9223372036854775807)
 ORDER BY seq DESC LIMIT ?;

-- name: operation.open
SELECT id, device, kind, path, body, action, actor, flags, state, reason, result, exchanges, tries, version,
       created_at, sent_at, ended_at, expires_at
  FROM operation
 WHERE ended_at IS NULL AND seq > COALESCE((SELECT seq FROM operation WHERE id = ?), 0)
 ORDER BY seq LIMIT ?;

-- name: operation.open_of_device
SELECT id, device, kind, path, body, action, actor, flags, state, reason, result, exchanges, tries, version,
       created_at, sent_at, ended_at, expires_at
  FROM operation
 WHERE ended_at IS NULL AND device = ? AND seq > COALESCE((SELECT seq FROM operation WHERE id = ?), 0)
 ORDER BY seq LIMIT ?;

-- name: operation.expired
SELECT id, device, kind, path, body, action, actor, flags, state, reason, result, exchanges, tries, version,
       created_at, sent_at, ended_at, expires_at
  FROM operation INDEXED BY operation_due
 WHERE ended_at IS NULL AND expires_at <= ? AND state = 'queued'
 ORDER BY seq LIMIT ?;

-- name: operation.count_open
SELECT COUNT(*) FROM operation WHERE ended_at IS NULL AND device = ?;

-- name: operation.waiting
SELECT device, COUNT(*) FROM operation WHERE ended_at IS NULL AND flags & 4 GROUP BY device;

-- name: operation.replace
UPDATE operation SET state = 'cancelled', reason = ?, body = NULL, ended_at = ?, version = version + 1 WHERE id = ?;

-- name: operation.surplus
DELETE FROM operation
 WHERE device = ?1 AND ended_at IS NOT NULL
   AND seq <= COALESCE((SELECT seq FROM operation WHERE device = ?1 AND ended_at IS NOT NULL
                         ORDER BY seq DESC LIMIT 1 OFFSET ?2), 0);

-- name: operation.prune
DELETE FROM operation WHERE ended_at IS NOT NULL AND ended_at < ?;
