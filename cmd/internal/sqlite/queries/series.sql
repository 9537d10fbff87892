-- name: series.put
INSERT INTO sample (day, device, path, at, kind, plain, source) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET kind = excluded.kind, plain = excluded.plain, source = excluded.source;

-- name: series.put_changed
INSERT INTO sample (day, device, path, at, kind, plain, source)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
 WHERE NOT EXISTS (SELECT 1 FROM value WHERE device = ?2 AND path = ?3 AND kind = ?5 AND plain = ?6)
    ON CONFLICT DO UPDATE SET kind = excluded.kind, plain = excluded.plain, source = excluded.source;

-- name: series.days
WITH RECURSIVE d (day) AS (
    SELECT min(day) FROM sample
    UNION ALL
    SELECT (SELECT min(day) FROM sample WHERE day > d.day) FROM d WHERE d.day IS NOT NULL)
SELECT day FROM d WHERE day IS NOT NULL;

-- name: series.paths
SELECT path, count(*), min(at), max(at) FROM sample WHERE day = ? AND device = ? GROUP BY path;

-- name: series.read
SELECT path, kind, plain, source, at
  FROM sample
 WHERE day = ? AND device = ? AND path = ? AND at >= ? AND at < ?
 ORDER BY at LIMIT ?;

-- name: series.rules
SELECT object, resource, days FROM series_rule ORDER BY object, resource;

-- name: series.rule
SELECT days FROM series_rule WHERE object = ? AND resource = ?;

-- name: series.set_rule
INSERT INTO series_rule (object, resource, days) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET days = excluded.days;

-- name: series.drop_rule
DELETE FROM series_rule WHERE object = ? AND resource = ?;

-- name: series.count
SELECT count(*) FROM sample;

-- name: series.kept_paths
SELECT DISTINCT path FROM sample WHERE day = ?;

-- name: series.crowded
SELECT device, count(*) FROM sample WHERE day = ? GROUP BY device HAVING count(*) > ?;

-- name: series.drop_path
DELETE FROM sample WHERE (day, device, path, at) IN (
    SELECT day, device, path, at FROM sample WHERE day = ? AND path = ? LIMIT ?);

-- name: series.drop_day
DELETE FROM sample WHERE (day, device, path, at) IN (
    SELECT day, device, path, at FROM sample WHERE day = ? LIMIT ?);

-- name: series.trim
DELETE FROM sample WHERE (day, device, path, at) IN (
    SELECT day, device, path, at FROM sample WHERE day = ? AND device = ? ORDER BY at LIMIT ?);
