-- name: event.insert
INSERT OR IGNORE INTO event (id, at, type, subject, data) VALUES (?, ?, ?, ?, ?);

-- name: event.after
SELECT id, at, type, subject, data FROM event WHERE id > ? ORDER BY id LIMIT ?;

-- name: event.bounds
SELECT (SELECT IFNULL(MIN(id), 0) FROM event), (SELECT IFNULL(MAX(id), 0) FROM event);

-- name: event.stale
SELECT id FROM event WHERE at >= ? ORDER BY id LIMIT 1;

-- name: event.over
SELECT id FROM event ORDER BY id DESC LIMIT 1 OFFSET ?;

-- name: event.prune
DELETE FROM event WHERE id IN (SELECT id FROM event WHERE id < ? ORDER BY id LIMIT ?);
