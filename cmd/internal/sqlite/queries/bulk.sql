-- name: bulk.insert
INSERT INTO bulk (id, action, what, reason, actor, state, total, done, failed, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, ?);

-- name: bulk.decide
UPDATE bulk SET state = ?, ended_at = CASE WHEN ? = 'rejected' THEN ? END WHERE id = ? AND state = 'review';

-- name: bulk.targets
INSERT INTO bulk_device (bulk, device, state, detail, operation)
SELECT (SELECT seq FROM bulk WHERE id = ?1), value, 'open', '', '' FROM json_each(?2) WHERE TRUE ON CONFLICT DO NOTHING;

-- name: bulk.result
UPDATE bulk_device
   SET state = ?, detail = ?, operation = ?
 WHERE bulk = (SELECT seq FROM bulk WHERE id = ?) AND device = ?;

-- name: bulk.count
UPDATE bulk SET done = done + ?, failed = failed + ? WHERE id = ?;

-- name: bulk.end
UPDATE bulk SET state = ?, ended_at = ? WHERE id = ? AND state IN ('running', 'review');

-- name: bulk.interrupt
UPDATE bulk SET state = 'interrupted', ended_at = ? WHERE state IN ('running', 'review');

-- name: bulk.prune
DELETE FROM bulk WHERE state NOT IN ('running', 'review') AND seq <= (SELECT MAX(seq) FROM bulk) - ?;

-- name: bulk.get
SELECT seq, id, action, what, reason, actor, state, total, done, failed, created_at, COALESCE(ended_at, 0)
  FROM bulk
 WHERE id = ?;

-- name: bulk.list
SELECT seq, id, action, what, reason, actor, state, total, done, failed, created_at, COALESCE(ended_at, 0)
  FROM bulk
 WHERE seq < COALESCE((SELECT b.seq FROM bulk b WHERE b.id = ?1), 9223372036854775807)
 ORDER BY seq DESC
 LIMIT ?2;

-- name: bulk.results
SELECT r.device, COALESCE(d.endpoint, ''), r.state, r.detail, r.operation, COALESCE(o.state, '')
  FROM bulk_device r
  LEFT JOIN device d ON d.id = r.device
  LEFT JOIN operation o ON o.id = r.operation
 WHERE r.bulk = (SELECT seq FROM bulk WHERE id = ?1) AND r.device > ?2 AND (?3 IS NULL OR r.state = ?3)
 ORDER BY r.device
 LIMIT ?4;

-- name: saved_view.list
SELECT id, owner, name, query, created_at, created_by
  FROM saved_view
 WHERE owner IN ('', ?1)
 ORDER BY name, owner
 LIMIT ?2;

-- name: saved_view.count
SELECT COUNT(*) FROM saved_view WHERE owner = ?;

-- name: saved_view.put
INSERT INTO saved_view (id, owner, name, query, created_at, created_by) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (owner, name) DO UPDATE SET query = excluded.query;

-- name: saved_view.by_name
SELECT id, owner, name, query, created_at, created_by FROM saved_view WHERE owner = ? AND name = ?;

-- name: saved_view.get
SELECT id, owner, name, query, created_at, created_by FROM saved_view WHERE id = ?;

-- name: saved_view.delete
DELETE FROM saved_view WHERE id = ?;
