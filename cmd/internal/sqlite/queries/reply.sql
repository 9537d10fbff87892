-- name: reply.get
SELECT key, caller, request, run, state, status, header, body, at FROM reply WHERE key = ?;

-- name: reply.count
SELECT COUNT(*) FROM reply WHERE caller = ?;

-- name: reply.put
INSERT OR REPLACE INTO reply (key, caller, request, run, state, status, header, body, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: reply.apply
UPDATE reply SET state = 'applied' WHERE key = ? AND state = 'running';

-- name: reply.free
DELETE FROM reply WHERE key = ?;

-- name: reply.prune
DELETE FROM reply WHERE key IN (SELECT key FROM reply WHERE at < ? LIMIT ?);
